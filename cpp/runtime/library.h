// Opens the LiteRT runtime at run time and resolves its symbols into one table.
#pragma once

#include <string>

#include "runtime/litert_abi.h"

namespace litedelegates {

// Every symbol used, once; its type comes from the declaration in litert_abi.h.
#define LITEDELEGATES_SYMBOLS(X)                                \
  X(LiteRtCreateEnvironment)                                    \
  X(LiteRtDestroyEnvironment)                                   \
  X(LiteRtCreateModelFromBuffer)                                \
  X(LiteRtDestroyModel)                                         \
  X(LiteRtCreateOptions)                                        \
  X(LiteRtDestroyOptions)                                       \
  X(LiteRtSetOptionsHardwareAccelerators)                       \
  X(LiteRtGetOpaqueOptions)                                     \
  X(LiteRtCreateOpaqueOptions)                                  \
  X(LiteRtDestroyOpaqueOptions)                                 \
  X(LiteRtAddOpaqueOptions)                                     \
  X(LiteRtFindOpaqueOptionsData)                                \
  X(LiteRtCreateCompiledModel)                                  \
  X(LiteRtDestroyCompiledModel)                                 \
  X(LiteRtGetCompiledModelInputBufferRequirements)              \
  X(LiteRtGetCompiledModelOutputBufferRequirements)             \
  X(LiteRtGetCompiledModelInputTensorLayout)                    \
  X(LiteRtGetCompiledModelOutputTensorLayouts)                  \
  X(LiteRtCompiledModelResizeInputTensor)                       \
  X(LiteRtCompiledModelResizeInputTensorNonStrict)              \
  X(LiteRtRunCompiledModel)                                     \
  X(LiteRtSetCompiledModelCancellationFunction)                 \
  X(LiteRtCompiledModelGetErrorMessages)                        \
  X(LiteRtCompiledModelClearErrors)                             \
  X(LiteRtCompiledModelGetProfiler)                             \
  X(LiteRtGetNumTensorBufferRequirementsSupportedBufferTypes)   \
  X(LiteRtGetTensorBufferRequirementsSupportedTensorBufferType) \
  X(LiteRtCreateTensorBufferFromHostMemory)                     \
  X(LiteRtCreateManagedTensorBufferFromRequirements)            \
  X(LiteRtDestroyTensorBuffer)                                  \
  X(LiteRtLockTensorBuffer)                                     \
  X(LiteRtUnlockTensorBuffer)                                   \
  X(LiteRtStartProfiler)                                        \
  X(LiteRtStopProfiler)                                         \
  X(LiteRtResetProfiler)                                        \
  X(LiteRtGetNumProfilerEvents)                                 \
  X(LiteRtGetProfilerEvents)                                    \
  X(LiteRtCreateAccelerator)                                    \
  X(LiteRtDestroyAccelerator)                                   \
  X(LiteRtRegisterAccelerator)                                  \
  X(LiteRtSetAcceleratorGetName)                                \
  X(LiteRtSetAcceleratorGetVersion)                             \
  X(LiteRtSetAcceleratorGetHardwareSupport)                     \
  X(LiteRtSetDelegateFunction)                                  \
  X(LiteRtSetIsAcceleratorDelegateResponsibleForJitCompilation) \
  X(LiteRtRegisterTensorBufferHandlers)                         \
  X(LiteRtRegisterNpuAccelerator)                               \
  X(LiteRtWrapDelegate)                                         \
  X(LiteRtStaticLinkedAcceleratorCpuDef)

struct Api {
#define LITEDELEGATES_MEMBER(name) decltype(&::name) name = nullptr;
  LITEDELEGATES_SYMBOLS(LITEDELEGATES_MEMBER)
#undef LITEDELEGATES_MEMBER
};

// Open the runtime once for the process. A second call with the same path does nothing; another path raises,
// because handles of two runtimes must never meet. `folder` is where accelerator libraries are looked for.
void open_library(const std::string& path, const std::string& folder);

[[nodiscard]] const std::string& library_folder();

// The symbols of the opened runtime; raises when it was not opened.
[[nodiscard]] const Api& api();

// A library opened for good: accelerators start threads and install exit handlers that outlive any model.
void* open_forever(const std::string& path);

}  // namespace litedelegates
