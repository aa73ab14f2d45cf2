#include "evaluate.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "strided_slice.h"

namespace litedelegates::model {
namespace {

using Result = std::optional<Values>;
using Positions = std::vector<std::size_t>;  // of elements, counted in row-major order

std::size_t count_of(const Dims& dims) {
  std::size_t count = 1;
  for (const std::int64_t size : dims) count *= static_cast<std::size_t>(size);
  return count;
}

bool is_short(const Shape& shape) {
  if (!shape || shape->size() > kMaxRank) return false;
  const std::int64_t count = element_count(*shape);
  return count != kUnknown && count <= static_cast<std::int64_t>(kMostParameters);
}

Dims strides_of(const Dims& dims) {
  Dims strides(dims.size(), 1);
  for (std::size_t i = dims.size(); i-- > 1;) strides[i - 1] = strides[i] * dims[i];
  return strides;
}

Dims coordinates(std::size_t position, const Dims& dims) {
  Dims result(dims.size());
  for (std::size_t i = dims.size(); i-- > 0;) {
    result[i] = static_cast<std::int64_t>(position) % dims[i];
    position /= static_cast<std::size_t>(dims[i]);
  }
  return result;
}

std::size_t position_of(const Dims& coordinates, const Dims& dims) {
  const Dims strides = strides_of(dims);
  return static_cast<std::size_t>(
      std::inner_product(coordinates.begin(), coordinates.end(), strides.begin(), std::int64_t{0}));
}

Values pick(const Values& from, const Positions& positions, const Dims& dims) {
  Values result{dims, {}, {}};
  for (const std::size_t position : positions) {
    if (from.reals.empty()) {
      result.integers.push_back(from.integers[position]);
    } else {
      result.reals.push_back(from.reals[position]);
    }
  }
  return result;
}

// Each element of the output is the one of the input that `source` tells for its coordinates.
template <class Source>
Values rearrange(const Values& input, const Dims& dims, const Source& source) {
  Positions positions(count_of(dims));
  for (std::size_t i = 0; i < positions.size(); ++i) {
    positions[i] = position_of(source(coordinates(i, dims)), input.dims);
  }
  return pick(input, positions, dims);
}

Values reshape(Values values, const Dims& dims) {
  values.dims = dims;
  return values;
}

bool is_type(const Tensor& tensor, Type type) { return tensor.type == static_cast<int>(type); }

bool fits(const Tensor& tensor, std::int64_t value) {
  return !is_type(tensor, Type::INT32) || (value >= std::numeric_limits<std::int32_t>::min() &&
                                           value <= std::numeric_limits<std::int32_t>::max());
}

Values broadcast(const Values& input, const Dims& dims) {
  const std::size_t added = dims.size() - input.dims.size();
  return rearrange(input, dims, [&](const Dims& at) {
    Dims source(input.dims.size());
    for (std::size_t i = 0; i < source.size(); ++i) source[i] = input.dims[i] == 1 ? 0 : at[added + i];
    return source;
  });
}

bool has_activation(const Node& node) {
  const Op op = node.op();
  if (op != Op::ADD && op != Op::SUB && op != Op::MUL && op != Op::DIV) return false;
  return node.details().options && node.details().options.scalar<std::int8_t>(0, 0, "the activation") != 0;
}

std::int64_t floor_div(std::int64_t a, std::int64_t b) {
  return a / b - ((a % b != 0 && (a < 0) != (b < 0)) ? 1 : 0);
}

std::optional<std::int64_t> combine(Op op, std::int64_t a, std::int64_t b) {
  std::int64_t result = 0;
  const bool divides = op == Op::DIV || op == Op::FLOOR_DIV || op == Op::FLOOR_MOD;
  if (divides && (b == 0 || (b == -1 && a == std::numeric_limits<std::int64_t>::min()))) return std::nullopt;
  switch (op) {
    case Op::ADD:
      return __builtin_add_overflow(a, b, &result) ? std::nullopt : std::optional(result);
    case Op::SUB:
      return __builtin_sub_overflow(a, b, &result) ? std::nullopt : std::optional(result);
    case Op::MUL:
      return __builtin_mul_overflow(a, b, &result) ? std::nullopt : std::optional(result);
    case Op::DIV:
      return a / b;
    case Op::FLOOR_DIV:
      return floor_div(a, b);
    case Op::FLOOR_MOD:
      return a - floor_div(a, b) * b;
    case Op::MAXIMUM:
      return std::max(a, b);
    case Op::MINIMUM:
      return std::min(a, b);
    case Op::LOGICAL_AND:
      return a != 0 && b != 0;
    case Op::LOGICAL_OR:
      return a != 0 || b != 0;
    default:
      return std::nullopt;
  }
}

// In single precision, as the kernels compute.
std::optional<float> combine(Op op, float a, float b) {
  switch (op) {
    case Op::ADD:
      return a + b;
    case Op::SUB:
      return a - b;
    case Op::MUL:
      return a * b;
    case Op::DIV:
      return b == 0 ? std::nullopt : std::optional(a / b);
    case Op::MAXIMUM:
      return std::max(a, b);
    case Op::MINIMUM:
      return std::min(a, b);
    default:
      return std::nullopt;
  }
}

template <class T>
std::optional<bool> compare(Op op, T a, T b) {
  switch (op) {
    case Op::EQUAL:
      return a == b;
    case Op::NOT_EQUAL:
      return a != b;
    case Op::LESS:
      return a < b;
    case Op::LESS_EQUAL:
      return a <= b;
    case Op::GREATER:
      return a > b;
    case Op::GREATER_EQUAL:
      return a >= b;
    default:
      return std::nullopt;
  }
}

Result binary(const Node& node, const Dims& dims) {
  if (has_activation(node)) return std::nullopt;
  const auto left = node.known(0);
  const auto right = left ? node.known(1) : std::nullopt;
  if (!right || left->reals.empty() != right->reals.empty()) return std::nullopt;
  const Values a = broadcast(*left, dims), b = broadcast(*right, dims);
  Values result{dims, {}, {}};
  for (std::size_t i = 0; i < a.size(); ++i) {
    const auto compared = a.reals.empty() ? compare(node.op(), a.integers[i], b.integers[i])
                                          : compare(node.op(), a.reals[i], b.reals[i]);
    if (compared) {
      result.integers.push_back(*compared ? 1 : 0);
    } else if (a.reals.empty()) {
      const auto value = combine(node.op(), a.integers[i], b.integers[i]);
      if (!value || !fits(node.output(0), *value)) return std::nullopt;
      result.integers.push_back(*value);
    } else {
      const auto value = combine(node.op(), a.reals[i], b.reals[i]);
      if (!value) return std::nullopt;
      result.reals.push_back(*value);
    }
  }
  return result;
}

Result unary(const Node& node) {
  auto input = node.known(0);
  if (!input) return std::nullopt;
  for (std::int64_t& value : input->integers) {
    switch (node.op()) {
      case Op::NEG:
      case Op::ABS:
        if (value == std::numeric_limits<std::int64_t>::min()) return std::nullopt;
        if (node.op() == Op::NEG || value < 0) value = -value;
        break;
      case Op::LOGICAL_NOT:
        value = value == 0 ? 1 : 0;
        break;
      case Op::ZEROS_LIKE:
        value = 0;
        break;
      default:
        return std::nullopt;
    }
    if (!fits(node.output(0), value)) return std::nullopt;
  }
  for (float& value : input->reals) {
    switch (node.op()) {
      case Op::NEG:
        value = -value;
        break;
      case Op::ABS:
        value = std::abs(value);
        break;
      case Op::FLOOR:
        value = std::floor(value);
        break;
      case Op::CEIL:
        value = std::ceil(value);
        break;
      case Op::ZEROS_LIKE:
        value = 0;
        break;
      default:
        return std::nullopt;
    }
  }
  return input;
}

// Out of a float only what every target surely holds: the rest is up to the kernel.
Result cast(const Node& node) {
  const auto input = node.known(0);
  if (!input) return std::nullopt;
  const Tensor& output = node.output(0);
  Values result{input->dims, {}, {}};
  for (std::size_t i = 0; i < input->size(); ++i) {
    const bool is_real = !input->reals.empty();
    if (is_type(output, Type::FLOAT32)) {
      result.reals.push_back(is_real ? input->reals[i] : static_cast<float>(input->integers[i]));
      continue;
    }
    if (is_real && !(std::abs(input->reals[i]) < 2147483648.0F)) return std::nullopt;
    const std::int64_t value = is_real ? static_cast<std::int64_t>(input->reals[i]) : input->integers[i];
    if (is_type(output, Type::BOOL)) {
      result.integers.push_back(is_real ? (input->reals[i] != 0 ? 1 : 0) : (value != 0 ? 1 : 0));
    } else if (is_type(output, Type::INT32) || is_type(output, Type::INT64)) {
      if (!fits(output, value)) return std::nullopt;
      result.integers.push_back(value);
    } else {
      return std::nullopt;
    }
  }
  return result;
}

// What is left where there is nothing to reduce.
std::optional<std::int64_t> of_nothing(Op op) {
  if (op == Op::MAXIMUM || op == Op::MINIMUM) return std::nullopt;
  return op == Op::MUL || op == Op::LOGICAL_AND ? 1 : 0;
}

Result reduce(const Node& node, const Dims& dims) {
  const auto input = node.known(0);
  const auto axes = node.constant(1);
  if (!input || !axes || !input->reals.empty()) return std::nullopt;
  std::vector<bool> reduced(input->dims.size());
  for (const std::int64_t axis : *axes) {
    if (!reduced.empty()) reduced[node.axis(axis, reduced.size())] = true;
  }
  const bool keep = dims.size() == input->dims.size();
  const Op op = [&] {
    switch (node.op()) {
      case Op::SUM:
        return Op::ADD;
      case Op::REDUCE_PROD:
        return Op::MUL;
      case Op::REDUCE_MAX:
        return Op::MAXIMUM;
      case Op::REDUCE_MIN:
        return Op::MINIMUM;
      case Op::REDUCE_ALL:
        return Op::LOGICAL_AND;
      default:
        return Op::LOGICAL_OR;
    }
  }();
  std::vector<std::optional<std::int64_t>> sums(count_of(dims));
  for (std::size_t i = 0; i < input->size(); ++i) {
    const Dims at = coordinates(i, input->dims);
    Dims target;
    for (std::size_t axis = 0; axis < at.size(); ++axis) {
      if (!reduced[axis] || keep) target.push_back(reduced[axis] ? 0 : at[axis]);
    }
    auto& sum = sums[position_of(target, dims)];
    sum = sum ? combine(op, *sum, input->integers[i]) : std::optional(input->integers[i]);
    if (!sum) return std::nullopt;
  }
  Values result{dims, {}, {}};
  for (const auto& sum : sums) {
    const auto value = sum ? sum : of_nothing(op);
    if (!value || !fits(node.output(0), *value)) return std::nullopt;
    result.integers.push_back(*value);
  }
  return result;
}

Result gather(const Node& node, const Dims& dims) {
  constexpr auto kind = OptionsKind::gather;
  const auto input = node.known(0);
  const auto indices = node.constant(1);
  if (!input || !indices || node.option<std::int32_t>(kind, 1) != 0) return std::nullopt;
  const Shape& form = node.input_shape(1);
  if (!form || input->dims.empty()) return std::nullopt;
  const std::size_t axis = node.axis(node.option<std::int32_t>(kind, 0), input->dims.size());
  for (const std::int64_t index : *indices) {
    if (index < 0 || index >= input->dims[axis]) return std::nullopt;
  }
  return rearrange(*input, dims, [&](const Dims& at) {
    const auto split = at.begin() + static_cast<std::ptrdiff_t>(axis);
    const auto rest = split + static_cast<std::ptrdiff_t>(form->size());
    Dims source(at.begin(), split);
    source.push_back((*indices)[position_of(Dims(split, rest), *form)]);
    source.insert(source.end(), rest, at.end());
    return source;
  });
}

Result strided_slice(const Node& node, const Dims& dims) {
  const auto input = node.known(0);
  if (!input) return std::nullopt;
  const auto axes = sliced_axes(node, input->dims);
  if (!axes) return std::nullopt;
  return rearrange(*input, dims, [&](const Dims& at) {
    Dims source;
    std::size_t next = 0;
    for (const SlicedAxis& axis : *axes) {
      const std::int64_t along = axis.is_dropped ? 0 : at[next++];
      if (!axis.is_new) source.push_back(axis.from + along * axis.step);
    }
    return source;
  });
}

Result slice(const Node& node, const Dims& dims) {
  const auto input = node.known(0);
  const auto begin = node.constant(1);
  if (!input || !begin) return std::nullopt;
  return rearrange(*input, dims, [&](Dims at) {
    for (std::size_t i = 0; i < at.size(); ++i) at[i] += (*begin)[i];
    return at;
  });
}

Result transpose(const Node& node, const Dims& dims) {
  const auto input = node.known(0);
  const auto order = node.constant(1);
  if (!input || !order) return std::nullopt;
  return rearrange(*input, dims, [&](const Dims& at) {
    Dims source(at.size());
    for (std::size_t i = 0; i < at.size(); ++i) source[node.axis((*order)[i], at.size())] = at[i];
    return source;
  });
}

Result tile(const Node& node, const Dims& dims) {
  const auto input = node.known(0);
  if (!input) return std::nullopt;
  return rearrange(*input, dims, [&](Dims at) {
    for (std::size_t i = 0; i < at.size(); ++i) at[i] %= input->dims[i];
    return at;
  });
}

// PACK and CONCATENATION: `inserted` tells that the axis is one that the inputs do not have.
Result join(const Node& node, const Dims& dims, std::size_t axis, bool inserted) {
  std::vector<Values> inputs;
  for (std::size_t i = 0; i < node.input_count(); ++i) {
    auto input = node.known(i);
    if (!input) return std::nullopt;
    if (inserted) input->dims.insert(input->dims.begin() + static_cast<std::ptrdiff_t>(axis), 1);
    inputs.push_back(std::move(*input));
  }
  Values result{dims, {}, {}};
  for (std::size_t i = 0; i < count_of(dims); ++i) {
    Dims at = coordinates(i, dims);
    std::size_t part = 0;
    while (at[axis] >= inputs[part].dims[axis]) at[axis] -= inputs[part++].dims[axis];
    const std::size_t position = position_of(at, inputs[part].dims);
    if (inputs[part].reals.empty()) {
      result.integers.push_back(inputs[part].integers[position]);
    } else {
      result.reals.push_back(inputs[part].reals[position]);
    }
  }
  return result;
}

Result select(const Node& node, const Dims& dims) {
  const auto condition = node.known(0), yes = node.known(1), no = node.known(2);
  if (!condition || !yes || !no || yes->reals.empty() != no->reals.empty()) return std::nullopt;
  // The old SELECT may have a condition a row.
  if (node.op() == Op::SELECT && condition->dims != dims && !condition->dims.empty()) return std::nullopt;
  const Values which = broadcast(*condition, dims), a = broadcast(*yes, dims), b = broadcast(*no, dims);
  Values result{dims, {}, {}};
  for (std::size_t i = 0; i < which.size(); ++i) {
    const Values& from = which.integers[i] != 0 ? a : b;
    if (from.reals.empty()) {
      result.integers.push_back(from.integers[i]);
    } else {
      result.reals.push_back(from.reals[i]);
    }
  }
  return result;
}

Result range(const Node& node, const Dims& dims) {
  const auto start = node.known(0), step = node.known(2);
  if (!start || !step || start->size() != 1 || step->size() != 1) return std::nullopt;
  Values result{dims, {}, {}};
  for (std::int64_t i = 0; i < dims[0]; ++i) {
    if (start->reals.empty()) {
      result.integers.push_back(start->integers[0] + i * step->integers[0]);
      if (!fits(node.output(0), result.integers.back())) return std::nullopt;
    } else {
      return std::nullopt;  // kernels differ in how they add up
    }
  }
  return result;
}

Result shape_of(const Node& node) {
  const Shape& input = node.input_shape(0);
  if (!input) return std::nullopt;
  if (node.op() == Op::RANK) return Values{{}, {static_cast<std::int64_t>(input->size())}, {}};
  if (element_count(*input) == kUnknown) return std::nullopt;
  return Values{{static_cast<std::int64_t>(input->size())}, *input, {}};
}

Result broadcast_args(const Node& node) {
  const auto a = node.constant(0), b = node.constant(1);
  if (!a || !b) return std::nullopt;
  const Dims& longer = a->size() >= b->size() ? *a : *b;
  const Dims& shorter = a->size() >= b->size() ? *b : *a;
  Values result{{static_cast<std::int64_t>(longer.size())}, longer, {}};
  for (std::size_t i = 0; i < shorter.size(); ++i) {
    std::int64_t& size = result.integers[longer.size() - 1 - i];
    const std::int64_t other = shorter[shorter.size() - 1 - i];
    if (size != other && size != 1 && other != 1) return std::nullopt;
    if (size == 1) size = other;
  }
  return result;
}

// UNPACK, SPLIT and SPLIT_V, along an axis that UNPACK drops.
KnownValues part(const Node& node, std::size_t data, std::size_t axis, bool drops) {
  KnownValues results(node.output_count());
  const auto input = node.known(data);
  if (!input) return results;
  std::int64_t begin = 0;
  for (std::size_t i = 0; i < results.size(); ++i) {
    const Shape& shape = node.output_shape(i);
    if (!is_short(shape)) return results;
    results[i] = rearrange(*input, *shape, [&](Dims at) {
      if (drops) at.insert(at.begin() + static_cast<std::ptrdiff_t>(axis), 0);
      at[axis] += begin;
      return at;
    });
    begin += drops ? 1 : (*shape)[axis];
  }
  return results;
}

KnownValues parts_of(const Node& node) {
  const std::size_t data = node.op() == Op::SPLIT ? 1 : 0;
  KnownValues unknown(node.output_count());
  const Shape& shape = node.input_shape(data);
  if (!shape || shape->empty()) return unknown;
  if (node.op() == Op::UNPACK) {
    return part(node, data, node.axis(node.option<std::int32_t>(OptionsKind::unpack, 1), shape->size()),
                true);
  }
  const auto axis = node.constant(node.op() == Op::SPLIT ? 0 : 2);
  if (!axis || axis->size() != 1) return unknown;
  return part(node, data, node.axis((*axis)[0], shape->size()), false);
}

Result evaluate_one(const Node& node, const Dims& dims) {
  switch (node.op()) {
    case Op::SHAPE:
    case Op::RANK:
      return shape_of(node);
    case Op::RESHAPE:
    case Op::SQUEEZE:
    case Op::EXPAND_DIMS: {
      auto input = node.known(0);
      return input ? Result(reshape(std::move(*input), dims)) : std::nullopt;
    }
    case Op::ADD:
    case Op::SUB:
    case Op::MUL:
    case Op::DIV:
    case Op::FLOOR_DIV:
    case Op::FLOOR_MOD:
    case Op::MAXIMUM:
    case Op::MINIMUM:
    case Op::EQUAL:
    case Op::NOT_EQUAL:
    case Op::LESS:
    case Op::LESS_EQUAL:
    case Op::GREATER:
    case Op::GREATER_EQUAL:
    case Op::LOGICAL_AND:
    case Op::LOGICAL_OR:
      return binary(node, dims);
    case Op::NEG:
    case Op::ABS:
    case Op::FLOOR:
    case Op::CEIL:
    case Op::LOGICAL_NOT:
    case Op::ZEROS_LIKE:
      return unary(node);
    case Op::CAST:
      return cast(node);
    case Op::SUM:
    case Op::REDUCE_PROD:
    case Op::REDUCE_MAX:
    case Op::REDUCE_MIN:
    case Op::REDUCE_ALL:
    case Op::REDUCE_ANY:
      return reduce(node, dims);
    case Op::GATHER:
      return gather(node, dims);
    case Op::STRIDED_SLICE:
      return strided_slice(node, dims);
    case Op::SLICE:
      return slice(node, dims);
    case Op::TRANSPOSE:
      return transpose(node, dims);
    case Op::TILE:
      return tile(node, dims);
    case Op::PACK:
      return join(node, dims, node.axis(node.option<std::int32_t>(OptionsKind::pack, 1), dims.size()), true);
    case Op::CONCATENATION:
      return join(node, dims,
                  node.axis(node.option<std::int32_t>(OptionsKind::concatenation, 0), dims.size()), false);
    case Op::FILL: {
      const auto value = node.known(1);
      return value && value->size() == 1 ? Result(broadcast(reshape(*value, {}), dims)) : std::nullopt;
    }
    case Op::BROADCAST_TO: {
      const auto value = node.known(0);
      return value ? Result(broadcast(*value, dims)) : std::nullopt;
    }
    case Op::BROADCAST_ARGS:
      return broadcast_args(node);
    case Op::SELECT:
    case Op::SELECT_V2:
      return select(node, dims);
    case Op::RANGE:
      return range(node, dims);
    default:
      return std::nullopt;
  }
}

bool has_type_of_values(const Tensor& tensor) {
  return is_type(tensor, Type::INT32) || is_type(tensor, Type::INT64) || is_type(tensor, Type::BOOL) ||
         is_type(tensor, Type::FLOAT32);
}

}  // namespace

KnownValues evaluate(const Node& node) {
  KnownValues results(node.output_count());
  for (std::size_t i = 0; i < results.size(); ++i) {
    if (!has_type_of_values(node.output(i))) return results;
  }
  switch (node.op()) {
    case Op::UNPACK:
    case Op::SPLIT:
    case Op::SPLIT_V:
      return parts_of(node);
    default:
      break;
  }
  if (results.size() != 1 || !is_short(node.output_shape(0))) return results;
  const Dims& dims = *node.output_shape(0);
  // Whatever an empty tensor is computed from, it has no values.
  results[0] = count_of(dims) == 0 ? Values{dims, {}, {}} : evaluate_one(node, dims);
  return results;
}

}  // namespace litedelegates::model
