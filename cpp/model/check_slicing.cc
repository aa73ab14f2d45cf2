#include <algorithm>
#include <cmath>
#include <string>

#include "check_operators.h"
#include "strided_slice.h"

namespace litedelegates::model {
namespace {

void check_slice(Node& node) {
  const Shape& input = node.input_shape(0);
  const auto begin = node.constant(1), size = node.constant(2);
  if (!input || !begin || !size) return node.set_output(0, std::nullopt);
  if (begin->size() != input->size() || size->size() != input->size()) {
    node.fail("begin " + text(*begin) + " and size " + text(*size) + " do not fit the input " + text(*input));
  }
  Dims output;
  for (std::size_t i = 0; i < input->size(); ++i) {
    const std::int64_t whole = (*input)[i], from = (*begin)[i], count = (*size)[i];
    const std::int64_t most = whole == kUnknown ? INT32_MAX : whole;
    if (from < 0 || from > most || count < -1 || count > most - from) {
      node.fail("begin " + text(*begin) + " and size " + text(*size) + " leave the input " + text(*input));
    }
    output.push_back(count >= 0 ? count : whole == kUnknown ? kUnknown : whole - from);
  }
  node.set_output(0, output);
}

// Inputs: data, begin, end, strides. A mask has one bit a dimension.
void check_strided_slice(Node& node) {
  constexpr auto kind = OptionsKind::strided_slice;
  const auto mask = [&](int slot) {
    return static_cast<std::uint32_t>(node.option<std::int32_t>(kind, slot));
  };
  const bool offset = node.option<std::uint8_t>(kind, 5) != 0;

  const Shape& input = node.input_shape(0);
  const auto begin = node.constant(1), end = node.constant(2), strides = node.constant(3);
  if (strides && std::find(strides->begin(), strides->end(), 0) != strides->end()) node.fail("a stride is 0");
  for (std::size_t i = 2; i < 4; ++i) {
    const Shape& a = node.input_shape(1);
    const Shape& b = node.input_shape(i);
    if (a && b &&
        (a->size() != 1 || b->size() != 1 || ((*a)[0] != (*b)[0] && (*a)[0] >= 0 && (*b)[0] >= 0))) {
      node.fail("begin, end and strides differ in length");
    }
  }
  if (!input || !begin || !end || !strides) return node.set_output(0, std::nullopt);
  // An ellipsis or new axes shift the dimensions; what a file stores for those is left to the runtime.
  if (!node.is_inferring() && (mask(2) != 0 || mask(3) != 0 || offset)) {
    if (begin->size() > 2 * kMaxRank) node.fail("it slices " + std::to_string(begin->size()) + " dimensions");
    return node.set_output(0, std::nullopt);
  }
  if (!node.is_inferring() && begin->size() > input->size())
    node.fail("it slices more dimensions than the input " + text(*input) + " has");
  const auto axes = sliced_axes(node, *input);
  if (!axes) return node.set_output(0, std::nullopt);
  Dims output;
  for (const SlicedAxis& axis : *axes) {
    if (!axis.is_dropped) output.push_back(axis.count);
  }
  node.set_output(0, output);
}

// Inputs: data, [before, after] of every dimension.
void check_pad(Node& node) {
  const Shape& input = node.input_shape(0);
  const auto paddings = node.constant(1);
  if (!input || !paddings) return node.set_output(0, std::nullopt);
  if (paddings->size() != 2 * input->size()) {
    node.fail("the paddings " + text(*paddings) + " do not fit the input " + text(*input));
  }
  const bool mirror = node.op() == Op::MIRROR_PAD;
  const std::int64_t border = mirror && node.option<std::int8_t>(OptionsKind::mirror_pad, 0) == 0 ? 1 : 0;
  Dims output = *input;
  for (std::size_t i = 0; i < output.size(); ++i) {
    const std::int64_t before = (*paddings)[2 * i], after = (*paddings)[2 * i + 1], size = output[i];
    if (before < 0 || after < 0 || before > INT32_MAX || after > INT32_MAX) {
      node.fail("the paddings are " + text(*paddings));
    }
    if (mirror && size != kUnknown && std::max(before, after) > std::max<std::int64_t>(size - border, 0)) {
      node.fail("the paddings " + text(*paddings) + " are larger than the input " + text(*input) +
                " can mirror");
    }
    output[i] = size == kUnknown ? kUnknown : size + before + after;
  }
  node.set_output(0, output);
}

void check_tile(Node& node) {
  const Shape& input = node.input_shape(0);
  const auto factors = node.constant(1);
  if (!input || !factors) return node.set_output(0, std::nullopt);
  if (factors->size() != input->size())
    node.fail("the factors " + text(*factors) + " do not fit " + text(*input));
  Dims output = *input;
  for (std::size_t i = 0; i < output.size(); ++i) {
    if ((*factors)[i] < 0 || (*factors)[i] > INT32_MAX) node.fail("the factors are " + text(*factors));
    if (output[i] != kUnknown) output[i] *= (*factors)[i];
  }
  node.set_output(0, output);
}

void check_broadcast_to(Node& node) {
  const Shape& input = node.input_shape(0);
  const auto shape = node.constant(1);
  if (!input || !shape) return node.set_output(0, std::nullopt);
  bool fits = input->size() <= shape->size() && shape->size() <= kMaxRank;
  for (std::size_t i = 0; fits && i < input->size(); ++i) {
    const std::int64_t from = (*input)[input->size() - 1 - i], to = (*shape)[shape->size() - 1 - i];
    fits = to >= 0 && (from == 1 || from == to || from == kUnknown);
  }
  if (!fits) node.fail("the input " + text(*input) + " cannot be broadcast to " + text(*shape));
  node.set_output(0, *shape);
}

void check_fill(Node& node) {
  const auto shape = node.constant(0);
  if (shape && shape->size() > kMaxRank)
    node.fail("it fills " + std::to_string(shape->size()) + " dimensions");
  if (shape && std::any_of(shape->begin(), shape->end(), [](std::int64_t size) { return size < 0; })) {
    node.fail("it fills the shape " + text(*shape));
  }
  node.set_output(0, shape ? Shape(*shape) : std::nullopt);
}

// As the kernel counts: the distance is divided in single precision.
void check_real_range(Node& node) {
  const auto start = node.known(0), limit = node.known(1), step = node.known(2);
  if (!start || !limit || !step || start->reals.size() != 1 || limit->reals.size() != 1 ||
      step->reals.size() != 1 || step->reals[0] == 0) {
    return node.set_output(0, std::nullopt);
  }
  const float steps = std::ceil(std::abs((limit->reals[0] - start->reals[0]) / step->reals[0]));
  const bool is_empty = (limit->reals[0] > start->reals[0]) != (step->reals[0] > 0);
  if (!is_empty && !(steps < static_cast<float>(INT32_MAX))) return node.set_output(0, std::nullopt);
  node.set_output(0, Dims{is_empty ? 0 : static_cast<std::int64_t>(steps)});
}

// Inputs: start, limit, step.
void check_range(Node& node) {
  if (node.is_inferring() && node.is_type(node.output(0), {Type::FLOAT32})) return check_real_range(node);
  const auto start = node.constant(0), limit = node.constant(1), step = node.constant(2);
  if (!start || !limit || !step || start->size() != 1 || limit->size() != 1 || step->size() != 1) {
    return node.set_output(0, std::nullopt);
  }
  const std::int64_t delta = (*step)[0];
  // Kept far from the ends of 64 bits, where the differences below would overflow.
  const auto huge = [](std::int64_t value) { return value > INT64_MAX / 4 || value < -INT64_MAX / 4; };
  if (delta == 0 || huge(delta) || huge((*start)[0]) || huge((*limit)[0]))
    node.fail("the step is " + text(*step));
  const std::int64_t distance = delta > 0 ? (*limit)[0] - (*start)[0] : (*start)[0] - (*limit)[0];
  const std::int64_t size = delta > 0 ? delta : -delta;
  node.set_output(0, Dims{distance <= 0 ? 0 : (distance - 1) / size + 1});
}

// Inputs: data, update, start indices; the runtime moves indices that are too large.
void check_dynamic_update_slice(Node& node) {
  const Shape& input = node.input_shape(0);
  const Shape& update = node.input_shape(1);
  if (input && update) {
    bool fits = input->size() == update->size();
    for (std::size_t i = 0; fits && i < input->size(); ++i) {
      fits = (*update)[i] <= (*input)[i] || (*input)[i] == kUnknown;
    }
    if (!fits) node.fail("the update " + text(*update) + " does not fit the input " + text(*input));
  }
  node.set_output(0, input);
}

void check_reverse(Node& node) {
  const Shape& input = node.input_shape(0);
  if (const auto axes = node.constant(1); axes && input) {
    for (const std::int64_t axis : *axes) static_cast<void>(node.axis(axis, input->size()));
  }
  node.set_output(0, input);
}

}  // namespace

void check_slicing(Node& node) {
  switch (node.op()) {
    case Op::SLICE:
      return check_slice(node);
    case Op::STRIDED_SLICE:
      return check_strided_slice(node);
    case Op::PAD:
    case Op::PADV2:
    case Op::MIRROR_PAD:
      return check_pad(node);
    case Op::TILE:
      return check_tile(node);
    case Op::BROADCAST_TO:
      return check_broadcast_to(node);
    case Op::FILL:
      return check_fill(node);
    case Op::RANGE:
      return check_range(node);
    case Op::DYNAMIC_UPDATE_SLICE:
      return check_dynamic_update_slice(node);
    default:
      return check_reverse(node);
  }
}

}  // namespace litedelegates::model
