#include "runtime/runner.h"

#include <algorithm>
#include <optional>

#include "model/schema.h"
#include "runtime/chatter.h"
#include "runtime/error.h"

namespace litedelegates {
namespace {

constexpr LiteRtStatus kRuntimeFailure{3};

}  // namespace

Runner::Runner(std::shared_ptr<CompiledModel> model, size_t signature, size_t subgraph)
    : model_(std::move(model)), signature_(signature), subgraph_(subgraph) {}

const model::Subgraph& Runner::subgraph() const {
  return model_->file().description().subgraphs.at(subgraph_);
}

void Runner::resize_input(size_t position, const std::vector<int32_t>& shape, bool strict) {
  const std::lock_guard<RunLock> lock(model_->running());
  const Messages messages;
  const auto resize = strict ? api().LiteRtCompiledModelResizeInputTensor
                             : api().LiteRtCompiledModelResizeInputTensorNonStrict;
  model_->check_call(resize(model_->get(), signature_, position, shape.data(), shape.size()),
                     ErrorKind::kCompile, "resize input " + std::to_string(position), messages.text());
  is_allocated_ = false;
  model_->change_layout();
}

LiteRtLayout Runner::input_layout(size_t position) const {
  LiteRtLayout layout{};
  check(api().LiteRtGetCompiledModelInputTensorLayout(model_->get(), signature_, position, &layout),
        ErrorKind::kCompile, "read the shape of input " + std::to_string(position));
  return layout;
}

std::vector<LiteRtLayout> Runner::output_layouts() {
  const Messages messages;
  std::vector<LiteRtLayout> layouts(subgraph().outputs.size());
  model_->check_call(api().LiteRtGetCompiledModelOutputTensorLayouts(model_->get(), signature_,
                                                                     layouts.size(), layouts.data(), true),
                     ErrorKind::kCompile, "allocate the tensors", messages.text());
  return layouts;
}

void Runner::allocate() {
  const std::lock_guard<RunLock> lock(model_->running());
  if (is_allocated_) return;
  // On the CPU nothing is written here, and catching costs more than allocating.
  std::optional<Chatter> chatter;
  const size_t known_lines = model_->log_lines().size();
  if (!model_->is_plain_cpu()) chatter.emplace(model_->log_lines());
  model_->change_layout();
  const std::vector<LiteRtLayout> layouts = output_layouts();
  const model::Subgraph& graph = subgraph();
  const auto type_of = [&](int32_t tensor) -> const ElementType& {
    return element_type(graph.tensors.at(static_cast<size_t>(tensor)).type);
  };
  std::vector<IoTensor> inputs, outputs;
  for (size_t i = 0; i < graph.inputs.size(); ++i) {
    LiteRtTensorBufferRequirements requirements = nullptr;
    check(api().LiteRtGetCompiledModelInputBufferRequirements(model_->get(), signature_, i, &requirements),
          ErrorKind::kCompile, "read what input " + std::to_string(i) + " needs");
    inputs.emplace_back(model_->environment(), requirements, type_of(graph.inputs[i]), input_layout(i));
  }
  for (size_t i = 0; i < graph.outputs.size(); ++i) {
    LiteRtTensorBufferRequirements requirements = nullptr;
    check(api().LiteRtGetCompiledModelOutputBufferRequirements(model_->get(), signature_, i, &requirements),
          ErrorKind::kCompile, "read what output " + std::to_string(i) + " needs");
    outputs.emplace_back(model_->environment(), requirements, type_of(graph.outputs[i]), layouts[i]);
  }
  inputs_ = std::move(inputs);
  outputs_ = std::move(outputs);
  raw_inputs_.clear();
  raw_outputs_.clear();
  has_device_tensors_ = false;
  for (const IoTensor& tensor : inputs_) {
    raw_inputs_.push_back(tensor.buffer());
    has_device_tensors_ |= tensor.is_on_device();
  }
  for (const IoTensor& tensor : outputs_) {
    raw_outputs_.push_back(tensor.buffer());
    has_device_tensors_ |= tensor.is_on_device();
  }
  const Spy::Visit* seen = model_->visit(subgraph_);
  context_ = seen == nullptr ? nullptr : seen->context;
  chatter.reset();
  model_->check_log(known_lines, ErrorKind::kDelegate, "prepared this model");
  is_proven_ = !model_->has_accelerator_library();
  is_allocated_ = true;
}

std::vector<size_t> Runner::dynamic_outputs() const {
  const model::Subgraph& graph = subgraph();
  const Spy::Visit* seen = model_->visit(subgraph_);
  if (seen == nullptr) return {};
  std::vector<bool> is_dynamic(graph.tensors.size());
  for (size_t i = 0; i < std::min(is_dynamic.size(), seen->context->tensors_size); ++i) {
    is_dynamic[i] = seen->context->tensors[i].allocation_type == kTfLiteAllocationDynamic;
  }
  // The runtime prepares ops up to the first of unknown size, and knows nothing of the sizes behind it.
  for (const model::Operator& op : graph.operators) {
    const bool reads_dynamic = std::any_of(op.inputs.begin(), op.inputs.end(), [&](int32_t input) {
      return input != model::kAbsent && is_dynamic[static_cast<size_t>(input)];
    });
    if (!reads_dynamic) continue;
    for (const int32_t output : op.outputs) is_dynamic[static_cast<size_t>(output)] = true;
  }
  std::vector<size_t> positions;
  for (size_t i = 0; i < graph.outputs.size(); ++i) {
    if (is_dynamic[static_cast<size_t>(graph.outputs[i])]) positions.push_back(i);
  }
  return positions;
}

void Runner::check_output_sizes() const {
  if (context_ == nullptr) return;
  const std::vector<int32_t>& outputs = subgraph().outputs;
  for (size_t i = 0; i < outputs.size(); ++i) {
    const auto tensor = static_cast<size_t>(outputs[i]);
    if (tensor >= context_->tensors_size) continue;
    const size_t bytes = context_->tensors[tensor].bytes;
    if (bytes == outputs_[i].bytes()) continue;
    throw Error(ErrorKind::kRun,
                "output " + std::to_string(i) + " has " + std::to_string(bytes) +
                    " bytes after the run where " + std::to_string(outputs_[i].bytes()) +
                    " were prepared: its size is only known while the model runs. Load the model with "
                    "experimental_preserve_all_tensors=True, which takes the classic route");
  }
}

void Runner::upload() const {
  for (const IoTensor& tensor : inputs_) tensor.upload();
}

void Runner::capture_steady_plan() {
  steady_version_ = model_->layout_version();
  steady_.forget();
  const Spy::Visit* seen = model_->is_plain_cpu() ? model_->visit(subgraph_) : nullptr;
  if (seen == nullptr) return;
  const auto bound = [](const std::vector<int32_t>& tensors, const std::vector<IoTensor>& memory) {
    std::vector<BoundTensor> result;
    for (size_t i = 0; i < tensors.size(); ++i) result.push_back({tensors[i], memory[i].memory().get()});
    return result;
  };
  steady_.capture(seen->context, seen->kernels, bound(subgraph().inputs, inputs_),
                  bound(subgraph().outputs, outputs_));
}

bool Runner::is_steady() const {
  return steady_.is_captured() && steady_version_ == model_->layout_version() && steady_.is_bound();
}

void Runner::raise_for(LiteRtStatus status, const Messages& messages) {
  if (status == LiteRtStatus::kOk) return;
  raise_if_interrupted();
  model_->check_call(status, ErrorKind::kRun, "run the model", messages.text());
}

void Runner::run() {
  const Messages messages;
  if (is_steady()) {
    if (!steady_.run(model_->interruption())) raise_for(kRuntimeFailure, messages);
    return;
  }
  raise_for(api().LiteRtRunCompiledModel(model_->get(), signature_, raw_inputs_.size(), raw_inputs_.data(),
                                         raw_outputs_.size(), raw_outputs_.data()),
            messages);
  check_output_sizes();
  if (steady_version_ != model_->layout_version()) capture_steady_plan();
}

std::vector<int64_t> Runner::time_kernels() {
  const std::lock_guard<RunLock> lock(model_->running());
  std::vector<int64_t> kernels_ns;
  if (!is_steady()) return kernels_ns;
  const Messages messages;
  model_->interruption().begin();
  if (!steady_.run(model_->interruption(), kernels_ns)) raise_for(kRuntimeFailure, messages);
  return kernels_ns;
}

void Runner::raise_if_interrupted() const {
  const Interruption::Reason reason = model_->interruption().reason();
  if (reason == Interruption::Reason::kNone) return;
  static_cast<void>(api().LiteRtCompiledModelClearErrors(model_->get()));  // it says that it was cancelled
  if (reason == Interruption::Reason::kTimeLimit) {
    throw Error(ErrorKind::kRunTimeout,
                "the run was stopped between two ops because its time limit was over: its outputs are not "
                "computed, and the next run starts anew");
  }
  throw Error(ErrorKind::kRun, "the run was stopped between two ops because the process was interrupted");
}

void Runner::read_back() const {
  for (const IoTensor& tensor : outputs_) tensor.read_back();
}

void Runner::prove() {
  if (is_proven_) return;
  const size_t known_lines = model_->log_lines().size();
  {
    const Chatter chatter(model_->log_lines());
    upload();
    run();
    read_back();
  }
  model_->check_log(known_lines, ErrorKind::kRun, "ran this model");
  is_proven_ = true;
}

void Runner::invoke(std::optional<double> time_limit_s) {
  const std::lock_guard<RunLock> lock(model_->running());
  if (time_limit_s) {
    model_->interruption().begin(*time_limit_s);
    if (model_->interruption().is_due()) raise_if_interrupted();  // nothing is left of it
  } else {
    model_->interruption().begin();
  }
  if (!is_proven_) return prove();
  if (has_device_tensors_) upload();
  run();
  if (has_device_tensors_) read_back();
}

}  // namespace litedelegates
