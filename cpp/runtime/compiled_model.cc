#include "runtime/compiled_model.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <new>

#include "runtime/chatter.h"
#include "runtime/error.h"

namespace litedelegates {
namespace {

LiteRtEnvOption string_option(int32_t tag, const std::string& value) {
  LiteRtEnvOption option{};
  option.tag = tag;
  option.type = kLiteRtAnyString;
  option.string_value = value.c_str();
  return option;
}

LiteRtEnvOption integer_option(int32_t tag, int64_t value) {
  LiteRtEnvOption option{};
  option.tag = tag;
  option.type = kLiteRtAnyInt;
  option.int_value = value;
  return option;
}

EnvironmentHandle make_environment(const CompileRequest& request) {
  std::vector<LiteRtEnvOption> options{
      string_option(kLiteRtRuntimeLibraryDir, library_folder()),
      // No accelerator by itself: loading the GPU's library alone aborts the process on a Raspberry Pi 4.
      integer_option(kLiteRtAutoRegister, 0),
      integer_option(kLiteRtMinLogSeverity, request.log_severity),
  };
  for (const auto& [tag, value] : request.environment) options.push_back(string_option(tag, value));
  EnvironmentHandle environment;
  check(api().LiteRtCreateEnvironment(static_cast<int>(options.size()), options.data(), environment.out()),
        ErrorKind::kRuntimeLibrary, "create an environment of the runtime");
  return environment;
}

void free_payload(void* payload) { std::free(payload); }

void add_payload(LiteRtOptions options, const std::string& identifier, const std::string& toml) {
  char* payload = strdup(toml.c_str());
  if (payload == nullptr) throw std::bad_alloc();
  OpaqueOptionsHandle opaque;
  const LiteRtStatus created =
      api().LiteRtCreateOpaqueOptions(identifier.c_str(), payload, free_payload, opaque.out());
  if (created != LiteRtStatus::kOk) free_payload(payload);
  check(created, ErrorKind::kOption, "create the options " + identifier);
  check(api().LiteRtAddOpaqueOptions(options, opaque.get()), ErrorKind::kOption,
        "add the options " + identifier);
  static_cast<void>(opaque.release());  // owned by `options` now
}

OptionsHandle make_options(const CompileRequest& request) {
  OptionsHandle options;
  check(api().LiteRtCreateOptions(options.out()), ErrorKind::kOption, "create compile options");
  check(api().LiteRtSetOptionsHardwareAccelerators(options.get(), request.hardware), ErrorKind::kOption,
        "choose the hardware");
  for (const auto& [identifier, toml] : request.payloads) add_payload(options.get(), identifier, toml);
  return options;
}

// What the runtime said, to end an exception's message with.
std::string reasons(const std::string& messages, const std::vector<std::string>& log_lines) {
  std::string text;
  bool is_of_dawn = false;
  for (const std::string& line : log_lines) {
    if (line.starts_with("ERROR: ")) text += "\n  " + line.substr(7);
    // The GPU's library says in warnings what a driver lacks that it does not take.
    is_of_dawn = line.starts_with("Warning: ") || (is_of_dawn && line.starts_with(" - "));
    if (is_of_dawn) text += "\n  " + line;
  }
  if (!messages.empty()) text += "\n  " + messages;
  return text.empty() ? "" : ". The runtime said:" + text;
}

std::string payload_of(LiteRtOptions options, const std::string& identifier) {
  LiteRtOpaqueOptions opaque = nullptr;
  check(api().LiteRtGetOpaqueOptions(options, &opaque), ErrorKind::kOption, "read the options back");
  void* payload = nullptr;
  check(api().LiteRtFindOpaqueOptionsData(opaque, identifier.c_str(), &payload), ErrorKind::kOption,
        "find the options " + identifier);
  return static_cast<const char*>(payload);
}

}  // namespace

CompiledModel::CompiledModel(std::shared_ptr<const ModelFile> file, const CompileRequest& request)
    : file_(std::move(file)) {
  Chatter chatter(log_lines_);
  const Messages messages;
  try {
    environment_ = make_environment(request);
    compile(request);
    chatter.end();
    check_log(0, ErrorKind::kDelegate, "compiled this model");
  } catch (const Error& error) {
    chatter.end();
    throw Error(error.kind(), error.what() + reasons(messages.text(), log_lines_));
  }
}

void CompiledModel::compile(const CompileRequest& request) {
  const auto host = [&](const std::string& name, TfLiteDelegate* delegate) {
    hosted_.push_back(std::make_unique<HostedDelegate>(environment_.get(), name, delegate));
  };
  is_plain_cpu_ = !request.is_profiled;
  host("litedelegates listener", listener_.delegate());
  for (const CompileRequest::Step& step : request.steps) {
    is_plain_cpu_ = is_plain_cpu_ && step.kind == CompileRequest::Step::Kind::kCpu;
    switch (step.kind) {
      case CompileRequest::Step::Kind::kCpu:
        host("litedelegates keeps views off", off_xnnpack_.before());
        register_cpu(environment_.get());
        host("litedelegates restores views", off_xnnpack_.after());
        break;
      case CompileRequest::Step::Kind::kNpu:
        check(api().LiteRtRegisterNpuAccelerator(environment_.get()), ErrorKind::kDelegate,
              "register the NPU accelerator");
        break;
      case CompileRequest::Step::Kind::kLibrary:
        has_accelerator_library_ = true;
        if (std::getenv("LITEDELEGATES_UNGUARDED_GPU") == nullptr)  // to find out again what has to stay off
          host("litedelegates keeps ops off", off_gpu_.before());
        register_accelerator_library(environment_.get(), step.library);
        host("litedelegates restores them", off_gpu_.after());
        break;
      case CompileRequest::Step::Kind::kHosted:
        loaded_.push_back(step.loaded);
        host(step.name, step.delegate);
        break;
    }
  }
  host("litedelegates spy", spy_.delegate());

  const auto bytes = file_->bytes();
  check(api().LiteRtCreateModelFromBuffer(environment_.get(), bytes.data(), bytes.size(), model_.out()),
        ErrorKind::kCompile, "load the model into the runtime");
  options_ = make_options(request);
  for (const auto& [identifier, toml] : request.payloads) {
    payloads_in_effect_.emplace_back(identifier, payload_of(options_.get(), identifier));
  }
  check(api().LiteRtCreateCompiledModel(environment_.get(), model_.get(), options_.get(), compiled_.out()),
        ErrorKind::kCompile, "compile the model");
  check(api().LiteRtSetCompiledModelCancellationFunction(compiled_.get(), &interruption_,
                                                         &Interruption::is_due),
        ErrorKind::kCompile, "make runs of the model stoppable");
}

// Whether a context may be that of a subgraph: the same names, and room for the tensors that are appended.
// Inputs and outputs are left out, because the runtime gives them the names of the signature.
static bool fits(const std::vector<std::string>& tensor_names, const model::Subgraph& subgraph) {
  if (subgraph.tensors.size() > tensor_names.size()) return false;
  std::vector<bool> is_border(subgraph.tensors.size(), false);
  for (const int32_t index : subgraph.inputs) is_border[static_cast<size_t>(index)] = true;
  for (const int32_t index : subgraph.outputs) is_border[static_cast<size_t>(index)] = true;
  for (size_t i = 0; i < subgraph.tensors.size(); ++i) {
    if (!is_border[i] && subgraph.tensors[i].name != tensor_names[i]) return false;
  }
  return true;
}

std::vector<size_t> CompiledModel::planned_subgraphs() const {
  // A delegate is not told which subgraph it sees. They come in the model's order, some left out, so each
  // plan belongs to the next subgraph that it fits.
  const auto& subgraphs = file_->description().subgraphs;
  std::vector<size_t> indices;
  size_t next = 0;
  for (const Spy::Visit& seen : spy_.visits()) {
    // By the names from before delegates prepared: the GPU's library renames what it makes of DENSIFY.
    const std::vector<std::string>* const names = listener_.tensor_names(seen.context);
    const auto& known = names == nullptr ? seen.plan.tensor_names : *names;
    while (next < subgraphs.size() && !fits(known, subgraphs[next])) ++next;
    indices.push_back(next);  // past the end when no subgraph fits: the caller says "unknown"
    if (next < subgraphs.size()) ++next;
  }
  return indices;
}

std::vector<std::pair<size_t, SubgraphPlan>> CompiledModel::plans() const {
  const std::vector<size_t> indices = planned_subgraphs();
  std::vector<std::pair<size_t, SubgraphPlan>> result;
  for (const Spy::Visit& seen : spy_.visits()) result.emplace_back(indices[result.size()], seen.plan);
  return result;
}

std::vector<std::tuple<size_t, int32_t, std::string>> CompiledModel::kept_off() const {
  std::vector<std::tuple<size_t, int32_t, std::string>> result;
  const std::vector<size_t> indices = planned_subgraphs();
  for (size_t i = 0; i < indices.size(); ++i) {
    for (const auto& [who, kept_off] :
         {std::pair("the gpu", &off_gpu_), std::pair("xnnpack", &off_xnnpack_)}) {
      for (const KeptOff::Node& node : kept_off->nodes()) {
        if (node.context != spy_.visits()[i].context) continue;
        result.emplace_back(indices[i], node.index, std::string(who) + ", where " + node.reason);
      }
    }
  }
  return result;
}

const Spy::Visit* CompiledModel::visit(size_t subgraph) const {
  const std::vector<size_t> indices = planned_subgraphs();
  const auto found = std::find(indices.begin(), indices.end(), subgraph);
  return found == indices.end() ? nullptr : &spy_.visits()[static_cast<size_t>(found - indices.begin())];
}

void CompiledModel::check_call(LiteRtStatus status, ErrorKind kind, const std::string& what,
                               const std::string& messages) {
  if (status == LiteRtStatus::kOk) return;
  // What kernels reported is in `messages`; the runtime's own buffer has that too, and what it said itself.
  std::string said = messages;
  char* buffered = nullptr;
  if (api().LiteRtCompiledModelGetErrorMessages(compiled_.get(), &buffered) == LiteRtStatus::kOk &&
      buffered != nullptr) {
    said = buffered;
    std::free(buffered);
    static_cast<void>(api().LiteRtCompiledModelClearErrors(compiled_.get()));
  }
  try {
    check(status, kind, what);
  } catch (const Error& error) {
    throw Error(error.kind(), error.what() + reasons(said, {}));
  }
}

void CompiledModel::check_log(size_t first, ErrorKind kind, const std::string& what) const {
  if (!has_accelerator_library_) return;
  const std::string said = accelerator_errors(log_lines_, first);
  if (said.empty()) return;
  throw Error(kind, "the GPU's library logged an error when it " + what +
                        ", after which its outputs cannot be trusted: run this model on another delegate, or "
                        "without the op that it cannot do. The library said:" +
                        said);
}

LiteRtProfiler CompiledModel::profiler() const {
  LiteRtProfiler profiler = nullptr;
  check(api().LiteRtCompiledModelGetProfiler(compiled_.get(), &profiler), ErrorKind::kUnsupported,
        "get a profiler: the model was compiled without one");
  return profiler;
}

void CompiledModel::start_profiling() {
  check(api().LiteRtResetProfiler(profiler()), ErrorKind::kRun, "reset the profiler");
  check(api().LiteRtStartProfiler(profiler()), ErrorKind::kRun, "start the profiler");
}

std::vector<ProfiledEvent> CompiledModel::take_events() {
  int count = 0;
  check(api().LiteRtGetNumProfilerEvents(profiler(), &count), ErrorKind::kRun, "count the profiled events");
  if (count == 0) return {};  // the runtime refuses to hand over nothing
  std::vector<LiteRtProfilerEvent> raw(static_cast<size_t>(count));
  check(api().LiteRtGetProfilerEvents(profiler(), count, raw.data()), ErrorKind::kRun,
        "read the profiled events");
  std::vector<ProfiledEvent> events;
  events.reserve(raw.size());
  for (const LiteRtProfilerEvent& event : raw) {
    events.push_back({event.tag == nullptr ? "" : event.tag, event.type, event.source, event.start_us,
                      event.elapsed_us, event.metadata1, event.metadata2});
  }
  return events;
}

void CompiledModel::stop_profiling() {
  check(api().LiteRtStopProfiler(profiler()), ErrorKind::kRun, "stop the profiler");
}

}  // namespace litedelegates
