#pragma once

#include <optional>
#include <vector>

#include "node.h"

namespace litedelegates::model {

// Computes the outputs of an operator that follow from shapes and from values known before the run: what
// chains such as SHAPE -> STRIDED_SLICE -> PACK make. The shapes of the outputs have been inferred.
//
// Returns one entry an output, empty where it is not known: an input is not, the result would be long, it
// would overflow, or the operator is none that such chains are made of.
[[nodiscard]] KnownValues evaluate(const Node& node);

}  // namespace litedelegates::model
