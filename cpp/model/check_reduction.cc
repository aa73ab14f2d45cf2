#include <string>

#include "check_operators.h"

namespace litedelegates::model {
namespace {

void check_reduce(Node& node) {
  const bool keep = node.option<std::uint8_t>(OptionsKind::reducer, 0) != 0;
  const Shape& input = node.input_shape(0);
  const auto axes = node.constant(1);
  if (!input || !axes) return node.set_output(0, std::nullopt);
  std::vector<bool> reduced(input->size());
  if (!input->empty()) {
    for (const std::int64_t axis : *axes) reduced[node.axis(axis, input->size())] = true;
  }
  Dims output;
  for (std::size_t i = 0; i < input->size(); ++i) {
    if (!reduced[i]) output.push_back((*input)[i]);
    if (reduced[i] && keep) output.push_back(1);
  }
  node.set_output(0, output);
}

void check_arg(Node& node) {
  const Shape& input = node.input_shape(0);
  const auto axis = node.constant(1);
  if (axis && axis->size() != 1) node.fail("the axis must be one number");
  if (!input || !axis) return node.set_output(0, std::nullopt);
  if (input->empty()) node.fail("the input has no dimension to search");
  const std::size_t index = node.axis((*axis)[0], input->size());
  if ((*input)[index] == 0) node.fail("the input " + text(*input) + " has nothing to search");
  Dims output = *input;
  output.erase(output.begin() + static_cast<std::ptrdiff_t>(index));
  node.set_output(0, output);
}

void check_cumsum(Node& node) {
  const Shape& input = node.input_shape(0);
  const auto axis = node.constant(1);
  if (axis && axis->size() != 1) node.fail("the axis must be one number");
  if (input && axis) static_cast<void>(node.axis((*axis)[0], input->size()));
  node.set_output(0, input);
}

// Inputs: data, k. Outputs: values, indices.
void check_top_k(Node& node) {
  const Shape& input = node.input_shape(0);
  const auto k = node.constant(1);
  if (k && k->size() != 1) node.fail("k must be one number");
  if (input && input->empty()) node.fail("the input has no dimension to search");
  Shape output;
  if (input && k) {
    if ((*k)[0] < 0 || (input->back() != kUnknown && (*k)[0] > input->back())) {
      node.fail("the " + std::to_string((*k)[0]) + " largest of the input " + text(*input) + " do not exist");
    }
    output = *input;
    output->back() = (*k)[0];
  }
  node.set_output(0, output);
  node.set_output(1, output);
}

}  // namespace

void check_reduction(Node& node) {
  switch (node.op()) {
    case Op::ARG_MAX:
    case Op::ARG_MIN:
      return check_arg(node);
    case Op::CUMSUM:
      return check_cumsum(node);
    case Op::TOPK_V2:
      return check_top_k(node);
    default:
      return check_reduce(node);
  }
}

void check_resizing(Node& node) {
  const Dims* input = node.ranked_input(0, 4, "the input");
  const auto size = node.constant(1);
  if (size && (size->size() != 2 || (*size)[0] < 1 || (*size)[1] < 1))
    node.fail("the new size is " + text(*size));
  if (input == nullptr || !size) return node.set_output(0, std::nullopt);
  if (element_count(*input) == 0) node.fail("the input " + text(*input) + " is empty");
  node.set_output(0, Dims{(*input)[0], (*size)[0], (*size)[1], (*input)[3]});
}

}  // namespace litedelegates::model
