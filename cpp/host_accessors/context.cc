#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <tuple>
#include <vector>

#include "host_accessors/export.h"

namespace {

std::vector<int> plan_of(TfLiteContext* context) {
  TfLiteIntArray* plan = nullptr;
  if (context->GetExecutionPlan(context, &plan) != TfLiteStatus::kOk || plan == nullptr) return {};
  return {plan->data, plan->data + plan->size};
}

TfLiteStatus refuse(const TfLiteContext* context, const char* what) {
  auto* mutable_context = const_cast<TfLiteContext*>(context);
  mutable_context->ReportError(mutable_context, "%s is not known outside of the runtime", what);
  return TfLiteStatus::kError;
}

// Operators that describe the model's own nodes. The runtime would free them with the model, which is not
// told here, so there is one for each kind of op, for good.
const TfLiteOperator* describing(const TfLiteRegistration& registration) {
  struct Kept {
    std::string custom_name;
    TfLiteOperator made;
  };
  static auto* mutex = new std::mutex;
  static auto* kept = new std::map<std::tuple<int32_t, std::string, int32_t>, std::unique_ptr<Kept>>;
  const std::string name = registration.custom_name == nullptr ? "" : registration.custom_name;
  const std::lock_guard<std::mutex> lock(*mutex);
  std::unique_ptr<Kept>& found = (*kept)[{registration.builtin_code, name, registration.version}];
  if (found == nullptr) {
    found = std::make_unique<Kept>();
    found->custom_name = name;
    found->made = {};
    if (registration.custom_name != nullptr) found->made.custom_name = found->custom_name.c_str();
    found->made.version = registration.version;
    found->made.builtin_code = registration.builtin_code;
    found->made.node_index = -1;
  }
  return &found->made;
}

}  // namespace

TFLITE_HOST_EXPORT TfLiteStatus TfLiteOpaqueContextGetExecutionPlan(TfLiteContext* context,
                                                                    TfLiteIntArray** plan) {
  return context->GetExecutionPlan(context, plan);
}

TFLITE_HOST_EXPORT TfLiteStatus TfLiteOpaqueContextGetExternalContext(TfLiteContext* context, void** external,
                                                                      int32_t type) {
  *external = context->GetExternalContext(context, type);
  return TfLiteStatus::kOk;
}

TFLITE_HOST_EXPORT TfLiteStatus TfLiteOpaqueContextGetNodeAndRegistration(TfLiteContext* context, int index,
                                                                          TfLiteNode** node,
                                                                          const TfLiteOperator** described) {
  TfLiteRegistration* registration = nullptr;
  const TfLiteStatus status = context->GetNodeAndRegistration(context, index, node, &registration);
  if (status != TfLiteStatus::kOk) return status;
  const TfLiteOperator* opaque = registration->registration_external;
  *described = opaque != nullptr ? opaque : describing(*registration);
  return TfLiteStatus::kOk;
}

TFLITE_HOST_EXPORT TfLiteStatus TfLiteOpaqueContextReplaceNodeSubsetsWithDelegateKernels(
    TfLiteContext* context, TfLiteOperator* kernel, const TfLiteIntArray* nodes, TfLiteDelegate* delegate) {
  TfLiteRegistration registration{};
  registration.registration_external = kernel;  // the runtime owns it from here
  return context->ReplaceNodeSubsetsWithDelegateKernels(context, registration, nodes, delegate);
}

TFLITE_HOST_EXPORT TfLiteTensor* TfLiteOpaqueContextGetOpaqueTensor(const TfLiteContext* context, int index) {
  return context->tensors != nullptr ? &context->tensors[index] : context->GetTensor(context, index);
}

TFLITE_HOST_EXPORT TfLiteStatus TfLiteOpaqueContextGetInputs(const TfLiteContext* context, const int**,
                                                             int*) {
  return refuse(context, "the list of a graph's inputs");
}

TFLITE_HOST_EXPORT TfLiteStatus TfLiteOpaqueContextGetOutputs(const TfLiteContext* context, const int**,
                                                              int*) {
  return refuse(context, "the list of a graph's outputs");
}

TFLITE_HOST_EXPORT TfLiteStatus TfLiteOpaqueContextGetVariables(const TfLiteContext* context,
                                                                const int** variables, int* count) {
  // The runtime keeps its array as long as the model lives; this one stays as it is until the model changes.
  static auto* mutex = new std::mutex;
  static auto* kept = new std::map<const TfLiteContext*, std::vector<int>>;
  std::vector<int> found;
  for (size_t i = 0; i < context->tensors_size; ++i) {
    if (context->tensors[i].is_variable) found.push_back(static_cast<int>(i));
  }
  const std::lock_guard<std::mutex> lock(*mutex);
  std::vector<int>& own = (*kept)[context];
  if (own != found) own = std::move(found);
  *variables = own.data();
  *count = static_cast<int>(own.size());
  return TfLiteStatus::kOk;
}

// New nodes go to the end of the runtime's list and into its plan, so the last one is always planned.
TFLITE_HOST_EXPORT size_t TfLiteOpaqueContextGetNumNodes(TfLiteContext* context) {
  size_t count = 0;
  for (const int index : plan_of(context)) count = std::max(count, static_cast<size_t>(index) + 1);
  return count;
}

TFLITE_HOST_EXPORT size_t TfLiteOpaqueContextGetNumTensors(const TfLiteContext* context) {
  return context->tensors_size;
}

TFLITE_HOST_EXPORT const char* TfLiteOpaqueContextGetName(const TfLiteContext*) { return ""; }

TFLITE_HOST_EXPORT TfLiteStatus TfLiteOpaqueContextResizeTensor(TfLiteContext* context, TfLiteTensor* tensor,
                                                                TfLiteIntArray* size) {
  return context->ResizeTensor(context, tensor, size);
}

TFLITE_HOST_EXPORT TfLiteStatus TfLiteOpaqueContextAcquireSubgraphContext(TfLiteContext* context,
                                                                          int subgraph,
                                                                          TfLiteContext** acquired) {
  if (context->AcquireSubgraphContext == nullptr) return TfLiteStatus::kError;
  return context->AcquireSubgraphContext(context, subgraph, acquired);
}

TFLITE_HOST_EXPORT TfLiteStatus TfLiteOpaqueContextReleaseSubgraphContext(TfLiteContext* context,
                                                                          int subgraph) {
  if (context->ReleaseSubgraphContext == nullptr) return TfLiteStatus::kError;
  return context->ReleaseSubgraphContext(context, subgraph);
}

TFLITE_HOST_EXPORT TfLiteStatus TfLiteOpaqueContextMarkSubgraphAsDelegationSkippable(TfLiteContext* context,
                                                                                     int) {
  return refuse(context, "how to let later delegates skip a subgraph");
}

TFLITE_HOST_EXPORT TfLiteStatus TfLiteOpaqueContextGetNodeInitDataMmapInfo(const TfLiteContext* context,
                                                                           const TfLiteNode*, int*, int64_t*,
                                                                           int64_t*) {
  return refuse(context, "where a node's data lies in the file");
}

TFLITE_HOST_EXPORT TfLiteStatus TfLiteOpaqueContextGetSizeOfType(TfLiteContext* context, int32_t type,
                                                                 size_t* bytes) {
  // By the number of the type; 0 has no size of its own: none, strings, resources, variants.
  constexpr uint8_t kBytes[] = {0, 4, 4, 1, 8, 0, 1, 2, 8, 1, 2, 8, 16, 8, 0, 0, 4, 2, 1, 2, 1, 1, 1, 1};
  const bool is_known = type >= 0 && type < static_cast<int32_t>(sizeof(kBytes)) && kBytes[type] != 0;
  if (!is_known) {
    context->ReportError(context, "elements of type %d have no size of their own", type);
    return TfLiteStatus::kError;
  }
  *bytes = kBytes[type];
  return TfLiteStatus::kOk;
}

TFLITE_HOST_EXPORT TfLiteStatus TfLiteOpaqueContextGetMetadata(TfLiteContext* context, const char* name,
                                                               const char** content, size_t* bytes) {
  if (context->GetModelMetadata == nullptr) return TfLiteStatus::kError;
  return context->GetModelMetadata(context, name, content, bytes);
}

TFLITE_HOST_EXPORT void TfLiteOpaqueContextReportErrorVa(TfLiteContext* context, const char* format,
                                                         va_list arguments) {
  va_list again;
  va_copy(again, arguments);
  const int length = std::vsnprintf(nullptr, 0, format, again);
  va_end(again);
  if (length < 0) return;
  std::string text(static_cast<size_t>(length) + 1, '\0');
  std::vsnprintf(text.data(), text.size(), format, arguments);
  context->ReportError(context, "%s", text.c_str());
}

TFLITE_HOST_EXPORT void TfLiteOpaqueContextReportError(TfLiteContext* context, const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  TfLiteOpaqueContextReportErrorVa(context, format, arguments);
  va_end(arguments);
}
