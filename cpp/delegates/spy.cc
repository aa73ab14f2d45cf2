#include "delegates/spy.h"

#include <atomic>
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <new>
#include <utility>

#include "model/in_place.h"

#include "delegates/kernel_guard.h"

namespace litedelegates {
namespace {

std::vector<int32_t> to_vector(const TfLiteIntArray* array) {
  return array == nullptr ? std::vector<int32_t>{}
                          : std::vector<int32_t>(array->data, array->data + array->size);
}

const TfLiteIntArray* replaced_nodes(const TfLiteNode& node) {
  if (node.delegate != nullptr && node.delegate->opaque_delegate_builder != nullptr) {
    return static_cast<const TfLiteOpaqueDelegateParams*>(node.builtin_data)->nodes_to_replace;
  }
  return static_cast<const TfLiteDelegateParams*>(node.builtin_data)->nodes_to_replace;
}

const char* custom_name(const TfLiteRegistration& registration) {
  const TfLiteOperator* opaque = registration.registration_external;
  return opaque != nullptr && opaque->custom_name != nullptr ? opaque->custom_name : registration.custom_name;
}

PlannedNode describe(int32_t index, const TfLiteNode& node, const TfLiteRegistration& registration) {
  PlannedNode planned;
  planned.node_index = index;
  planned.builtin_code = registration.builtin_code;
  if (const char* name = custom_name(registration); name != nullptr) planned.name = name;
  if (registration.builtin_code == kTfLiteBuiltinDelegate && node.builtin_data != nullptr) {
    planned.replaced = to_vector(replaced_nodes(node));
  }
  planned.inputs = to_vector(node.inputs);
  planned.outputs = to_vector(node.outputs);
  return planned;
}

std::span<const int32_t> to_span(const TfLiteIntArray* array) {
  return array == nullptr ? std::span<const int32_t>{}
                          : std::span<const int32_t>(array->data, static_cast<size_t>(array->size));
}

// Forbids the ops of a plan to write in place where a value would be lost that is still read; returns their
// nodes. The runtime plans the memory after its delegates have prepared, and heeds the flags of each node.
std::vector<int32_t> keep_read_values(TfLiteContext* context, const std::vector<int32_t>& plan) {
  std::vector<model::PlannedOp> ops;
  std::vector<std::pair<int32_t, TfLiteRegistration*>> registrations;
  for (const int32_t index : plan) {
    TfLiteNode* node = nullptr;
    TfLiteRegistration* registration = nullptr;
    if (context->GetNodeAndRegistration(context, index, &node, &registration) != TfLiteStatus::kOk) continue;
    ops.push_back({to_span(node->inputs), to_span(node->outputs), registration->inplace_operator});
    registrations.emplace_back(index, registration);
  }
  std::vector<int32_t> forbidden;
  for (const size_t position : model::find_overwriting(ops, context->tensors_size)) {
    registrations[position].second->inplace_operator = 0;
    forbidden.push_back(registrations[position].first);
  }
  return forbidden;
}

std::vector<std::string> names_of_tensors(const TfLiteContext& context) {
  std::vector<std::string> names;
  for (size_t i = 0; i < context.tensors_size; ++i) {
    const char* name = context.tensors[i].name;
    names.emplace_back(name == nullptr ? "" : name);
  }
  return names;
}

// The runtime answers these questions to delegates only while they prepare, so all of it is read here.
Spy::Visit visit(TfLiteContext* context) {
  Spy::Visit result{context, {}, {}};
  result.plan.tensor_names = names_of_tensors(*context);
  TfLiteIntArray* order = nullptr;
  if (context->GetExecutionPlan(context, &order) != TfLiteStatus::kOk) return result;
  // The array is the interpreter's own and the next call overwrites it: copy before describing nodes.
  const std::vector<int32_t> indices(order->data, order->data + order->size);
  for (const int32_t index : indices) {
    TfLiteNode* node = nullptr;
    TfLiteRegistration* registration = nullptr;
    if (context->GetNodeAndRegistration(context, index, &node, &registration) != TfLiteStatus::kOk) {
      result.plan.nodes.push_back({index, -1, "unreadable", {}, {}, {}});
      result.kernels.push_back({nullptr, nullptr});
      continue;
    }
    result.plan.nodes.push_back(describe(index, *node, *registration));
    result.kernels.push_back(
        {registration->registration_external == nullptr ? registration->invoke : nullptr, node});
  }
  for (const PlannedNode& planned : result.plan.nodes) {
    for (const int32_t index : planned.replaced) {
      TfLiteNode* node = nullptr;
      TfLiteRegistration* registration = nullptr;
      if (context->GetNodeAndRegistration(context, index, &node, &registration) != TfLiteStatus::kOk)
        continue;
      result.plan.replaced.push_back(describe(index, *node, *registration));
    }
  }
  result.plan.not_in_place = keep_read_values(context, indices);
  return result;
}

thread_local Messages* current_messages = nullptr;

using ReportFunction = void (*)(TfLiteContext*, const char*, ...);
// Every context of the runtime carries the same function; kept to pass messages on.
std::atomic<ReportFunction> original_report{nullptr};

void report(TfLiteContext* context, const char* format, ...);

}  // namespace

void append_message(std::string_view line) {
  if (current_messages == nullptr) return;
  std::string& text = current_messages->text_;
  try {
    if (!text.empty()) text += '\n';
    text += line;
  } catch (const std::bad_alloc&) {
    return;  // the kernels that report would have to let it through
  }
}

namespace {

void report(TfLiteContext* context, const char* format, ...) {
  char line[1024];
  va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(line, sizeof(line), format, arguments);
  va_end(arguments);
  for (size_t end = std::strlen(line); end > 0 && (line[end - 1] == '\n' || line[end - 1] == ' '); --end) {
    line[end - 1] = 0;
  }
  append_message(line);
  if (const ReportFunction pass_on = original_report; pass_on != nullptr) pass_on(context, "%s", line);
}

}  // namespace

Spy::Spy() {
  delegate_.data = this;
  delegate_.Prepare = prepare;
  // Without this flag the runtime refuses models with tensors of dynamic size.
  delegate_.flags = kTfLiteDelegateAllowsDynamicTensors;
}

TfLiteStatus Spy::prepare(TfLiteContext* context, TfLiteDelegate* self) {
  auto* spy = static_cast<Spy*>(self->data);
  // Before the kernels are noted down: the steady plan calls them as they are then.
  if (guard_kernels(context) != TfLiteStatus::kOk) return TfLiteStatus::kError;
  try {
    for (Visit& seen : spy->visits_) {
      if (seen.context == context) {
        // What the first visit forbade stays so, and the second does not find it again.
        std::vector<int32_t> earlier = std::move(seen.plan.not_in_place);
        seen = visit(context);
        std::vector<int32_t>& forbidden = seen.plan.not_in_place;
        forbidden.insert(forbidden.begin(), earlier.begin(), earlier.end());
        return TfLiteStatus::kOk;
      }
    }
    spy->visits_.push_back(visit(context));
  } catch (const std::bad_alloc&) {  // nothing may be thrown into the runtime
    append_message("memory ran out while the execution plan was read");
    return TfLiteStatus::kError;
  }
  return TfLiteStatus::kOk;
}

Messages::Messages() : outer_(current_messages) { current_messages = this; }
Messages::~Messages() { current_messages = outer_; }

Listener::Listener() {
  delegate_.data = this;
  delegate_.Prepare = prepare;
  delegate_.flags = kTfLiteDelegateAllowsDynamicTensors;
}

TfLiteStatus Listener::prepare(TfLiteContext* context, TfLiteDelegate* self) {
  if (context->ReportError != report) {
    original_report = context->ReportError;
    context->ReportError = report;
  }
  auto* listener = static_cast<Listener*>(self->data);
  if (listener->tensor_names(context) != nullptr) return TfLiteStatus::kOk;
  try {
    listener->names_.emplace_back(context, names_of_tensors(*context));
  } catch (const std::bad_alloc&) {  // nothing may be thrown into the runtime
    append_message("memory ran out while the names of tensors were read");
    return TfLiteStatus::kError;
  }
  return TfLiteStatus::kOk;
}

const std::vector<std::string>* Listener::tensor_names(const TfLiteContext* context) const {
  for (const auto& [known, names] : names_) {
    if (known == context) return &names;
  }
  return nullptr;
}

}  // namespace litedelegates
