// Puts checks before the kernels that would end the process on wrong values or shapes. A kernel is called
// through its node's own copy of a registration, which delegates are shown: there the check takes the
// kernel's place and calls it when all is well. So operands that are computed inside the model, or in a loop
// of it, are checked like its inputs, and models without such kernels pay nothing.
#pragma once

#include "delegates/loaded.h"
#include "delegates/tflite_abi.h"

namespace litedelegates {

// Guard the kernels in the execution plan of a subgraph, those that are guarded already aside. To be called
// while a delegate prepares: at other times the runtime shows no nodes.
[[nodiscard]] TfLiteStatus guard_kernels(TfLiteContext* context);

// A delegate that claims nothing and guards: for interpreters that are not compiled by this library.
class KernelGuard : public LoadedDelegate {
 public:
  KernelGuard();

 private:
  TfLiteDelegate own_{};
};

}  // namespace litedelegates
