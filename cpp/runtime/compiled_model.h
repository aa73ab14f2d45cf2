// A model compiled for a chain of delegates.
#pragma once

#include <memory>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "delegates/hosted.h"
#include "delegates/kept_off.h"
#include "delegates/loaded.h"
#include "delegates/spy.h"
#include "delegates/views_at_edges.h"
#include "delegates/wrong_on_gpu.h"
#include "runtime/error.h"
#include "runtime/handle.h"
#include "runtime/interruption.h"
#include "runtime/model_file.h"
#include "runtime/run_lock.h"

namespace litedelegates {

// What a model is compiled with. Delegates are registered in this order; nothing else is loaded.
struct CompileRequest {
  struct Step {
    enum class Kind { kCpu, kNpu, kLibrary, kHosted } kind = Kind::kCpu;
    std::string name;                              // of a hosted delegate
    std::string library;                           // path of an accelerator library
    TfLiteDelegate* delegate = nullptr;            // hosted
    std::shared_ptr<const LoadedDelegate> loaded;  // its owner; without one the caller keeps it alive
  };
  std::vector<Step> steps;
  std::vector<std::pair<std::string, std::string>> payloads;  // identifier and TOML text
  std::vector<std::pair<int32_t, std::string>> environment;   // further options of the environment, by tag
  int32_t hardware = kLiteRtCpu;
  // Let the runtime do every run, with its bookkeeping: its profiler sees only such runs.
  bool is_profiled = false;
  int64_t log_severity = 3;  // 0 verbose, 1 info, 2 warning, 3 error, 4 silent; process-wide in the runtime
};

struct ProfiledEvent {
  std::string tag;
  int32_t type;
  int32_t source;
  uint64_t start_us, elapsed_us, metadata1, metadata2;
};

class CompiledModel {
 public:
  CompiledModel(std::shared_ptr<const ModelFile> file, const CompileRequest& request);
  CompiledModel(const CompiledModel&) = delete;
  CompiledModel& operator=(const CompiledModel&) = delete;

  [[nodiscard]] LiteRtEnvironment environment() const { return environment_.get(); }
  [[nodiscard]] LiteRtCompiledModel get() const { return compiled_.get(); }
  [[nodiscard]] const ModelFile& file() const { return *file_; }
  [[nodiscard]] const std::shared_ptr<const ModelFile>& shared_file() const { return file_; }
  // The execution plan of every subgraph that delegates were shown, with the subgraph's index in the model.
  [[nodiscard]] std::vector<std::pair<size_t, SubgraphPlan>> plans() const;
  // What the spy saw of a subgraph; null when no delegate was shown it.
  [[nodiscard]] const Spy::Visit* visit(size_t subgraph) const;
  // The ops that were kept off a delegate: subgraph, op, off what and why.
  [[nodiscard]] std::vector<std::tuple<size_t, int32_t, std::string>> kept_off() const;
  // True when only the runtime's own CPU kernels and XNNPACK can take ops, and no profiler watches them.
  [[nodiscard]] bool is_plain_cpu() const { return is_plain_cpu_; }
  // True when an accelerator library takes part: what it logs as an error, while its status says ok, counts.
  [[nodiscard]] bool has_accelerator_library() const { return has_accelerator_library_; }
  // One run at a time: the runtime's model is not safe to share between threads.
  [[nodiscard]] RunLock& running() { return running_; }
  // Of the run that holds `running()`.
  [[nodiscard]] Interruption& interruption() { return interruption_; }

  // What the runtime wrote while it loaded, compiled, allocated, and ran for the first time after that.
  [[nodiscard]] std::vector<std::string>& log_lines() { return log_lines_; }
  // Raise with what an accelerator library logged as an error in the log's lines from `first` on, if
  // anything.
  void check_log(size_t first, ErrorKind kind, const std::string& what) const;
  // The option payloads as the runtime holds them.
  [[nodiscard]] const std::vector<std::pair<std::string, std::string>>& payloads_in_effect() const {
    return payloads_in_effect_;
  }

  // Counts what may move tensors or replace kernels; whoever remembers either has to look at it.
  [[nodiscard]] uint64_t layout_version() const { return layout_version_; }
  void change_layout() { ++layout_version_; }

  // Raise with what the runtime said, unless the status is ok.
  void check_call(LiteRtStatus status, ErrorKind kind, const std::string& what, const std::string& messages);

  // Forget earlier events and record from here.
  void start_profiling();
  // The events since `start_profiling`, in the order they were recorded.
  [[nodiscard]] std::vector<ProfiledEvent> take_events();
  void stop_profiling();

 private:
  void compile(const CompileRequest& request);
  [[nodiscard]] LiteRtProfiler profiler() const;
  // The subgraph index of each plan of the spy.
  [[nodiscard]] std::vector<size_t> planned_subgraphs() const;

  // Members die in reverse order: the compiled model before everything it uses.
  std::shared_ptr<const ModelFile> file_;
  Listener listener_;
  Spy spy_;
  KeptOff off_gpu_{wrong_on_gpu}, off_xnnpack_{views_at_edges};
  std::vector<std::shared_ptr<const LoadedDelegate>> loaded_;
  std::vector<std::unique_ptr<HostedDelegate>> hosted_;
  EnvironmentHandle environment_;
  ModelHandle model_;
  OptionsHandle options_;
  CompiledModelHandle compiled_;
  std::vector<std::pair<std::string, std::string>> payloads_in_effect_;
  std::vector<std::string> log_lines_;
  bool is_plain_cpu_ = true;
  bool has_accelerator_library_ = false;
  uint64_t layout_version_ = 0;
  RunLock running_;
  Interruption interruption_;
};

}  // namespace litedelegates
