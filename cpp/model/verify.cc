#include "verify.h"

#include "check_graph.h"
#include "check_operators.h"
#include "check_tensors.h"
#include "check_variables.h"
#include "parse.h"
#include "place.h"
#include "settle_types.h"

namespace litedelegates::model {

std::shared_ptr<Description> verify(std::span<const std::uint8_t> bytes) {
  const File file(bytes);
  Parsed parsed = parse(file);
  for (std::size_t s = 0; s < parsed.description->subgraphs.size(); ++s) {
    const Subgraph& subgraph = parsed.description->subgraphs[s];
    for (std::size_t i = 0; i < subgraph.tensors.size(); ++i) {
      in_place("tensor", i, "subgraph", s,
               [&] { check_tensor(subgraph.tensors[i], subgraph, parsed.subgraphs[s].sparsity[i]); });
    }
  }
  check_graph(parsed);
  settle_types(parsed);
  for (std::size_t s = 0; s < parsed.description->subgraphs.size(); ++s) {
    check_sparse_reads(parsed.description->subgraphs[s], s);
  }
  check_signatures(*parsed.description);
  check_operators(parsed);
  check_variables(parsed);
  return std::move(parsed.description);
}

}  // namespace litedelegates::model
