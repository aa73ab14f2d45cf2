#include "delegates/kernel_guard.h"

#include <array>
#include <mutex>
#include <utility>

#include "delegates/operand_checks.h"

namespace litedelegates {
namespace {

using KernelFunction = TfLiteStatus (*)(TfLiteContext*, TfLiteNode*);

// A kernel with the checks before it. The runtime hands its functions nothing of ours, so each gets functions
// of its own, which know it by its number.
struct Guarded {
  const OperandCheck* check = nullptr;
  KernelFunction prepare = nullptr, invoke = nullptr;
};

// Kernels, not nodes: the checked ops, in each variant (optimized, reference) of each runtime in the process.
constexpr size_t kMostGuarded = 128;

std::array<Guarded, kMostGuarded> guarded;
size_t guarded_count = 0;
std::mutex guarding;  // for adding; an entry never changes once a node has its functions

template <size_t number>
TfLiteStatus checked_prepare(TfLiteContext* context, TfLiteNode* node) {
  const Guarded& kernel = guarded[number];
  if (!kernel.check->passes(*context, *node)) return TfLiteStatus::kError;
  return kernel.prepare(context, node);
}

template <size_t number>
TfLiteStatus checked_invoke(TfLiteContext* context, TfLiteNode* node) {
  const Guarded& kernel = guarded[number];
  if (!kernel.check->passes(*context, *node)) return TfLiteStatus::kError;
  return kernel.invoke(context, node);
}

struct Functions {
  KernelFunction prepare, invoke;
};

template <size_t... numbers>
constexpr std::array<Functions, sizeof...(numbers)> make_functions(std::index_sequence<numbers...>) {
  return {{{checked_prepare<numbers>, checked_invoke<numbers>}...}};
}

constexpr auto kFunctions = make_functions(std::make_index_sequence<kMostGuarded>{});

// Whether a registration has functions from here; a node is seen again when delegates are applied anew.
bool is_guarded(const TfLiteRegistration& kernel) {
  for (size_t i = 0; i < guarded_count; ++i) {
    const OperandCheck& check = *guarded[i].check;
    if (check.is_before_prepare && kernel.prepare == kFunctions[i].prepare) return true;
    if (check.is_before_invoke && kernel.invoke == kFunctions[i].invoke) return true;
  }
  return false;
}

// The number of a kernel, or kMostGuarded when there is no room.
size_t number_of(const OperandCheck* check, const TfLiteRegistration& kernel) {
  for (size_t i = 0; i < guarded_count; ++i) {
    const Guarded& known = guarded[i];
    if (known.check == check && known.prepare == kernel.prepare && known.invoke == kernel.invoke) return i;
  }
  if (guarded_count == kMostGuarded) return kMostGuarded;
  guarded[guarded_count] = {check, kernel.prepare, kernel.invoke};
  return guarded_count++;
}

TfLiteStatus guard(TfLiteContext* context, TfLiteRegistration& kernel) {
  const OperandCheck* check = find_operand_check(kernel);
  if (check == nullptr || kernel.registration_external != nullptr) return TfLiteStatus::kOk;
  const std::lock_guard<std::mutex> lock(guarding);
  if (is_guarded(kernel)) return TfLiteStatus::kOk;
  const size_t number = number_of(check, kernel);
  if (number == kMostGuarded) {
    context->ReportError(context, "%s: more than %zu kernels of this process need a check", check->op,
                         kMostGuarded);
    return TfLiteStatus::kError;
  }
  if (check->is_before_prepare && kernel.prepare != nullptr) {
    kernel.prepare = kFunctions[number].prepare;
  }
  if (check->is_before_invoke && kernel.invoke != nullptr) kernel.invoke = kFunctions[number].invoke;
  return TfLiteStatus::kOk;
}

TfLiteStatus prepare_guard(TfLiteContext* context, TfLiteDelegate*) { return guard_kernels(context); }

}  // namespace

TfLiteStatus guard_kernels(TfLiteContext* context) {
  TfLiteIntArray* plan = nullptr;
  if (context->GetExecutionPlan(context, &plan) != TfLiteStatus::kOk) return TfLiteStatus::kOk;
  for (int32_t i = 0; i < plan->size; ++i) {
    TfLiteNode* node = nullptr;
    TfLiteRegistration* kernel = nullptr;
    if (context->GetNodeAndRegistration(context, plan->data[i], &node, &kernel) != TfLiteStatus::kOk)
      continue;
    if (const TfLiteStatus status = guard(context, *kernel); status != TfLiteStatus::kOk) return status;
  }
  return TfLiteStatus::kOk;
}

KernelGuard::KernelGuard() {
  own_.Prepare = prepare_guard;
  own_.flags = kTfLiteDelegateAllowsDynamicTensors;
  delegate_ = &own_;
}

}  // namespace litedelegates
