#include <string>

#include "check_graph.h"
#include "check_operators.h"

namespace litedelegates::model {
namespace {

// Inputs and outputs are copied one to one between the operator and the subgraph it calls.
void require_counts(const Node& node, const Parsed& parsed, std::int64_t called, std::size_t inputs,
                    std::size_t outputs) {
  const Subgraph& target = parsed.description.subgraphs[static_cast<std::size_t>(called)];
  if (target.inputs.size() != inputs || target.outputs.size() != outputs) {
    node.fail("subgraph " + std::to_string(called) + " takes " + std::to_string(target.inputs.size()) +
              " inputs and gives " + std::to_string(target.outputs.size()) + " outputs, but " +
              std::to_string(inputs) + " and " + std::to_string(outputs) + " are needed");
  }
}

}  // namespace

// The shapes that a called subgraph returns may depend on its run; they are not followed.
void check_call(Node& node, const Parsed& parsed) {
  const auto called = called_subgraphs(node.description(), node.details());
  const std::size_t inputs = node.input_count(), outputs = node.output_count();
  switch (node.op()) {
    case Op::IF:
    case Op::STABLEHLO_CASE:
      for (const std::int64_t branch : called) require_counts(node, parsed, branch, inputs - 1, outputs);
      break;
    case Op::WHILE:
      if (inputs != outputs) node.fail("a loop has as many inputs as outputs");
      require_counts(node, parsed, called[0], inputs, 1);
      require_counts(node, parsed, called[1], inputs, outputs);
      break;
    case Op::CALL_ONCE: require_counts(node, parsed, called[0], 0, 0); break;
    case Op::STABLEHLO_COMPOSITE:
      check_composite(node);
      for (const std::int64_t body : called) require_counts(node, parsed, body, inputs, outputs);
      break;
    default: break;
  }
  for (std::size_t i = 0; i < outputs; ++i) node.set_output(i, std::nullopt);
}

}  // namespace litedelegates::model
