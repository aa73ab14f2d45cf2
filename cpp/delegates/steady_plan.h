// Runs an execution plan that no longer changes, kernel by kernel, without the runtime's bookkeeping.
//
// Every run through the runtime binds all buffers again, allocates again and looks up names: 0.6 us, more
// than a small model computes. Once a model on the CPU has run once, all of that repeats what is already so.
// This is the same loop over the same kernels, through the pointers that every delegate is given.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "delegates/tflite_abi.h"
#include "runtime/interruption.h"

namespace litedelegates {

// A node of the execution plan as its kernel is called. `invoke` is null for a kernel without a plain
// function.
struct Kernel {
  TfLiteStatus (*invoke)(TfLiteContext*, TfLiteNode*);
  TfLiteNode* node;
};

// Where an input or output of the model is expected to be.
struct BoundTensor {
  int32_t tensor;
  const void* address;
};

class SteadyPlan {
 public:
  // Take the plan over if nothing in it can change between runs: every kernel has a plain invoke function,
  // every tensor has its size and lies in host memory, inputs and outputs where they were bound. Returns
  // whether it did.
  bool capture(TfLiteContext* context, std::span<const Kernel> kernels, std::span<const BoundTensor> inputs,
               std::span<const BoundTensor> outputs);
  void forget() {
    kernels_.clear();
    bound_.clear();
  }
  [[nodiscard]] bool is_captured() const { return !kernels_.empty(); }
  // Whether inputs and outputs are still where they were bound: another runner of the same subgraph moves
  // them.
  [[nodiscard]] bool is_bound() const;

  // Run all kernels; false when one failed (it has reported why) or the run was interrupted between two.
  [[nodiscard]] bool run(Interruption& interruption) const;
  // The same, with the nanoseconds that each kernel took.
  [[nodiscard]] bool run(Interruption& interruption, std::vector<int64_t>& kernels_ns) const;

 private:
  TfLiteContext* context_ = nullptr;
  std::vector<Kernel> kernels_;
  std::vector<BoundTensor> bound_;
};

}  // namespace litedelegates
