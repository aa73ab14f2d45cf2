// The part of TFLite's C structures that a delegate sees, in our own words. 64-bit layouts, stable since
// TFLite 2.4; the members that are not used here are only kept as room.
#pragma once

#include <cstddef>
#include <cstdint>

extern "C" {

struct TfLiteContext;
struct TfLiteDelegate;
struct TfLiteNode;
struct TfLiteOperator;

struct TfLiteIntArray {
  int32_t size;
  int32_t data[];
};

enum class TfLiteStatus : int32_t { kOk = 0, kError = 1, kDelegateError = 2 };
inline constexpr int32_t kTfLiteAllocationMmapRo = 1;
inline constexpr int32_t kTfLiteAllocationArenaRw = 2;
inline constexpr int32_t kTfLiteAllocationArenaRwPersistent = 3;
inline constexpr int32_t kTfLiteAllocationDynamic = 4;
inline constexpr int32_t kTfLiteAllocationPersistentRo = 5;
inline constexpr int32_t kTfLiteAllocationVariantObject = 7;
inline constexpr int32_t kTfLiteAllocationNonCpu = 8;
inline constexpr int32_t kTfLiteNullBufferHandle = -1;
inline constexpr int32_t kTfLiteBuiltinCustom = 32;
inline constexpr int32_t kTfLiteBuiltinDelegate = 51;
inline constexpr int64_t kTfLiteDelegateAllowsDynamicTensors = 1;

struct TfLiteQuantization {
  int32_t type;
  void* params;
};

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
  TfLiteQuantization quantization;
  void* sparsity;
  const TfLiteIntArray* dims_signature;
};
static_assert(sizeof(TfLiteTensor) == 112);

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
  TfLiteOperator* registration_external;  // set: its callbacks take the place of those above
  void* async_kernel;
  uint64_t inplace_operator;
};
static_assert(sizeof(TfLiteRegistration) == 88);

// What a delegate that knows no structures uses in place of a registration. The runtime frees those of
// delegate kernels with C++ delete.
struct TfLiteOperator {
  const char* custom_name;
  int32_t version;
  void* (*init)(TfLiteContext*, const char* buffer, size_t length);
  void (*free)(TfLiteContext*, void* buffer);
  TfLiteStatus (*prepare)(TfLiteContext*, TfLiteNode*);
  TfLiteStatus (*invoke)(TfLiteContext*, TfLiteNode*);
  void* (*async_kernel)(TfLiteContext*, TfLiteNode*);
  int32_t builtin_code;
  int32_t node_index;  // -1: this one has callbacks of its own and stands for no node's registration
  uint64_t inplace_operator;
  void* user_data;
  void* (*init_with_data)(void* user_data, TfLiteContext*, const char* buffer, size_t length);
  void (*free_with_data)(void* user_data, TfLiteContext*, void* buffer);
  TfLiteStatus (*prepare_with_data)(void* user_data, TfLiteContext*, TfLiteNode*);
  TfLiteStatus (*invoke_with_data)(void* user_data, TfLiteContext*, TfLiteNode*);
  void* (*async_kernel_with_data)(void* user_data, TfLiteContext*, TfLiteNode*);
};
static_assert(sizeof(TfLiteOperator) == 120);

struct TfLiteContext {
  size_t tensors_size;
  TfLiteStatus (*GetExecutionPlan)(TfLiteContext*, TfLiteIntArray** plan);
  TfLiteTensor* tensors;
  void* impl;
  TfLiteStatus (*ResizeTensor)(TfLiteContext*, TfLiteTensor*, TfLiteIntArray*);
  void (*ReportError)(TfLiteContext*, const char* format, ...);
  TfLiteStatus (*AddTensors)(TfLiteContext*, int32_t, int32_t*);
  TfLiteStatus (*GetNodeAndRegistration)(TfLiteContext*, int32_t index, TfLiteNode**, TfLiteRegistration**);
  TfLiteStatus (*ReplaceNodeSubsetsWithDelegateKernels)(TfLiteContext*, TfLiteRegistration,
                                                        const TfLiteIntArray* nodes, TfLiteDelegate*);
  int32_t recommended_num_threads;
  void* (*GetExternalContext)(TfLiteContext*, int32_t type);
  void (*SetExternalContext)(TfLiteContext*, int32_t type, void* context);
  bool allow_fp32_relax_to_fp16;
  void* profiler;
  void* room_for_memory[5];  // persistent and scratch buffers, explicit resize
  void* PreviewDelegatePartitioning;
  TfLiteTensor* (*GetTensor)(const TfLiteContext*, int32_t index);
  void* GetEvalTensor;
  TfLiteStatus (*GetModelMetadata)(const TfLiteContext*, const char* name, const char** content,
                                   size_t* bytes);
  TfLiteStatus (*AcquireSubgraphContext)(TfLiteContext*, int32_t subgraph, TfLiteContext** acquired);
  TfLiteStatus (*ReleaseSubgraphContext)(TfLiteContext*, int32_t subgraph);
};
static_assert(sizeof(TfLiteContext) == 200 && offsetof(TfLiteContext, GetModelMetadata) == 176);

// What a delegate node carries in `builtin_data`; the replaced indices are those of the flatbuffer's
// operators.
struct TfLiteDelegateParams {
  TfLiteDelegate* delegate;
  TfLiteIntArray* nodes_to_replace;
  TfLiteIntArray* input_tensors;
  TfLiteIntArray* output_tensors;
};

// The same where the delegate was made by an opaque builder.
struct TfLiteOpaqueDelegateParams {
  TfLiteDelegate* delegate;
  void* delegate_data;
  TfLiteIntArray* nodes_to_replace;
  TfLiteIntArray* input_tensors;
  TfLiteIntArray* output_tensors;
};

struct TfLiteOpaqueDelegateBuilder {
  void* data;
  TfLiteStatus (*Prepare)(TfLiteContext*, TfLiteDelegate*, void* data);
  void* CopyFromBufferHandle;
  void* CopyToBufferHandle;
  void* FreeBufferHandle;
  int64_t flags;
};
static_assert(sizeof(TfLiteOpaqueDelegateBuilder) == 48);

struct TfLiteDelegate {
  void* data;
  TfLiteStatus (*Prepare)(TfLiteContext*, TfLiteDelegate*);
  void* CopyFromBufferHandle;
  void* CopyToBufferHandle;
  void* FreeBufferHandle;
  int64_t flags;
  TfLiteOpaqueDelegateBuilder* opaque_delegate_builder;  // set: its members take the place of those above
};
static_assert(sizeof(TfLiteDelegate) == 56);

}  // extern "C"
