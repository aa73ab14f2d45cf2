#include <string>

#include "check_graph.h"
#include "check_operators.h"
#include "verify.h"

namespace litedelegates::model {
namespace {

void require_type(const Node& node, const Tensor& outside, const Subgraph& called, std::int32_t inside) {
  const Tensor& tensor = called.tensors[static_cast<std::size_t>(inside)];
  if (outside.type != tensor.type) {
    node.fail(std::string("it passes ") + type_name(outside.type) + " as " + type_name(tensor.type) +
              " to or from " + "the subgraph that it calls");
  }
}

// Inputs, from `first` on, and outputs are copied one to one between the operator and the subgraph it calls.
void require_match(const Node& node, const Parsed& parsed, std::int64_t called, std::size_t first,
                   bool condition) {
  const Subgraph& target = parsed.description->subgraphs[static_cast<std::size_t>(called)];
  const std::size_t inputs = node.input_count() - first, outputs = condition ? 1 : node.output_count();
  if (target.inputs.size() != inputs || target.outputs.size() != outputs) {
    node.fail("subgraph " + std::to_string(called) + " takes " + std::to_string(target.inputs.size()) +
              " inputs and gives " + std::to_string(target.outputs.size()) + " outputs, but " +
              std::to_string(inputs) + " and " + std::to_string(outputs) + " are needed");
  }
  for (std::size_t i = 0; i < inputs; ++i)
    require_type(node, node.input(first + i), target, target.inputs[i]);
  for (std::size_t i = 0; i < outputs && !condition; ++i)
    require_type(node, node.output(i), target, target.outputs[i]);
}

}  // namespace

// The shapes that a called subgraph returns may depend on its run; they are not followed.
void check_call(Node& node, const Parsed& parsed) {
  const auto called = called_subgraphs(node.description(), node.details());
  const std::size_t outputs = node.output_count();
  switch (node.op()) {
    case Op::IF:
    case Op::STABLEHLO_CASE:
      for (const std::int64_t branch : called) require_match(node, parsed, branch, 1, false);
      break;
    case Op::WHILE:
      if (node.input_count() != outputs) node.fail("a loop has as many inputs as outputs");
      require_match(node, parsed, called[0], 0, true);
      require_match(node, parsed, called[1], 0, false);
      break;
    case Op::CALL_ONCE:
      require_match(node, parsed, called[0], 0, false);
      break;
    case Op::STABLEHLO_COMPOSITE:
      check_composite(node);
      for (const std::int64_t body : called) require_match(node, parsed, body, 0, false);
      break;
    default:
      break;
  }
  for (std::size_t i = 0; i < outputs; ++i) node.set_output(i, std::nullopt);
}

}  // namespace litedelegates::model
