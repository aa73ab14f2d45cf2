#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "flatbuffer.h"
#include "infer.h"
#include "parse.h"

namespace litedelegates::model {

// A model whose shape computations are done: tensors have the sizes that were inferred, what is computed from
// sizes alone is constant, and the operators that computed it are gone. Tensors and subgraphs keep their
// indices.
struct Folded {
  // What comes before the bytes of the file, which follow it unchanged: the weights are not copied. Empty
  // when there is nothing to change.
  std::vector<std::uint8_t> header;
  // For each subgraph: the index in the file of every operator that is left.
  std::vector<std::vector<std::int32_t>> operators;
};

// `page` is what the header's size is a multiple of, so that file and header can be mapped one behind the
// other.
[[nodiscard]] Folded fold(const File& file, const Parsed& parsed, const Inference& inference,
                          std::size_t page);

// Whether a header before the file leaves all of it in its place: programs of accelerators and long options
// are found by their distance from the start.
[[nodiscard]] bool can_be_folded(const File& file, const Parsed& parsed);

}  // namespace litedelegates::model
