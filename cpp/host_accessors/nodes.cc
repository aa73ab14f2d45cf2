#include <cstdlib>
#include <cstring>

#include "host_accessors/export.h"

namespace {

TfLiteTensor* tensor_at(const TfLiteContext* context, const TfLiteIntArray* indices, int position) {
  if (position < 0 || position >= indices->size || indices->data[position] < 0) return nullptr;
  const int32_t index = indices->data[position];
  return context->tensors != nullptr ? &context->tensors[index] : context->GetTensor(context, index);
}

int index_at(const TfLiteIntArray* indices, int position) {
  return position < 0 || position >= indices->size ? -1 : indices->data[position];
}

TfLiteStatus give(const TfLiteIntArray* array, const int** values, int* count) {
  *values = array == nullptr ? nullptr : array->data;
  *count = array == nullptr ? 0 : array->size;
  return TfLiteStatus::kOk;
}

}  // namespace

TFLITE_HOST_EXPORT const TfLiteTensor* TfLiteOpaqueNodeGetInput(const TfLiteContext* context,
                                                                const TfLiteNode* node, int position) {
  return tensor_at(context, node->inputs, position);
}

TFLITE_HOST_EXPORT TfLiteTensor* TfLiteOpaqueNodeGetOutput(TfLiteContext* context, const TfLiteNode* node,
                                                           int position) {
  return tensor_at(context, node->outputs, position);
}

TFLITE_HOST_EXPORT int TfLiteOpaqueNodeNumberOfInputs(const TfLiteNode* node) { return node->inputs->size; }

TFLITE_HOST_EXPORT int TfLiteOpaqueNodeNumberOfOutputs(const TfLiteNode* node) { return node->outputs->size; }

TFLITE_HOST_EXPORT void* TfLiteOpaqueNodeGetUserData(const TfLiteNode* node) { return node->user_data; }

TFLITE_HOST_EXPORT void* TfLiteOpaqueNodeGetBuiltinData(const TfLiteNode* node) { return node->builtin_data; }

TFLITE_HOST_EXPORT TfLiteStatus TfLiteOpaqueNodeGetCustomInitialData(const TfLiteNode* node,
                                                                     const void** data, int* size) {
  *data = node->custom_initial_data;
  *size = node->custom_initial_data_size;
  return TfLiteStatus::kOk;
}

TFLITE_HOST_EXPORT TfLiteStatus TfLiteOpaqueNodeInputs(const TfLiteNode* node, const int** inputs,
                                                       int* count) {
  return give(node->inputs, inputs, count);
}

TFLITE_HOST_EXPORT TfLiteStatus TfLiteOpaqueNodeOutputs(const TfLiteNode* node, const int** outputs,
                                                        int* count) {
  return give(node->outputs, outputs, count);
}

TFLITE_HOST_EXPORT TfLiteStatus TfLiteOpaqueNodeTemporaries(const TfLiteNode* node, const int** temporaries,
                                                            int* count) {
  return give(node->temporaries, temporaries, count);
}

TFLITE_HOST_EXPORT TfLiteStatus TfLiteOpaqueNodeSetTemporaries(TfLiteNode* node, const int* temporaries,
                                                               int count) {
  if (count < 0) return TfLiteStatus::kError;
  const size_t bytes = sizeof(int32_t) * static_cast<size_t>(count);
  auto* array = static_cast<TfLiteIntArray*>(std::malloc(sizeof(TfLiteIntArray) + bytes));
  if (array == nullptr) return TfLiteStatus::kError;
  array->size = count;
  if (count > 0) std::memcpy(array->data, temporaries, bytes);
  std::free(node->temporaries);
  node->temporaries = array;
  return TfLiteStatus::kOk;
}

TFLITE_HOST_EXPORT int TfLiteOpaqueNodeGetInputTensorIndex(const TfLiteNode* node, int position) {
  return index_at(node->inputs, position);
}

TFLITE_HOST_EXPORT int TfLiteOpaqueNodeGetOutputTensorIndex(const TfLiteNode* node, int position) {
  return index_at(node->outputs, position);
}
