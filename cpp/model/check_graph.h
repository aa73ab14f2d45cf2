#pragma once

#include "node.h"
#include "parse.h"

namespace litedelegates::model {

// Every index of the graph in range, operators in an order in which they can run, and subgraphs that call
// each other without end refused.
void check_graph(const Parsed& parsed);
void check_signatures(const Description& model);

// Subgraphs that an operator calls, in the order in which it names them.
[[nodiscard]] std::vector<std::int64_t> called_subgraphs(const Operator& op, const OperatorDetails& details);

}  // namespace litedelegates::model
