// The part of TFLite's C structures that a delegate sees, in our own words. 64-bit layouts, stable since
// TFLite 2.4; the members that are not used here are only kept as room.
#pragma once

#include <cstddef>
#include <cstdint>

extern "C" {

struct TfLiteContext;
struct TfLiteDelegate;

struct TfLiteIntArray {
  int32_t size;
  int32_t data[];
};

enum class TfLiteStatus : int32_t { kOk = 0, kError = 1, kDelegateError = 2 };
inline constexpr int32_t kTfLiteAllocationMmapRo = 1;
inline constexpr int32_t kTfLiteAllocationDynamic = 4;
inline constexpr int32_t kTfLiteNullBufferHandle = -1;
inline constexpr int32_t kTfLiteBuiltinCustom = 32;
inline constexpr int32_t kTfLiteBuiltinDelegate = 51;
inline constexpr int64_t kTfLiteDelegateAllowsDynamicTensors = 1;

struct TfLiteTensor {
  int32_t type;
  void* data;
  TfLiteIntArray* dims;
  float scale;
  int32_t zero_point;
  int32_t allocation_type;
  size_t bytes;
  const void* allocation;
  const char* name;
  TfLiteDelegate* delegate;
  int32_t buffer_handle;
  bool data_is_stale;
  bool is_variable;
  struct {
    int32_t type;
    void* params;
  } quantization;
  void* sparsity;
  const TfLiteIntArray* dims_signature;
};

struct TfLiteNode {
  TfLiteIntArray* inputs;
  TfLiteIntArray* outputs;
  TfLiteIntArray* intermediates;
  TfLiteIntArray* temporaries;
  void* user_data;
  void* builtin_data;
  const void* custom_initial_data;
  int32_t custom_initial_data_size;
  TfLiteDelegate* delegate;
  bool might_have_side_effect;
};
static_assert(sizeof(TfLiteNode) == 80);

struct TfLiteRegistration {
  void* (*init)(TfLiteContext*, const char* buffer, size_t length);
  void (*free)(TfLiteContext*, void* buffer);
  TfLiteStatus (*prepare)(TfLiteContext*, TfLiteNode*);
  TfLiteStatus (*invoke)(TfLiteContext*, TfLiteNode*);
  const char* (*profiling_string)(const TfLiteContext*, const TfLiteNode*);
  int32_t builtin_code;
  const char* custom_name;
  int32_t version;
  void* registration_external;
  void* async_kernel;
  uint64_t inplace_operator;
};
static_assert(sizeof(TfLiteRegistration) == 88);

struct TfLiteContext {
  size_t tensors_size;
  TfLiteStatus (*GetExecutionPlan)(TfLiteContext*, TfLiteIntArray** plan);
  TfLiteTensor* tensors;
  void* impl;
  TfLiteStatus (*ResizeTensor)(TfLiteContext*, TfLiteTensor*, TfLiteIntArray*);
  void (*ReportError)(TfLiteContext*, const char* format, ...);
  TfLiteStatus (*AddTensors)(TfLiteContext*, int32_t, int32_t*);
  TfLiteStatus (*GetNodeAndRegistration)(TfLiteContext*, int32_t index, TfLiteNode**, TfLiteRegistration**);
};

// What a delegate node carries in `builtin_data`; the replaced indices are those of the flatbuffer's
// operators.
struct TfLiteDelegateParams {
  TfLiteDelegate* delegate;
  TfLiteIntArray* nodes_to_replace;
  TfLiteIntArray* input_tensors;
  TfLiteIntArray* output_tensors;
};

// The same of a delegate with an opaque builder.
struct TfLiteOpaqueDelegateParams {
  TfLiteDelegate* delegate;
  void* delegate_data;
  TfLiteIntArray* nodes_to_replace;
  TfLiteIntArray* input_tensors;
  TfLiteIntArray* output_tensors;
};

struct TfLiteDelegate {
  void* data;
  TfLiteStatus (*Prepare)(TfLiteContext*, TfLiteDelegate*);
  void* CopyFromBufferHandle;
  void* CopyToBufferHandle;
  void* FreeBufferHandle;
  int64_t flags;
  void* opaque_delegate_builder;
};
static_assert(sizeof(TfLiteDelegate) == 56);

}  // extern "C"
