#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "node.h"
#include "parse.h"

namespace litedelegates::model {

// The shapes that the tensors of a subgraph have for given shapes of its inputs, and the values that follow
// from them.
struct InferredGraph {
  bool is_reached = false;  // by the entry, itself or through ops such as IF and WHILE
  // Whether all calls of this subgraph see the same shapes. Otherwise nothing below holds for every call.
  bool is_consistent = true;
  std::vector<Shape> shapes;
  KnownValues values;
};

// An operator that makes a tensor whose size is only known while the model runs.
struct RuntimeSized {
  std::size_t subgraph, op;
  std::string type;
};

struct Inference {
  std::vector<InferredGraph> graphs;    // one a subgraph
  std::optional<RuntimeSized> unknown;  // the first such operator on the way through the model
};

// Walks through a subgraph and those that it calls as the runtime would for inputs of these shapes. No value
// of an input is looked at and nothing is run.
//
// Throws InvalidModel, with the operator named, where the shapes do not go together.
[[nodiscard]] Inference infer(const Parsed& parsed, std::size_t entry, const std::vector<Dims>& inputs);

// Whether an operator's output may have a size that the shapes of its inputs alone do not tell: it depends on
// an operand that is no constant of the file, on values by its nature, or on subgraphs that it calls.
[[nodiscard]] bool computes_shapes(const Description& model);

}  // namespace litedelegates::model
