// Which ops XNNPACK would take only to copy: views, that is ops that give the same values another shape,
// between ops that all stay on the built-in kernels. Such a partition computes nothing, and its copies and
// its start cost more than the built-in op.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "delegates/tflite_abi.h"

namespace litedelegates {

// The nodes of a subgraph's execution plan that are to stay off XNNPACK, each with the reason. To be called
// while a delegate prepares.
[[nodiscard]] std::vector<std::pair<int32_t, std::string>> lonely_views(TfLiteContext* context);

// Whether XNNPACK has a kernel for ops of this code, of some types and shapes at least.
[[nodiscard]] bool has_xnnpack_kernel(int32_t builtin_code);

}  // namespace litedelegates
