// The TfLiteOpaque* functions that delegates of the stable ABI call, over the C structures of tflite_abi.h.
//
// On Android the runtime exports them; the Python wheels do not, so a delegate that expects them from its
// host does not load there. This folder is built as a shared library of its own, which is opened for all to
// see before such a delegate. It works on every runtime of the process, because it only goes through the
// structures it is handed.
//
// Some answers lie in the runtime's private C++ objects alone and are not given:
//   - TfLiteOpaqueContextGetInputs, ...GetOutputs, ...GetNodeInitDataMmapInfo and
//     ...MarkSubgraphAsDelegationSkippable fail, saying so (a kernel finds its own tensors in its
//     parameters);
//   - TfLiteOpaqueContextGetName returns an empty string.
// The functions that run models (TfLiteModel*, TfLiteInterpreter*, TfLiteSignatureRunner*) are not here, nor
// are those of asynchronous kernels (TfLiteAsyncKernel*, TfLiteBackendBuffer*): a delegate that calls these
// does not load.
#pragma once

#include "delegates/tflite_abi.h"

#define TFLITE_HOST_EXPORT extern "C" __attribute__((visibility("default")))
