// What kernels of the runtime take on trust although it may be wrong while the model runs: values of their
// inputs, and shapes that a resized input brought. Whatever a kernel refuses by itself is not checked here.
#pragma once

#include "delegates/tflite_abi.h"

namespace litedelegates {

// The check of one kind of kernel: when it is made, and the function that makes it. That returns whether the
// kernel may go on; if not it has reported why.
struct OperandCheck {
  const char* op;
  bool is_before_prepare, is_before_invoke;
  bool (*passes)(TfLiteContext&, const TfLiteNode&);
};

// The check that the kernels of a builtin op need, or a kernel, which may be that of a delegate; null when
// there is nothing to check.
[[nodiscard]] const OperandCheck* find_operand_check(int32_t builtin_code);
[[nodiscard]] const OperandCheck* find_operand_check(const TfLiteRegistration& kernel);

}  // namespace litedelegates
