#include <string>

#include "check_operators.h"

namespace litedelegates::model {
namespace {

void check_constant_indices(const Node& node, std::size_t input, std::int64_t size) {
  const auto indices = node.constant(input);
  if (!indices || size == kUnknown) return;
  for (const std::int64_t index : *indices) {
    if (index < 0 || index >= size) {
      node.fail("index " + std::to_string(index) + " lies outside a dimension of size " +
                std::to_string(size));
    }
  }
}

void check_gather(Node& node) {
  constexpr auto kind = OptionsKind::gather;
  const Shape& input = node.input_shape(0);
  const Shape& positions = node.input_shape(1);
  if (!input || !positions) return node.set_output(0, std::nullopt);
  const std::size_t axis = node.axis(node.option<std::int32_t>(kind, 0), input->size());
  std::int64_t batch = node.option<std::int32_t>(kind, 1);
  if (batch < 0) batch += static_cast<std::int64_t>(positions->size());
  if (batch < 0 || batch > static_cast<std::int64_t>(axis) ||
      batch > static_cast<std::int64_t>(positions->size())) {
    node.fail("it has " + std::to_string(batch) + " batch dimensions for axis " + std::to_string(axis));
  }
  check_constant_indices(node, 1, (*input)[axis]);
  const auto split = [](const Dims& dims, std::size_t at) {
    return dims.begin() + static_cast<std::ptrdiff_t>(at);
  };
  Dims output(input->begin(), split(*input, axis));
  output.insert(output.end(), split(*positions, static_cast<std::size_t>(batch)), positions->end());
  output.insert(output.end(), split(*input, axis + 1), input->end());
  if (output.size() > kMaxRank)
    node.fail("the output would have " + std::to_string(output.size()) + " dimensions");
  node.set_output(0, output);
}

void check_gather_nd(Node& node) {
  const Shape& input = node.input_shape(0);
  const Shape& indices = node.input_shape(1);
  if (!input || !indices) return node.set_output(0, std::nullopt);
  if (input->empty() || indices->empty() || indices->back() > static_cast<std::int64_t>(input->size())) {
    node.fail("indices of the shape " + text(*indices) + " do not fit the input " + text(*input));
  }
  if (indices->back() == kUnknown) return node.set_output(0, std::nullopt);
  if (const auto values = node.constant(1)) {
    const auto width = static_cast<std::size_t>(indices->back());
    for (std::size_t i = 0; width > 0 && i < values->size(); ++i) {
      const std::int64_t size = (*input)[i % width];
      if ((*values)[i] < 0 || (size != kUnknown && (*values)[i] >= size)) {
        node.fail("index " + std::to_string((*values)[i]) + " lies outside the input " + text(*input));
      }
    }
  }
  Dims output(indices->begin(), indices->end() - 1);
  output.insert(output.end(), input->begin() + static_cast<std::ptrdiff_t>(indices->back()), input->end());
  node.set_output(0, output);
}

// Inputs: indices, updates, shape.
void check_scatter_nd(Node& node) {
  const auto shape = node.constant(2);
  if (!shape) return node.set_output(0, std::nullopt);
  if (shape->size() > kMaxRank)
    node.fail("the output would have " + std::to_string(shape->size()) + " dimensions");
  const Shape& indices = node.input_shape(0);
  if (indices && !indices->empty() && indices->back() > 0) {
    const auto values = node.constant(0);
    const auto width = static_cast<std::size_t>(indices->back());
    if (width > shape->size())
      node.fail("indices of the shape " + text(*indices) + " do not fit " + text(*shape));
    for (std::size_t i = 0; values && i < values->size(); ++i) {
      if ((*values)[i] < 0 || (*values)[i] >= (*shape)[i % width]) {
        node.fail("index " + std::to_string((*values)[i]) + " lies outside the output " + text(*shape));
      }
    }
  }
  node.set_output(0, *shape);
}

// Inputs: indices, depth, on value, off value.
void check_one_hot(Node& node) {
  const Shape& indices = node.input_shape(0);
  const auto depth = node.constant(1);
  if (!node.is_type(node.input(1), {Type::INT32, Type::INT64})) {
    node.fail("the depth is no integer");  // the kernel reads its bits as one
  }
  if (depth && (depth->size() != 1 || (*depth)[0] < 0)) node.fail("the depth is " + text(*depth));
  if (!indices || !depth) return node.set_output(0, std::nullopt);
  const std::size_t axis = node.axis(node.option<std::int32_t>(OptionsKind::one_hot, 0), indices->size() + 1);
  Dims output = *indices;
  output.insert(output.begin() + static_cast<std::ptrdiff_t>(axis), (*depth)[0]);
  node.set_output(0, output);
}

// Inputs: indices, table.
void check_embedding_lookup(Node& node) {
  const Dims* indices = node.ranked_input(0, 1, "the list of indices");
  const Shape& table = node.input_shape(1);
  if (table && table->size() < 2) node.fail("the table has the shape " + text(*table));
  if (indices == nullptr || !table) return node.set_output(0, std::nullopt);
  check_constant_indices(node, 0, (*table)[0]);
  Dims output = *table;
  output[0] = (*indices)[0];
  node.set_output(0, output);
}

}  // namespace

void check_lookup(Node& node) {
  switch (node.op()) {
    case Op::GATHER:
      return check_gather(node);
    case Op::GATHER_ND:
      return check_gather_nd(node);
    case Op::SCATTER_ND:
      return check_scatter_nd(node);
    case Op::ONE_HOT:
      return check_one_hot(node);
    default:
      return check_embedding_lookup(node);
  }
}

}  // namespace litedelegates::model
