#include <cstdlib>
#include <cstring>
#include <new>

#include "host_accessors/export.h"

namespace {

struct QuantizationParams {
  float scale;
  int32_t zero_point;
};

// What each allocation type means, in the order of its values: none, mapped, arena, persistent arena,
// dynamic, persistent and read-only, custom, variant object, not on the CPU. The numbers are those of
// TFLite's enumerations.
struct AllocationFacts {
  int8_t strategy;           // unknown 0, none 1, mapped 2, arena 3, malloc 4, new 5
  int8_t address_stability;  // unknown 0, unstable 1, one run 2, all runs 3
  int8_t data_stability;
  int8_t data_known_step;  // unknown 0, init 1, prepare 2, eval 3
  int8_t shape_known_step;
};
constexpr AllocationFacts kFacts[] = {{1, 3, 3, 1, 1}, {2, 3, 3, 1, 1}, {3, 1, 2, 3, 2},
                                      {3, 1, 3, 3, 2}, {4, 2, 2, 3, 3}, {4, 2, 2, 2, 2},
                                      {0, 0, 0, 0, 0}, {5, 3, 2, 3, 3}, {0, 0, 0, 0, 0}};
constexpr AllocationFacts kUnknownFacts{};

const AllocationFacts& facts(const TfLiteTensor* tensor) {
  const int32_t type = tensor->allocation_type;
  const bool is_known = type >= 0 && type < static_cast<int32_t>(sizeof(kFacts) / sizeof(kFacts[0]));
  return is_known ? kFacts[type] : kUnknownFacts;
}

void free_data(TfLiteTensor* tensor) {
  const bool is_allocated = tensor->allocation_type == kTfLiteAllocationDynamic ||
                            tensor->allocation_type == kTfLiteAllocationPersistentRo;
  if (is_allocated) std::free(tensor->data);
  tensor->data = nullptr;
}

// A string tensor holds int32 count, int32 offsets[count + 1], then the characters.
const int32_t* string_header(const TfLiteTensor* tensor) { return static_cast<const int32_t*>(tensor->data); }

}  // namespace

struct TfLiteOpaqueTensorBuilder {
  int32_t type;
  void* data;
  int32_t allocation_type;
  QuantizationParams params;
  TfLiteQuantization quantization;
};

TFLITE_HOST_EXPORT int32_t TfLiteOpaqueTensorType(const TfLiteTensor* tensor) { return tensor->type; }

TFLITE_HOST_EXPORT int32_t TfLiteOpaqueTensorNumDims(const TfLiteTensor* tensor) {
  return tensor->dims == nullptr ? -1 : tensor->dims->size;
}

TFLITE_HOST_EXPORT int32_t TfLiteOpaqueTensorDim(const TfLiteTensor* tensor, int32_t index) {
  return tensor->dims->data[index];
}

TFLITE_HOST_EXPORT TfLiteStatus TfLiteOpaqueTensorGetNumDimsSignature(const TfLiteTensor* tensor,
                                                                      int32_t* count) {
  *count = tensor->dims_signature == nullptr ? -1 : tensor->dims_signature->size;
  return TfLiteStatus::kOk;
}

TFLITE_HOST_EXPORT TfLiteStatus TfLiteOpaqueTensorGetDimSignature(const TfLiteTensor* tensor, int32_t index,
                                                                  int32_t* length) {
  const bool has_signature = tensor->dims_signature != nullptr && tensor->dims_signature->size != 0;
  *length = (has_signature ? tensor->dims_signature : tensor->dims)->data[index];
  return TfLiteStatus::kOk;
}

TFLITE_HOST_EXPORT int TfLiteOpaqueTensorIsVariable(const TfLiteTensor* tensor) {
  return tensor->is_variable;
}

TFLITE_HOST_EXPORT size_t TfLiteOpaqueTensorByteSize(const TfLiteTensor* tensor) { return tensor->bytes; }

TFLITE_HOST_EXPORT void* TfLiteOpaqueTensorData(const TfLiteTensor* tensor) {
  return tensor == nullptr ? nullptr : tensor->data;
}

TFLITE_HOST_EXPORT const char* TfLiteOpaqueTensorName(const TfLiteTensor* tensor) { return tensor->name; }

TFLITE_HOST_EXPORT int32_t TfLiteOpaqueTensorGetAllocationType(const TfLiteTensor* tensor) {
  return tensor->allocation_type;
}

TFLITE_HOST_EXPORT int32_t TfLiteOpaqueTensorGetAllocationStrategy(const TfLiteTensor* tensor) {
  return facts(tensor).strategy;
}

TFLITE_HOST_EXPORT int32_t TfLiteOpaqueTensorGetBufferAddressStability(const TfLiteTensor* tensor) {
  return facts(tensor).address_stability;
}

TFLITE_HOST_EXPORT int32_t TfLiteOpaqueTensorGetDataStability(const TfLiteTensor* tensor) {
  return facts(tensor).data_stability;
}

TFLITE_HOST_EXPORT int32_t TfLiteOpaqueTensorGetDataKnownStep(const TfLiteTensor* tensor) {
  return facts(tensor).data_known_step;
}

TFLITE_HOST_EXPORT int32_t TfLiteOpaqueTensorGetShapeKnownStep(const TfLiteTensor* tensor) {
  return facts(tensor).shape_known_step;
}

TFLITE_HOST_EXPORT TfLiteQuantization TfLiteOpaqueTensorGetQuantization(const TfLiteTensor* tensor) {
  return tensor->quantization;
}

TFLITE_HOST_EXPORT QuantizationParams TfLiteOpaqueTensorGetQuantizationParams(const TfLiteTensor* tensor) {
  return {tensor->scale, tensor->zero_point};
}

TFLITE_HOST_EXPORT TfLiteStatus TfLiteOpaqueTensorCopyFromBuffer(TfLiteTensor* tensor, const void* source,
                                                                 size_t bytes) {
  if (tensor->bytes != bytes) return TfLiteStatus::kError;
  if (bytes != 0) std::memcpy(tensor->data, source, bytes);
  return TfLiteStatus::kOk;
}

TFLITE_HOST_EXPORT TfLiteStatus TfLiteOpaqueTensorCopyToBuffer(const TfLiteTensor* tensor, void* target,
                                                               size_t bytes) {
  if (tensor->bytes != bytes) return TfLiteStatus::kError;
  if (bytes != 0) std::memcpy(target, tensor->data, bytes);
  return TfLiteStatus::kOk;
}

TFLITE_HOST_EXPORT int TfLiteOpaqueTensorGetStringCount(const TfLiteTensor* tensor) {
  return tensor->data == nullptr ? 0 : *string_header(tensor);
}

TFLITE_HOST_EXPORT TfLiteStatus TfLiteOpaqueTensorGetString(const TfLiteTensor* tensor, int index,
                                                            const char** text, int* length) {
  const int32_t* offsets = string_header(tensor) + 1;
  *text = static_cast<const char*>(tensor->data) + offsets[index];
  *length = offsets[index + 1] - offsets[index];
  return TfLiteStatus::kOk;
}

TFLITE_HOST_EXPORT TfLiteStatus TfLiteOpaqueTensorWriteStrings(TfLiteTensor* tensor, const char* const* texts,
                                                               int count, const int* lengths) {
  const size_t header_bytes = sizeof(int32_t) * (static_cast<size_t>(count) + 2);
  size_t bytes = header_bytes;
  for (int i = 0; i < count; ++i) bytes += static_cast<size_t>(lengths[i]);
  auto* data = static_cast<char*>(std::malloc(bytes));
  auto* dims = static_cast<TfLiteIntArray*>(std::malloc(sizeof(TfLiteIntArray) + sizeof(int32_t)));
  if (data == nullptr || dims == nullptr) {
    std::free(data);
    std::free(dims);
    return TfLiteStatus::kError;
  }
  auto* header = reinterpret_cast<int32_t*>(data);
  header[0] = count;
  int32_t at = static_cast<int32_t>(header_bytes);
  for (int i = 0; i < count; ++i) {
    header[i + 1] = at;
    std::memcpy(data + at, texts[i], static_cast<size_t>(lengths[i]));
    at += lengths[i];
  }
  header[count + 1] = at;
  dims->size = 1;
  dims->data[0] = count;
  free_data(tensor);
  std::free(tensor->dims);
  tensor->dims = dims;
  tensor->data = data;
  tensor->bytes = bytes;
  tensor->allocation_type = kTfLiteAllocationDynamic;
  return TfLiteStatus::kOk;
}

TFLITE_HOST_EXPORT TfLiteStatus TfLiteOpaqueTensorWriteString(TfLiteTensor* tensor, const char* text,
                                                              int length) {
  return TfLiteOpaqueTensorWriteStrings(tensor, &text, 1, &length);
}

TFLITE_HOST_EXPORT void TfLiteOpaqueTensorSetAllocationTypeToDynamic(TfLiteTensor* tensor) {
  if (tensor->allocation_type == kTfLiteAllocationDynamic) return;
  free_data(tensor);
  tensor->allocation_type = kTfLiteAllocationDynamic;
}

TFLITE_HOST_EXPORT void TfLiteOpaqueTensorSetNonCpuAllocation(TfLiteTensor* tensor) {
  tensor->allocation_type = kTfLiteAllocationNonCpu;
}

TFLITE_HOST_EXPORT TfLiteOpaqueTensorBuilder* TfLiteOpaqueTensorBuilderCreate() {
  return new (std::nothrow) TfLiteOpaqueTensorBuilder{};
}

TFLITE_HOST_EXPORT void TfLiteOpaqueTensorBuilderDelete(TfLiteOpaqueTensorBuilder* builder) {
  delete builder;
}

TFLITE_HOST_EXPORT TfLiteOpaqueTensorBuilder* TfLiteOpaqueTensorBuilderSetType(
    TfLiteOpaqueTensorBuilder* builder, int32_t type) {
  builder->type = type;
  return builder;
}

TFLITE_HOST_EXPORT TfLiteOpaqueTensorBuilder* TfLiteOpaqueTensorBuilderSetData(
    TfLiteOpaqueTensorBuilder* builder, void* data) {
  builder->data = data;
  return builder;
}

TFLITE_HOST_EXPORT TfLiteOpaqueTensorBuilder* TfLiteOpaqueTensorBuilderSetAllocationType(
    TfLiteOpaqueTensorBuilder* builder, int32_t allocation_type) {
  builder->allocation_type = allocation_type;
  return builder;
}

TFLITE_HOST_EXPORT TfLiteOpaqueTensorBuilder* TfLiteOpaqueTensorBuilderSetQuantizationParams(
    TfLiteOpaqueTensorBuilder* builder, QuantizationParams params) {
  builder->params = params;
  return builder;
}

TFLITE_HOST_EXPORT TfLiteOpaqueTensorBuilder* TfLiteOpaqueTensorBuilderSetQuantization(
    TfLiteOpaqueTensorBuilder* builder, TfLiteQuantization quantization) {
  builder->quantization = quantization;
  return builder;
}

TFLITE_HOST_EXPORT TfLiteStatus TfLiteOpaqueContextAddTensor(TfLiteContext* context,
                                                             TfLiteOpaqueTensorBuilder* builder,
                                                             int* new_index) {
  const bool is_dynamic = builder->allocation_type == kTfLiteAllocationDynamic;
  const bool is_arena = builder->allocation_type == kTfLiteAllocationArenaRw ||
                        builder->allocation_type == kTfLiteAllocationArenaRwPersistent;
  if (!is_dynamic && !is_arena) {
    context->ReportError(context, "a tensor of allocation type %d cannot be added", builder->allocation_type);
    return TfLiteStatus::kError;
  }
  // Dynamic tensors come with their data, and the arena finds the place of the others.
  if (is_dynamic != (builder->data != nullptr)) {
    context->ReportError(context, "a tensor with%s data cannot be added with allocation type %d",
                         is_dynamic ? "out" : "", builder->allocation_type);
    return TfLiteStatus::kError;
  }
  int32_t index = -1;
  const TfLiteStatus status = context->AddTensors(context, 1, &index);
  if (status != TfLiteStatus::kOk) return status;
  TfLiteTensor& tensor = context->tensors[index];
  tensor.type = builder->type;
  tensor.data = builder->data;
  tensor.allocation_type = builder->allocation_type;
  tensor.scale = builder->params.scale;
  tensor.zero_point = builder->params.zero_point;
  tensor.quantization = builder->quantization;
  if (new_index != nullptr) *new_index = index;
  return TfLiteStatus::kOk;
}
