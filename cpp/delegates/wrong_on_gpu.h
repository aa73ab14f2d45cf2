// Which ops the GPU's library takes and computes wrongly without a word, as found by running every op alone
// and in pairs against the built-in kernels (tests/compare_ops.py).
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "delegates/tflite_abi.h"

namespace litedelegates {

// The nodes of a subgraph's execution plan that are to stay off the GPU, each with the reason. To be called
// while a delegate prepares.
[[nodiscard]] std::vector<std::pair<int32_t, std::string>> wrong_on_gpu(TfLiteContext* context);

}  // namespace litedelegates
