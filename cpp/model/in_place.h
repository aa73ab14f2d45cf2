// Which ops of the runtime's built-in kernels would overwrite a value that a later op reads.
//
// The runtime's memory planner lets an op write its output over an input that no other op reads. It does not
// ask whether another tensor that lies in the same memory is still read: where a = RESHAPE(x) and b =
// RESHAPE(a), an ADD that reads b writes over a as well (seen with 2.2 and 2.3).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "model/description.h"

namespace litedelegates::model {

// An op as the memory planner sees it.
struct PlannedOp {
  std::span<const std::int32_t> inputs;
  std::span<const std::int32_t> outputs;
  std::uint64_t in_place = 0;  // the runtime's flags of its kernel: 0 when the output has memory of its own
};

// Returns the positions of the ops that may not write in place. Tensors share memory only if their sizes are
// equal, which is not asked here: an op may be named that would not have been in place.
std::vector<std::size_t> find_overwriting(std::span<const PlannedOp> ops, std::size_t tensors);

// The same for the ops of a model on the built-in kernels, except for those (by index) that delegates took.
std::vector<std::size_t> find_overwriting(const Subgraph& subgraph, std::span<const std::int32_t> delegated);

}  // namespace litedelegates::model
