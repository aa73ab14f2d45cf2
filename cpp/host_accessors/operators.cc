// Operators (the registrations of opaque kernels), delegates, and the small things that their code links
// against.
#include <cstdlib>
#include <cstring>

#include "host_accessors/export.h"

struct TfLiteFloatArray {
  int32_t size;
  float data[];
};

namespace {

template <typename Array, typename Element>
Array* create_array(int size) {
  if (size < 0) return nullptr;
  auto* array = static_cast<Array*>(std::malloc(sizeof(Array) + sizeof(Element) * static_cast<size_t>(size)));
  if (array != nullptr) array->size = size;
  return array;
}

}  // namespace

// Allocated with new: the runtime deletes it.
TFLITE_HOST_EXPORT TfLiteOperator* TfLiteOperatorCreate(int32_t builtin_code, const char* custom_name,
                                                        int version, void* user_data) {
  auto* made = new TfLiteOperator{};
  made->custom_name = custom_name;
  made->version = version;
  made->builtin_code = builtin_code;
  made->node_index = -1;
  made->user_data = user_data;
  return made;
}

TFLITE_HOST_EXPORT void TfLiteOperatorDelete(TfLiteOperator* made) { delete made; }

TFLITE_HOST_EXPORT int32_t TfLiteOperatorGetBuiltInCode(const TfLiteOperator* made) {
  return made->builtin_code;
}

TFLITE_HOST_EXPORT const char* TfLiteOperatorGetCustomName(const TfLiteOperator* made) {
  return made->custom_name;
}

TFLITE_HOST_EXPORT int TfLiteOperatorGetVersion(const TfLiteOperator* made) {
  return made == nullptr ? -1 : made->version;
}

TFLITE_HOST_EXPORT void* TfLiteOperatorGetUserData(const TfLiteOperator* made) {
  return made == nullptr ? nullptr : made->user_data;
}

TFLITE_HOST_EXPORT void TfLiteOperatorSetInplaceOperator(TfLiteOperator* made, uint64_t inplace_operator) {
  made->inplace_operator = inplace_operator;
}

// Each callback can be set in two ways: plain, and with the user's data as its first argument.
#define TFLITE_HOST_SETTERS(Name, member)                                                      \
  TFLITE_HOST_EXPORT void TfLiteOperatorSet##Name(TfLiteOperator* made,                        \
                                                  decltype(TfLiteOperator::member) callback) { \
    made->member = callback;                                                                   \
  }                                                                                            \
  TFLITE_HOST_EXPORT TfLiteStatus TfLiteOperatorSet##Name##WithData(                           \
      TfLiteOperator* made, decltype(TfLiteOperator::member##_with_data) callback) {           \
    made->member##_with_data = callback;                                                       \
    return TfLiteStatus::kOk;                                                                  \
  }

TFLITE_HOST_SETTERS(Init, init)
TFLITE_HOST_SETTERS(Free, free)
TFLITE_HOST_SETTERS(Prepare, prepare)
TFLITE_HOST_SETTERS(Invoke, invoke)
TFLITE_HOST_SETTERS(AsyncKernel, async_kernel)

TFLITE_HOST_EXPORT TfLiteDelegate* TfLiteOpaqueDelegateCreate(const TfLiteOpaqueDelegateBuilder* builder) {
  if (builder == nullptr) return nullptr;
  auto* delegate = new TfLiteDelegate{};
  delegate->opaque_delegate_builder = new TfLiteOpaqueDelegateBuilder(*builder);
  return delegate;
}

TFLITE_HOST_EXPORT void TfLiteOpaqueDelegateDelete(TfLiteDelegate* delegate) {
  if (delegate == nullptr) return;
  delete delegate->opaque_delegate_builder;
  delete delegate;
}

TFLITE_HOST_EXPORT void* TfLiteOpaqueDelegateGetData(const TfLiteDelegate* delegate) {
  if (delegate == nullptr) return nullptr;
  const TfLiteOpaqueDelegateBuilder* builder = delegate->opaque_delegate_builder;
  return builder == nullptr ? delegate->data : builder->data;
}

TFLITE_HOST_EXPORT size_t TfLiteIntArrayGetSizeInBytes(int size) {
  return sizeof(TfLiteIntArray) + sizeof(int32_t) * static_cast<size_t>(size);
}

TFLITE_HOST_EXPORT TfLiteIntArray* TfLiteIntArrayCreate(int size) {
  return create_array<TfLiteIntArray, int32_t>(size);
}

TFLITE_HOST_EXPORT TfLiteIntArray* TfLiteIntArrayCopy(const TfLiteIntArray* source) {
  if (source == nullptr) return nullptr;
  TfLiteIntArray* copy = TfLiteIntArrayCreate(source->size);
  if (copy != nullptr)
    std::memcpy(copy->data, source->data, sizeof(int32_t) * static_cast<size_t>(source->size));
  return copy;
}

TFLITE_HOST_EXPORT int TfLiteIntArrayEqualsArray(const TfLiteIntArray* one, int size, const int* values) {
  if (one == nullptr) return size == 0;
  return one->size == size &&
         (size == 0 || std::memcmp(one->data, values, sizeof(int32_t) * static_cast<size_t>(size)) == 0);
}

TFLITE_HOST_EXPORT int TfLiteIntArrayEqual(const TfLiteIntArray* one, const TfLiteIntArray* other) {
  if (one == other) return 1;
  if (one == nullptr || other == nullptr) return 0;
  return TfLiteIntArrayEqualsArray(one, other->size, other->data);
}

TFLITE_HOST_EXPORT void TfLiteIntArrayFree(TfLiteIntArray* array) { std::free(array); }

TFLITE_HOST_EXPORT TfLiteFloatArray* TfLiteFloatArrayCreate(int size) {
  return create_array<TfLiteFloatArray, float>(size);
}

TFLITE_HOST_EXPORT void TfLiteFloatArrayFree(TfLiteFloatArray* array) { std::free(array); }

TFLITE_HOST_EXPORT const char* TfLiteTypeGetName(int32_t type) {
  constexpr const char* kNames[] = {
      "NOTYPE",    "FLOAT32", "INT32",   "UINT8",    "INT64",      "STRING", "BOOL",          "INT16",
      "COMPLEX64", "INT8",    "FLOAT16", "FLOAT64",  "COMPLEX128", "UINT64", "RESOURCE",      "VARIANT",
      "UINT32",    "UINT16",  "INT4",    "BFLOAT16", "INT2",       "UINT4",  "FLOAT8_E4M3FN", "FLOAT8_E5M2"};
  const bool is_known = type >= 0 && type < static_cast<int32_t>(sizeof(kNames) / sizeof(kNames[0]));
  return is_known ? kNames[type] : "Unknown type";
}
