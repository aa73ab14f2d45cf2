#include "delegates/steady_plan.h"

#include <chrono>

namespace litedelegates {
namespace {

bool is_there(const TfLiteContext& context, const BoundTensor& bound) {
  return static_cast<size_t>(bound.tensor) < context.tensors_size &&
         context.tensors[bound.tensor].data == bound.address;
}

bool is_steady(const TfLiteContext& context) {
  for (size_t i = 0; i < context.tensors_size; ++i) {
    const TfLiteTensor& tensor = context.tensors[i];
    const bool is_elsewhere = tensor.data_is_stale || tensor.buffer_handle != kTfLiteNullBufferHandle;
    if (tensor.allocation_type == kTfLiteAllocationDynamic || is_elsewhere) return false;
  }
  return true;
}

}  // namespace

bool SteadyPlan::capture(TfLiteContext* context, std::span<const Kernel> kernels,
                         std::span<const BoundTensor> inputs, std::span<const BoundTensor> outputs) {
  forget();
  for (const BoundTensor& input : inputs) {
    if (!is_there(*context, input)) return false;
  }
  for (const BoundTensor& output : outputs) {
    // A constant output is copied by the runtime after each run.
    if (!is_there(*context, output) ||
        context->tensors[output.tensor].allocation_type == kTfLiteAllocationMmapRo) {
      return false;
    }
  }
  if (!is_steady(*context)) return false;
  for (const Kernel& kernel : kernels) {
    if (kernel.invoke == nullptr) return false;
  }
  context_ = context;
  // The kernels last: with them it counts as captured, and memory may run out before.
  bound_.assign(inputs.begin(), inputs.end());
  bound_.insert(bound_.end(), outputs.begin(), outputs.end());
  kernels_.assign(kernels.begin(), kernels.end());
  return is_captured();
}

bool SteadyPlan::is_bound() const {
  for (const BoundTensor& bound : bound_) {
    if (!is_there(*context_, bound)) return false;
  }
  return true;
}

bool SteadyPlan::run(Interruption& interruption) const {
  // Not before the first: many models are one kernel, and a run of it costs less than some clocks.
  bool is_first = true;
  for (const Kernel& kernel : kernels_) {
    if (!is_first && interruption.is_due()) return false;
    is_first = false;
    if (kernel.invoke(context_, kernel.node) != TfLiteStatus::kOk) return false;
  }
  return true;
}

bool SteadyPlan::run(Interruption& interruption, std::vector<int64_t>& kernels_ns) const {
  using Clock = std::chrono::steady_clock;
  kernels_ns.clear();
  for (const Kernel& kernel : kernels_) {
    if (interruption.is_due()) return false;
    const Clock::time_point begin = Clock::now();
    if (kernel.invoke(context_, kernel.node) != TfLiteStatus::kOk) return false;
    kernels_ns.push_back(std::chrono::nanoseconds(Clock::now() - begin).count());
  }
  return true;
}

}  // namespace litedelegates
