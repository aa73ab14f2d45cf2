#include <algorithm>
#include <string>

#include "check_operators.h"

namespace litedelegates::model {
namespace {

std::optional<Dims> requested_shape(const Node& node) {
  if (node.has_input(1)) {
    const Tensor& shape = node.input(1);
    if (shape.shape.size() == 1 && node.is_type(shape, {Type::INT32})) return node.constant(1);
  }
  // Old models keep the shape in the options, with [0] for a scalar.
  auto shape = node.option_vector(OptionsKind::reshape, 0).value_or(Dims{});
  if (shape.size() == 1 && shape[0] == 0) shape.clear();
  if (shape.size() > kMaxRank) node.fail("the new shape has " + std::to_string(shape.size()) + " dimensions");
  return shape;
}

void check_reshape(Node& node) {
  auto shape = requested_shape(node);
  if (!shape) return node.set_output(0, std::nullopt);
  const std::int64_t count = node.input_shape(0) ? element_count(*node.input_shape(0)) : kUnknown;
  std::int64_t known = 1;
  std::optional<std::size_t> free;
  for (std::size_t i = 0; i < shape->size(); ++i) {
    const std::int64_t size = (*shape)[i];
    if (size < -1 || (size == -1 && free)) node.fail("the new shape is " + text(*shape));
    if (size == -1) {
      free = i;
    } else {
      known = element_count({known, size});
    }
  }
  if (count != kUnknown && (free ? known == 0 || count % known != 0 : count != known)) {
    node.fail("an input of the shape " + text(*node.input_shape(0)) + " cannot take the shape " +
              text(*shape));
  }
  if (free) (*shape)[*free] = count == kUnknown ? kUnknown : count / known;
  node.set_output(0, *shape);
}

void check_squeeze(Node& node) {
  const auto axes = node.option_vector(OptionsKind::squeeze, 0).value_or(Dims{});
  const Shape& input = node.input_shape(0);
  if (axes.size() > kMaxRank) node.fail("it squeezes " + std::to_string(axes.size()) + " dimensions");
  if (!input) return node.set_output(0, std::nullopt);
  std::vector<bool> drop(input->size());
  for (const std::int64_t axis : axes) {
    const std::size_t index = node.axis(axis, input->size());
    if ((*input)[index] != 1 && (*input)[index] != kUnknown) {
      node.fail("dimension " + std::to_string(index) + " of " + text(*input) + " is not 1");
    }
    drop[index] = true;
  }
  Dims output;
  for (std::size_t i = 0; i < input->size(); ++i) {
    if (axes.empty() && (*input)[i] == kUnknown) return node.set_output(0, std::nullopt);
    if (!(axes.empty() ? (*input)[i] == 1 : drop[i])) output.push_back((*input)[i]);
  }
  node.set_output(0, output);
}

void check_expand_dims(Node& node) {
  const Shape& input = node.input_shape(0);
  const auto axis = node.constant(1);
  if (axis && axis->size() != 1) node.fail("the axis must be one number");
  if (!input || !axis) return node.set_output(0, std::nullopt);
  Dims output = *input;
  output.insert(output.begin() + static_cast<std::ptrdiff_t>(node.axis((*axis)[0], input->size() + 1)), 1);
  node.set_output(0, output);
}

void check_transpose(Node& node) {
  const Shape& input = node.input_shape(0);
  const auto order = node.constant(1);
  if (!order || !input) return node.set_output(0, std::nullopt);
  Dims output;
  std::vector<bool> seen(input->size());
  if (order->size() != input->size())
    node.fail("the order " + text(*order) + " does not fit " + text(*input));
  for (const std::int64_t axis : *order) {
    const std::size_t index = node.axis(axis, input->size());
    if (seen[index]) node.fail("the order " + text(*order) + " is no permutation");
    seen[index] = true;
    output.push_back((*input)[index]);
  }
  node.set_output(0, output);
}

void check_depth_and_space(Node& node) {
  const bool to_depth = node.op() == Op::SPACE_TO_DEPTH;
  const std::int64_t block =
      node.option<std::int32_t>(to_depth ? OptionsKind::space_to_depth : OptionsKind::depth_to_space, 0);
  if (block < 1 || block > 4096) node.fail("the block size is " + std::to_string(block));
  const Dims* input = node.ranked_input(0, 4, "the input");
  if (input == nullptr) return node.set_output(0, std::nullopt);
  Dims output = *input;
  const auto scale = [&](std::size_t index, std::int64_t factor, bool up) {
    if (output[index] == kUnknown) return;
    if (!up && output[index] % factor != 0) {
      node.fail("blocks of " + std::to_string(block) + " do not divide the input " + text(*input));
    }
    output[index] = up ? output[index] * factor : output[index] / factor;
  };
  scale(1, block, !to_depth);
  scale(2, block, !to_depth);
  scale(3, block * block, to_depth);
  node.set_output(0, output);
}

// Inputs: data, block shape, paddings or crops of 2 for each block dimension.
void check_batch_and_space(Node& node) {
  const bool to_batch = node.op() == Op::SPACE_TO_BATCH_ND;
  const Shape& input = node.input_shape(0);
  const auto block = node.constant(1), margins = node.constant(2);
  if (!input || !block || !margins) return node.set_output(0, std::nullopt);
  if (block->size() + 1 > input->size() || margins->size() != 2 * block->size()) {
    node.fail("the block shape " + text(*block) + " and the margins " + text(*margins) + " do not fit " +
              text(*input));
  }
  Dims output = *input;
  for (std::size_t i = 0; i < block->size(); ++i) {
    const std::int64_t size = (*block)[i], margin = (*margins)[2 * i] + (*margins)[2 * i + 1];
    if (size < 1 || (*margins)[2 * i] < 0 || (*margins)[2 * i + 1] < 0) {
      node.fail("the block shape is " + text(*block) + " and the margins are " + text(*margins));
    }
    std::int64_t& batch = output[0];
    std::int64_t& space = output[i + 1];
    if (!to_batch && batch != kUnknown && batch % size != 0) {
      node.fail("the blocks " + text(*block) + " do not divide the batch of " + text(*input));
    }
    if (batch != kUnknown) batch = to_batch ? batch * size : batch / size;
    if (space == kUnknown) continue;
    if (to_batch && (space + margin) % size != 0) {
      node.fail("the blocks " + text(*block) + " do not divide " + text(*input));
    }
    space = to_batch ? (space + margin) / size : space * size - margin;
    if (space < 0) node.fail("the crops " + text(*margins) + " are larger than the input " + text(*input));
  }
  node.set_output(0, output);
}

}  // namespace

void check_rearrangement(Node& node) {
  switch (node.op()) {
    case Op::RESHAPE:
      return check_reshape(node);
    case Op::SQUEEZE:
      return check_squeeze(node);
    case Op::EXPAND_DIMS:
      return check_expand_dims(node);
    case Op::TRANSPOSE:
      return check_transpose(node);
    case Op::SPACE_TO_DEPTH:
    case Op::DEPTH_TO_SPACE:
      return check_depth_and_space(node);
    default:
      return check_batch_and_space(node);
  }
}

}  // namespace litedelegates::model
