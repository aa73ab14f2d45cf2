// Which ops XNNPACK would take only to copy: views, that is ops that give the same values another shape, at
// the edge of a partition. There the built-in op costs nothing, as its output shares the memory of its input,
// while XNNPACK's copies. Inside a partition a view has to stay, or it would be two.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "delegates/tflite_abi.h"

namespace litedelegates {

// The nodes of a subgraph's execution plan that are to stay off XNNPACK, each with the reason. To be called
// while a delegate prepares.
[[nodiscard]] std::vector<std::pair<int32_t, std::string>> views_at_edges(TfLiteContext* context);

// Whether XNNPACK has a kernel for ops of this code, of some types and shapes at least.
[[nodiscard]] bool has_xnnpack_kernel(int32_t builtin_code);

}  // namespace litedelegates
