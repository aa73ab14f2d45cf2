#include <algorithm>
#include <cmath>
#include <limits>
#include <string>

#include "check_operators.h"

namespace litedelegates::model {
namespace {

std::int64_t broadcast_size(const Node& node, std::int64_t a, std::int64_t b) {
  if (a == b || b == 1) return a;
  if (a == 1) return b;
  if (a == kUnknown) return b;
  if (b == kUnknown) return a;
  node.fail("sizes " + std::to_string(a) + " and " + std::to_string(b) + " cannot be broadcast");
}

Dims broadcast(const Node& node, const Dims& a, const Dims& b) {
  Dims result(std::max(a.size(), b.size()));
  for (std::size_t i = 0; i < result.size(); ++i) {
    const std::int64_t left = i < a.size() ? a[a.size() - 1 - i] : 1;
    const std::int64_t right = i < b.size() ? b[b.size() - 1 - i] : 1;
    result[result.size() - 1 - i] = broadcast_size(node, left, right);
  }
  return result;
}

bool is_quantized(const Node& node, const Tensor& tensor) {
  return node.is_type(tensor, {Type::INT8, Type::UINT8});
}

// The runtime hands kernels one scale, which is zero for a tensor that has several; and so it computes with
// numbers below the smallest normal one.
double scale_of(const Node& node, const Tensor& tensor, const char* what) {
  const auto& scales = tensor.quantization.scales;
  if (scales.empty() || !(scales[0] > 0)) node.fail(std::string(what) + " is quantized but has no scale");
  if (!std::isnormal(scales[0])) {
    node.fail(std::string(what) + " has a quantization scale that is too small to be computed with");
  }
  if (scales.size() > 1) {
    node.fail(std::string(what) + " has " + std::to_string(scales.size()) +
              " quantization scales, and the kernel takes one");
  }
  return static_cast<double>(scales[0]);
}

// The runtime turns ratios of scales into fixed-point numbers, and ends the process when one is out of range.
void check_scale_ratio(const Node& node, double ratio) {
  constexpr double kMost = 1 - 1e-9;  // closer to 1 it is rounded up
  if (!(ratio > 0 && ratio < kMost)) {
    node.fail("the quantization scales of inputs and output differ too much (ratio " + std::to_string(ratio) +
              ")");
  }
}

bool is_power_of_two(double scale) {
  int exponent;
  return std::frexp(scale, &exponent) == 0.5;
}

void check_sum_scales(const Node& node) {
  const Tensor& output = node.output(0);
  const auto has_scale = [](const Tensor& tensor) { return !tensor.quantization.scales.empty(); };
  // Sums of 16 bits need not be quantized, but then none of the three may be; differences have to be.
  const bool wide =
      node.op() != Op::SQUARED_DIFFERENCE && node.is_type(output, {Type::INT16}) &&
      (node.op() == Op::SUB || has_scale(node.input(0)) || has_scale(node.input(1)) || has_scale(output));
  if (!is_quantized(node, output) && !wide) return;
  const double a = scale_of(node, node.input(0), "input 0"), b = scale_of(node, node.input(1), "input 1");
  const double result = scale_of(node, output, "the output");
  // Scales that are powers of two are shifts, which need no ratio.
  const auto kind = node.op() == Op::ADD ? OptionsKind::add : OptionsKind::sub;
  if (wide && node.option<std::uint8_t>(kind, 1, 1) != 0 && is_power_of_two(a) && is_power_of_two(b) &&
      is_power_of_two(result)) {
    if (node.input_shape(0) != node.input_shape(1)) {
      node.fail("16-bit integers whose scales are powers of two cannot be broadcast");
    }
    return;
  }
  const double twice_max = 2 * std::max(a, b);
  const double steps = std::exp2(wide ? 15 : node.op() == Op::SQUARED_DIFFERENCE ? 7 : 20);
  // The runtime multiplies in 32 bits.
  constexpr double kMostFloat = std::numeric_limits<float>::max();
  const double divisor = result * (node.op() == Op::SQUARED_DIFFERENCE ? steps * steps : steps);
  if (twice_max > kMostFloat || divisor > kMostFloat) {
    node.fail("the quantization scales are too large to be computed with");
  }
  check_scale_ratio(node, a / twice_max);
  check_scale_ratio(node, b / twice_max);
  if (node.op() == Op::ADD) check_scale_ratio(node, twice_max / (steps * result));
  if (node.op() == Op::SQUARED_DIFFERENCE)
    check_scale_ratio(node, twice_max * twice_max / (steps * steps * result));
  if (node.op() == Op::SUB && twice_max / (steps * result) == 1) {
    node.fail(
        "the quantization scales make the output multiplier exactly 1, which the runtime cannot represent");
  }
}

void check_comparison_scales(const Node& node) {
  const bool equality = node.op() == Op::EQUAL || node.op() == Op::NOT_EQUAL;
  const bool wide =
      equality && node.is_type(node.input(0), {Type::INT16}) && !node.input(0).quantization.scales.empty();
  if (!is_quantized(node, node.input(0)) && !wide) return;
  for (std::size_t i = 0; i < 2; ++i) {
    if (scale_of(node, node.input(i), "an input") == 1) {
      node.fail("an input has the quantization scale 1, which the runtime's comparison cannot represent");
    }
  }
}

void check_softmax(const Node& node) {
  const Shape& shape = node.input_shape(0);
  if (shape && shape->empty()) node.fail("a scalar has no axis to normalize");
  if (is_quantized(node, node.input(0)) || is_quantized(node, node.output(0))) {
    scale_of(node, node.input(0), "the input");
    scale_of(node, node.output(0), "the output");
  }
}

// These look the values up in a table that is made with the scale of the input.
void check_table_scale(const Node& node) {
  if (node.is_type(node.input(0), {Type::INT8, Type::INT16}) && node.input(0).quantization.scales.empty()) {
    node.fail("the input is quantized but has no scale");
  }
}

// XNNPACK takes the operator and then cannot make its kernel, which ends the process.
void check_quantize_scale(const Node& node, const Tensor& tensor) {
  const auto& scales = tensor.quantization.scales;
  if (is_quantized(node, tensor) && !scales.empty() && !std::isnormal(scales[0])) {
    node.fail("the quantization scale is too small to be computed with");
  }
}

// The runtime keeps the stored shape when everything is one element.
bool is_all_scalar(const Node& node) {
  bool scalar = element_count(Dims(node.output(0).shape.begin(), node.output(0).shape.end())) == 1;
  for (std::size_t i = 0; scalar && i < node.input_count(); ++i) {
    scalar = node.input_shape(i) && element_count(*node.input_shape(i)) == 1;
  }
  return scalar;
}

}  // namespace

void check_elementwise(Node& node) {
  switch (node.op()) {
    case Op::SOFTMAX:
    case Op::LOG_SOFTMAX:
    case Op::L2_NORMALIZATION:
      check_softmax(node);
      break;
    case Op::LOG:
    case Op::SQRT:
    case Op::RSQRT:
      check_table_scale(node);
      break;
    case Op::QUANTIZE:
      check_quantize_scale(node, node.input(0));
      check_quantize_scale(node, node.output(0));
      break;
    case Op::LOCAL_RESPONSE_NORMALIZATION:
      node.ranked_input(0, 4, "the input");
      break;
    default:
      break;
  }
  node.set_output(0, node.input_shape(0));
}

void check_broadcast(Node& node) {
  switch (node.op()) {
    case Op::ADD:
    case Op::SUB:
    case Op::SQUARED_DIFFERENCE:
      check_sum_scales(node);
      break;
    case Op::EQUAL:
    case Op::NOT_EQUAL:
    case Op::LESS:
    case Op::LESS_EQUAL:
    case Op::GREATER:
    case Op::GREATER_EQUAL:
      check_comparison_scales(node);
      break;
    case Op::SELECT:
    case Op::SELECT_V2:
      if (is_all_scalar(node)) {
        return node.set_output(0, Dims(node.output(0).shape.begin(), node.output(0).shape.end()));
      }
      // The condition of the old SELECT may be one value a row; values and output have one shape.
      if (node.op() == Op::SELECT) return node.set_output(0, node.input_shape(1));
      break;
    default:
      break;
  }
  Shape result = Dims{};
  for (std::size_t i = 0; i < node.input_count(); ++i) {
    const Shape& shape = node.input_shape(i);
    result = result && shape ? Shape(broadcast(node, *result, *shape)) : std::nullopt;
  }
  node.set_output(0, result);
}

}  // namespace litedelegates::model
