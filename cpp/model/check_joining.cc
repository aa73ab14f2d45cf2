#include <string>

#include "check_operators.h"

namespace litedelegates::model {
namespace {

void require_same(const Node& node, const Dims& a, const Dims& b, std::size_t except) {
  bool same = a.size() == b.size();
  for (std::size_t i = 0; same && i < a.size(); ++i) {
    same = i == except || a[i] == b[i] || a[i] == kUnknown || b[i] == kUnknown;
  }
  if (!same) node.fail("the inputs " + text(a) + " and " + text(b) + " do not fit together");
}

// Sizes that one input leaves open may be told by another.
void fill_unknown(Dims& dims, const Dims& other, std::size_t except) {
  for (std::size_t i = 0; i < dims.size(); ++i) {
    if (i != except && dims[i] == kUnknown) dims[i] = other[i];
  }
}

void check_concatenation(Node& node) {
  Shape output = node.input_shape(0);
  std::size_t axis = 0;
  for (std::size_t i = 0; output && i < node.input_count(); ++i) {
    const Shape& input = node.input_shape(i);
    if (!input) return node.set_output(0, std::nullopt);
    axis = node.axis(node.option<std::int32_t>(OptionsKind::concatenation, 0), output->size());
    if (i == 0) continue;
    require_same(node, *output, *input, axis);
    fill_unknown(*output, *input, axis);
    std::int64_t& size = (*output)[axis];
    size = size == kUnknown || (*input)[axis] == kUnknown ? kUnknown : size + (*input)[axis];
  }
  node.set_output(0, output);
}

void check_pack(Node& node) {
  constexpr auto kind = OptionsKind::pack;
  if (node.option<std::int32_t>(kind, 0) != static_cast<std::int64_t>(node.input_count())) {
    node.fail("it packs " + std::to_string(node.option<std::int32_t>(kind, 0)) + " values, but has " +
              std::to_string(node.input_count()) + " inputs");
  }
  Shape output = node.input_shape(0);
  for (std::size_t i = 1; output && i < node.input_count(); ++i) {
    const Shape& input = node.input_shape(i);
    if (!input) return node.set_output(0, std::nullopt);
    require_same(node, *output, *input, output->size());
    fill_unknown(*output, *input, output->size());
  }
  if (output) {
    const std::size_t axis = node.axis(node.option<std::int32_t>(kind, 1), output->size() + 1);
    output->insert(output->begin() + static_cast<std::ptrdiff_t>(axis),
                   static_cast<std::int64_t>(node.input_count()));
  }
  node.set_output(0, output);
}

void set_outputs(Node& node, const Shape& shape) {
  for (std::size_t i = 0; i < node.output_count(); ++i) node.set_output(i, shape);
}

void require_outputs(const Node& node, std::int64_t count) {
  if (count != static_cast<std::int64_t>(node.output_count())) {
    node.fail("it makes " + std::to_string(count) + " parts, but has " + std::to_string(node.output_count()) +
              " outputs");
  }
}

void check_unpack(Node& node) {
  constexpr auto kind = OptionsKind::unpack;
  require_outputs(node, node.option<std::int32_t>(kind, 0));
  Shape shape = node.input_shape(0);
  if (shape) {
    const std::size_t axis = node.axis(node.option<std::int32_t>(kind, 1), shape->size());
    if ((*shape)[axis] != kUnknown) require_outputs(node, (*shape)[axis]);
    shape->erase(shape->begin() + static_cast<std::ptrdiff_t>(axis));
  }
  set_outputs(node, shape);
}

std::optional<std::size_t> constant_axis(const Node& node, std::size_t input, const Shape& shape) {
  const auto axis = node.constant(input);
  if (axis && axis->size() != 1) node.fail("the axis must be one number");
  if (!axis || !shape) return std::nullopt;
  return node.axis((*axis)[0], shape->size());
}

// Inputs: axis, data.
void check_split(Node& node) {
  const std::int64_t parts = node.option<std::int32_t>(OptionsKind::split, 0);
  require_outputs(node, parts);
  Shape shape = node.input_shape(1);
  const auto axis = constant_axis(node, 0, shape);
  if (!axis) return set_outputs(node, std::nullopt);
  std::int64_t& size = (*shape)[*axis];
  if (size != kUnknown && size % parts != 0) {
    node.fail(std::to_string(parts) + " parts do not divide dimension " + std::to_string(*axis) + " of " +
              text(*shape));
  }
  size = size == kUnknown ? kUnknown : size / parts;
  set_outputs(node, shape);
}

// Inputs: data, sizes of the parts (one may be -1), axis.
void check_split_v(Node& node) {
  require_outputs(node, node.option<std::int32_t>(OptionsKind::split_v, 0));
  Shape shape = node.input_shape(0);
  const auto axis = constant_axis(node, 2, shape);
  auto sizes = node.constant(1);
  if (sizes) require_outputs(node, static_cast<std::int64_t>(sizes->size()));
  if (!axis || !sizes) return set_outputs(node, std::nullopt);

  const std::int64_t total = (*shape)[*axis];
  std::int64_t sum = 0, open = 0;
  for (const std::int64_t size : *sizes) {
    if (size < -1) node.fail("the sizes of the parts are " + text(*sizes));
    (size == -1 ? open : sum) += size == -1 ? 1 : size;
  }
  if (open > 1 || (total != kUnknown && (open == 1 ? sum > total : sum != total))) {
    node.fail("parts of the sizes " + text(*sizes) + " do not make up dimension " + std::to_string(*axis) +
              " of " + text(*shape));
  }
  for (std::size_t i = 0; i < sizes->size(); ++i) {
    Dims part = *shape;
    part[*axis] = (*sizes)[i] != -1 ? (*sizes)[i] : total == kUnknown ? kUnknown : total - sum;
    node.set_output(i, part);
  }
}

}  // namespace

void check_joining(Node& node) {
  switch (node.op()) {
    case Op::CONCATENATION:
      return check_concatenation(node);
    case Op::PACK:
      return check_pack(node);
    case Op::UNPACK:
      return check_unpack(node);
    case Op::SPLIT:
      return check_split(node);
    default:
      return check_split_v(node);
  }
}

}  // namespace litedelegates::model
