// The part of LiteRT's C interface that this project uses, declared in our own words from observed facts.
//
// The functions are never linked: each declaration only gives the entry of the same name in `Api` its type
// (see library.h). Layouts were checked against ai-edge-litert 2.2.0 and 2.3.0 on 64-bit Linux.
#pragma once

#include <cstddef>
#include <cstdint>

struct TfLiteDelegate;

extern "C" {

// Handles. The runtime owns what they point to until the matching Destroy call.
using LiteRtEnvironment = struct LiteRtEnvironmentT*;
using LiteRtModel = struct LiteRtModelT*;
using LiteRtOptions = struct LiteRtOptionsT*;
using LiteRtOpaqueOptions = struct LiteRtOpaqueOptionsT*;
using LiteRtCompiledModel = struct LiteRtCompiledModelT*;
using LiteRtTensorBuffer = struct LiteRtTensorBufferT*;
using LiteRtTensorBufferRequirements = struct LiteRtTensorBufferRequirementsT*;
using LiteRtProfiler = struct LiteRtProfilerT*;
using LiteRtAccelerator = struct LiteRtAcceleratorT*;
using LiteRtDelegateWrapper = struct LiteRtDelegateWrapperT*;
struct LiteRtRuntimeContext;

// A status is an int32; `nodiscard` keeps it from being dropped.
enum class [[nodiscard]] LiteRtStatus : int32_t { kOk = 0 };

enum LiteRtHardware : int32_t { kLiteRtCpu = 1, kLiteRtGpu = 2, kLiteRtNpu = 4 };
enum LiteRtLockMode : int32_t { kLiteRtLockRead = 0, kLiteRtLockWrite = 1 };
inline constexpr int32_t kLiteRtHostMemory = 1;  // tensor buffer type

// Environment options: a tag and a typed value.
enum LiteRtEnvTag : int32_t {
  kLiteRtCompilerPluginLibraryDir = 0,
  kLiteRtDispatchLibraryDir = 1,
  kLiteRtCompilerCacheDir = 18,

  kLiteRtRuntimeLibraryDir = 22,
  kLiteRtAutoRegister = 24,
  kLiteRtMinLogSeverity = 25
};
enum LiteRtAnyType : int32_t { kLiteRtAnyInt = 2, kLiteRtAnyString = 8 };
struct LiteRtEnvOption {
  int32_t tag;
  int32_t padding;
  int32_t type;
  int32_t padding_of_value;
  union {
    int64_t int_value;
    const char* string_value;
  };
};
static_assert(sizeof(LiteRtEnvOption) == 24);

// Element type, then layout. `dimensions` beyond `rank` are undefined; strides are not used here.
struct LiteRtLayout {
  uint32_t rank : 7;
  uint32_t has_strides : 1;
  int32_t dimensions[8];
  uint32_t strides[8];
};
struct LiteRtRankedTensorType {
  int32_t element_type;
  LiteRtLayout layout;
};
static_assert(sizeof(LiteRtRankedTensorType) == 72);

struct LiteRtApiVersion {
  int32_t major, minor, patch;
};

// First member of every structure that the runtime versions.
struct LiteRtAbiHeader {
  uint16_t struct_size, major, minor, reserved;
};

// How an accelerator describes itself, version 1. `LiteRtStaticLinkedAcceleratorCpuDef` is a pointer to one;
// `LiteRtAcceleratorImpl` of an accelerator library is one.
struct LiteRtAcceleratorDef {
  LiteRtAbiHeader header;
  LiteRtStatus (*get_name)(LiteRtAccelerator, const char**);
  LiteRtStatus (*get_version)(LiteRtAccelerator, LiteRtApiVersion*);
  LiteRtStatus (*get_hardware_support)(LiteRtAccelerator, int32_t*);
  LiteRtStatus (*is_jit)(LiteRtAccelerator, bool*);
  LiteRtStatus (*create_delegate)(LiteRtRuntimeContext*, LiteRtEnvironment, LiteRtAccelerator, LiteRtOptions,
                                  LiteRtDelegateWrapper*);
  void* start_metrics;
  void* stop_metrics;
  struct {
    LiteRtAbiHeader header;
    void* create;
    void* destroy;
    void* lock;
    void* unlock;
    void* clear;
    void* import;
    int32_t device_tag, queue_tag;
    size_t num_types;
    int32_t types[16];
  } buffers;
};
static_assert(sizeof(LiteRtAcceleratorDef) == 200);

// One profiled event. `tag` belongs to the profiler and lives until its next reset.
struct LiteRtProfilerEvent {
  const char* tag;
  int32_t type;
  uint64_t start_us;
  uint64_t elapsed_us;
  size_t memory_before[3];
  size_t memory_after[3];
  uint64_t metadata1;
  uint64_t metadata2;
  int32_t source;  // 0 LiteRT, 1 TFLite interpreter, 2 delegate
};

LiteRtStatus LiteRtCreateEnvironment(int num_options, const LiteRtEnvOption* options, LiteRtEnvironment* out);
void LiteRtDestroyEnvironment(LiteRtEnvironment);

// `address` must stay valid until the model is destroyed, and is not verified.
LiteRtStatus LiteRtCreateModelFromBuffer(LiteRtEnvironment, const void* address, size_t size,
                                         LiteRtModel* out);
void LiteRtDestroyModel(LiteRtModel);

LiteRtStatus LiteRtCreateOptions(LiteRtOptions* out);
void LiteRtDestroyOptions(LiteRtOptions);
LiteRtStatus LiteRtSetOptionsHardwareAccelerators(LiteRtOptions, int32_t hardware);
LiteRtStatus LiteRtGetOpaqueOptions(LiteRtOptions, LiteRtOpaqueOptions* borrowed);
// The payload is released with `destroy` when the options are.
LiteRtStatus LiteRtCreateOpaqueOptions(const char* identifier, void* payload, void (*destroy)(void*),
                                       LiteRtOpaqueOptions* out);
void LiteRtDestroyOpaqueOptions(LiteRtOpaqueOptions);
// Takes ownership of the opaque options when it succeeds.
LiteRtStatus LiteRtAddOpaqueOptions(LiteRtOptions, LiteRtOpaqueOptions);
LiteRtStatus LiteRtFindOpaqueOptionsData(LiteRtOpaqueOptions, const char* identifier, void** payload);

LiteRtStatus LiteRtCreateCompiledModel(LiteRtEnvironment, LiteRtModel, LiteRtOptions,
                                       LiteRtCompiledModel* out);
void LiteRtDestroyCompiledModel(LiteRtCompiledModel);
// The requirements are borrowed from the compiled model and change when an input is resized.
LiteRtStatus LiteRtGetCompiledModelInputBufferRequirements(LiteRtCompiledModel, size_t signature,
                                                           size_t index,
                                                           LiteRtTensorBufferRequirements* borrowed);
LiteRtStatus LiteRtGetCompiledModelOutputBufferRequirements(LiteRtCompiledModel, size_t signature,
                                                            size_t index,
                                                            LiteRtTensorBufferRequirements* borrowed);
LiteRtStatus LiteRtGetCompiledModelInputTensorLayout(LiteRtCompiledModel, size_t signature, size_t index,
                                                     LiteRtLayout* out);
LiteRtStatus LiteRtGetCompiledModelOutputTensorLayouts(LiteRtCompiledModel, size_t signature, size_t count,
                                                       LiteRtLayout* out, bool update_allocation);
LiteRtStatus LiteRtCompiledModelResizeInputTensor(LiteRtCompiledModel, size_t signature, size_t index,
                                                  const int* dims, size_t num_dims);
LiteRtStatus LiteRtCompiledModelResizeInputTensorNonStrict(LiteRtCompiledModel, size_t signature,
                                                           size_t index, const int* dims, size_t num_dims);
// On a GPU this returns when the work is queued; the read lock of an output waits.
LiteRtStatus LiteRtRunCompiledModel(LiteRtCompiledModel, size_t signature, size_t num_inputs,
                                    LiteRtTensorBuffer* inputs, size_t num_outputs,
                                    LiteRtTensorBuffer* outputs);
// Asked between ops, in every subgraph; true ends the run. Null takes it away.
LiteRtStatus LiteRtSetCompiledModelCancellationFunction(LiteRtCompiledModel, void* data,
                                                        bool (*is_cancelled)(void* data));
// The text is allocated with malloc; the caller frees it.
LiteRtStatus LiteRtCompiledModelGetErrorMessages(LiteRtCompiledModel, char** messages);
LiteRtStatus LiteRtCompiledModelClearErrors(LiteRtCompiledModel);
LiteRtStatus LiteRtCompiledModelGetProfiler(LiteRtCompiledModel, LiteRtProfiler* borrowed);

LiteRtStatus LiteRtGetNumTensorBufferRequirementsSupportedBufferTypes(LiteRtTensorBufferRequirements,
                                                                      int* count);
LiteRtStatus LiteRtGetTensorBufferRequirementsSupportedTensorBufferType(LiteRtTensorBufferRequirements,
                                                                        int index, int32_t* type);
// `address` must be aligned to 64 bytes and outlive the buffer unless `release` is given.
LiteRtStatus LiteRtCreateTensorBufferFromHostMemory(const LiteRtRankedTensorType*, void* address,
                                                    size_t bytes, void (*release)(void*),
                                                    LiteRtTensorBuffer* out);
LiteRtStatus LiteRtCreateManagedTensorBufferFromRequirements(LiteRtEnvironment, const LiteRtRankedTensorType*,
                                                             LiteRtTensorBufferRequirements,
                                                             LiteRtTensorBuffer* out);
void LiteRtDestroyTensorBuffer(LiteRtTensorBuffer);
LiteRtStatus LiteRtLockTensorBuffer(LiteRtTensorBuffer, void** address, int32_t mode);
LiteRtStatus LiteRtUnlockTensorBuffer(LiteRtTensorBuffer);

LiteRtStatus LiteRtStartProfiler(LiteRtProfiler);
LiteRtStatus LiteRtStopProfiler(LiteRtProfiler);
LiteRtStatus LiteRtResetProfiler(LiteRtProfiler);
LiteRtStatus LiteRtGetNumProfilerEvents(LiteRtProfiler, int* count);
LiteRtStatus LiteRtGetProfilerEvents(LiteRtProfiler, int count, LiteRtProfilerEvent* out);

LiteRtStatus LiteRtCreateAccelerator(LiteRtAccelerator* out);
LiteRtStatus LiteRtDestroyAccelerator(LiteRtAccelerator);
// Takes ownership of the accelerator; `release_data` is called with `data` when the environment dies.
LiteRtStatus LiteRtRegisterAccelerator(LiteRtEnvironment, LiteRtAccelerator, void* data,
                                       void (*release_data)(void*));
LiteRtStatus LiteRtSetAcceleratorGetName(LiteRtAccelerator, decltype(LiteRtAcceleratorDef::get_name));
LiteRtStatus LiteRtSetAcceleratorGetVersion(LiteRtAccelerator, decltype(LiteRtAcceleratorDef::get_version));
LiteRtStatus LiteRtSetAcceleratorGetHardwareSupport(LiteRtAccelerator,
                                                    decltype(LiteRtAcceleratorDef::get_hardware_support));
LiteRtStatus LiteRtSetDelegateFunction(LiteRtAccelerator, decltype(LiteRtAcceleratorDef::create_delegate));
LiteRtStatus LiteRtSetIsAcceleratorDelegateResponsibleForJitCompilation(
    LiteRtAccelerator, decltype(LiteRtAcceleratorDef::is_jit));
LiteRtStatus LiteRtRegisterTensorBufferHandlers(LiteRtEnvironment, int32_t buffer_type, void* create,
                                                void* destroy, void* lock, void* unlock, void* clear,
                                                void* import, int32_t device_tag, int32_t queue_tag);
// The NPU path: it loads the vendor's library from the environment's dispatch folder.
LiteRtStatus LiteRtRegisterNpuAccelerator(LiteRtEnvironment);
// `release` is called with the delegate when the wrapper is destroyed.
LiteRtStatus LiteRtWrapDelegate(TfLiteDelegate*, void (*release)(TfLiteDelegate*),
                                LiteRtDelegateWrapper* out);

extern LiteRtAcceleratorDef* LiteRtStaticLinkedAcceleratorCpuDef;

}  // extern "C"
