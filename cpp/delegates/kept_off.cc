#include "delegates/kept_off.h"

#include <algorithm>
#include <new>

namespace litedelegates {
namespace {

// A custom op of this name is known to nobody, and what is unknown stays where it is.
constexpr const char* kDisguise = "litedelegates kept off";

}  // namespace

KeptOff::KeptOff(Choose choose) : choose_(choose) {
  for (TfLiteDelegate* const delegate : {&before_, &after_}) {
    delegate->data = this;
    // Without this flag the runtime refuses models with tensors of dynamic size.
    delegate->flags = kTfLiteDelegateAllowsDynamicTensors;
  }
  before_.Prepare = disguise;
  after_.Prepare = restore;
}

TfLiteStatus KeptOff::disguise(TfLiteContext* context, TfLiteDelegate* self) {
  auto& kept_off = *static_cast<KeptOff*>(self->data);
  auto& nodes = kept_off.nodes_;
  try {
    std::erase_if(nodes, [&](const Node& node) { return node.context == context; });
    for (const auto& [index, reason] : kept_off.choose_(context)) {
      TfLiteNode* node = nullptr;
      TfLiteRegistration* registration = nullptr;
      if (context->GetNodeAndRegistration(context, index, &node, &registration) != TfLiteStatus::kOk)
        continue;
      nodes.push_back({context, index, reason, registration->builtin_code, registration->custom_name});
      registration->builtin_code = kTfLiteBuiltinCustom;
      registration->custom_name = kDisguise;
    }
  } catch (const std::bad_alloc&) {  // nothing may be thrown into the runtime
    return TfLiteStatus::kError;
  }
  return TfLiteStatus::kOk;
}

TfLiteStatus KeptOff::restore(TfLiteContext* context, TfLiteDelegate* self) {
  for (const Node& kept : static_cast<KeptOff*>(self->data)->nodes_) {
    if (kept.context != context) continue;
    // Asked for anew: the library added nodes, and the list of them may have moved.
    TfLiteNode* node = nullptr;
    TfLiteRegistration* registration = nullptr;
    if (context->GetNodeAndRegistration(context, kept.index, &node, &registration) != TfLiteStatus::kOk)
      return TfLiteStatus::kError;
    registration->builtin_code = kept.builtin_code;
    registration->custom_name = kept.custom_name;
  }
  return TfLiteStatus::kOk;
}

}  // namespace litedelegates
