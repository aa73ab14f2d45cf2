#pragma once

#include <optional>
#include <vector>

#include "node.h"

namespace litedelegates::model {

// What a STRIDED_SLICE takes of one dimension of its input, or a new axis.
struct SlicedAxis {
  std::int64_t from = 0, step = 1, count = kUnknown;
  bool is_new = false;      // of size 1 in the output; stands for no dimension of the input
  bool is_dropped = false;  // one position, whose dimension the output does not have
};

// The axes in order, with the ellipsis spelled out; nothing where begin, end or strides are not known, or
// where a position lies outside a dimension that the output drops.
[[nodiscard]] std::optional<std::vector<SlicedAxis>> sliced_axes(const Node& node, const Dims& input);

}  // namespace litedelegates::model
