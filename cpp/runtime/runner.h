// Runs one signature of a compiled model, with inputs and outputs in host memory that stays in place.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "delegates/steady_plan.h"
#include "runtime/compiled_model.h"
#include "runtime/io_tensor.h"

namespace litedelegates {

class Runner {
 public:
  // `signature` counts the model's signatures (0 when it has none); its subgraph tells inputs and outputs.
  Runner(std::shared_ptr<CompiledModel> model, size_t signature, size_t subgraph);

  [[nodiscard]] const model::Subgraph& subgraph() const;
  [[nodiscard]] const std::vector<IoTensor>& inputs() const { return inputs_; }
  [[nodiscard]] const std::vector<IoTensor>& outputs() const { return outputs_; }

  // Give an input another shape; buffers are made anew at the next `allocate`.
  void resize_input(size_t position, const std::vector<int32_t>& shape, bool strict);
  void allocate();
  [[nodiscard]] bool is_allocated() const { return is_allocated_; }

  // Positions of outputs whose size is only known while the model runs, as far as the runtime knows: they are
  // computed from a tensor that it calls dynamic. This class cannot run such models.
  [[nodiscard]] std::vector<size_t> dynamic_outputs() const;

  // Upload, run, read back: when it returns the outputs are there. A time limit stops it between two kernels;
  // what a delegate took as one is one.
  void invoke(std::optional<double> time_limit_s = std::nullopt);

  // Run once more and return the nanoseconds of each node of the execution plan, in
  // its order; nothing where the runtime has to do the runs.
  [[nodiscard]] std::vector<int64_t> time_kernels();

  // Do the first run after `allocate` where an accelerator library takes part, and raise with what it logs as
  // an error; later runs submit the same work, and listening to each would cost more than a short run takes.
  // Call it before the three steps below, under `model().running()`.
  void prove();

  // The three steps on their own, for the timed loop; call them in this order, under `model().running()`.
  void upload() const;
  void run();
  void read_back() const;

  // Raise if the latest run was stopped before its end.
  void raise_if_interrupted() const;

  [[nodiscard]] CompiledModel& model() const { return *model_; }

 private:
  void capture_steady_plan();
  // Raise when an output has another size than its memory: what is in that memory is then of no run or of
  // another.
  void check_output_sizes() const;
  [[nodiscard]] bool is_steady() const;
  void raise_for(LiteRtStatus status, const Messages& messages);
  [[nodiscard]] LiteRtLayout input_layout(size_t position) const;
  [[nodiscard]] std::vector<LiteRtLayout> output_layouts();

  std::shared_ptr<CompiledModel> model_;
  size_t signature_, subgraph_;
  std::vector<IoTensor> inputs_, outputs_;
  std::vector<LiteRtTensorBuffer> raw_inputs_, raw_outputs_;
  const TfLiteContext* context_ = nullptr;  // of the subgraph; null when no delegate was shown it
  SteadyPlan steady_;
  uint64_t steady_version_ = 0;  // the model's layout version when capturing was last tried
  bool is_allocated_ = false;
  bool has_device_tensors_ = false;
  bool is_proven_ = false;  // ran once without an error in the accelerator's log, or has no accelerator
};

}  // namespace litedelegates
