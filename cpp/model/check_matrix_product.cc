#include <algorithm>
#include <cmath>
#include <string>

#include "check_operators.h"
#include "verify.h"

namespace litedelegates::model {
namespace {

// The kernel reads the scales of blocks while it prepares, when only constants are there.
void check_block_scales(const Node& node, const Tensor& weights) {
  const Quantization& quantization = weights.quantization;
  if (!quantization.is_blockwise) return;
  const auto require_constant = [&](std::int32_t index, const char* what) {
    if (index == kAbsent) return;
    const Tensor& tensor = node.tensor(index);
    if (!tensor.has_data && tensor.external_buffer == 0) {
      node.fail(std::string("the ") + what + " of its weights (tensor " + std::to_string(index) +
                ") are no constants");
    }
  };
  require_constant(quantization.scales_tensor, "scales");
  require_constant(quantization.zero_points_tensor, "zero points");
}

// Weights [units, inputs].
void check_fully_connected(Node& node) {
  constexpr auto kind = OptionsKind::fully_connected;
  const bool keep_num_dims = node.option<std::uint8_t>(kind, 2) != 0;
  const bool shuffled = node.option<std::int8_t>(kind, 1) != 0;
  if (node.output_count() != (shuffled ? 2U : 1U)) {
    node.fail("it has " + std::to_string(node.output_count()) + " outputs for this format of the weights");
  }
  if (shuffled) node.set_output(1, std::nullopt);
  const Shape& input = node.input_shape(0);
  const Dims* weights = node.ranked_input(1, 2, "the weights");
  check_block_scales(node, node.input(1));
  if (!input || weights == nullptr) return node.set_output(0, std::nullopt);

  const std::int64_t units = (*weights)[0], depth = (*weights)[1];
  const std::int64_t count = element_count(*input);
  if (depth == 0 || units == 0) node.fail("the weights have the shape " + text(*weights));
  if (node.has_input(2) && node.input_shape(2)) {
    const std::int64_t bias = element_count(*node.input_shape(2));
    if (bias != kUnknown && units != kUnknown && bias != units) {
      node.fail("the bias has " + std::to_string(bias) + " elements for " + std::to_string(units) + " units");
    }
  }
  if (count != kUnknown && depth != kUnknown && count % depth != 0) {
    node.fail("the input " + text(*input) + " does not go with weights for " + std::to_string(depth) +
              " inputs");
  }

  if (keep_num_dims) {
    if (input->empty()) node.fail("a scalar input has no dimension to keep");
    if (input->back() != kUnknown && depth != kUnknown && input->back() != depth) {
      node.fail("the input " + text(*input) + " does not go with weights for " + std::to_string(depth) +
                " inputs");
    }
    Dims output = *input;
    output.back() = units;
    return node.set_output(0, output);
  }
  const std::int64_t batch = count == kUnknown || depth == kUnknown ? kUnknown : count / depth;
  node.set_output(0, Dims{batch, units});
}

std::int64_t broadcast_batch(const Node& node, std::int64_t a, std::int64_t b) {
  if (a == kUnknown || b == kUnknown) return std::max(a, b) > 1 ? std::max(a, b) : kUnknown;
  if (a != b && a != 1 && b != 1)
    node.fail("batches " + std::to_string(a) + " and " + std::to_string(b) + " differ");
  return a == 1 ? b : a;
}

// XNNPACK takes the operator and then cannot make its kernel, which ends the process.
void check_product_scales(const Node& node) {
  if (!node.is_type(node.input(0), {Type::INT8, Type::UINT8})) return;
  const auto scale = [](const Tensor& tensor) {
    return tensor.quantization.scales.empty() ? 0.0F : tensor.quantization.scales[0];
  };
  const float x = scale(node.input(0)), y = scale(node.input(1)), output = scale(node.output(0));
  if (x == 0 || y == 0 || output == 0) return;
  constexpr float kMost = 256;
  const float ratio = x * y / output;
  if (!std::isnormal(x) || !(ratio > 0) || !(ratio < kMost)) {
    node.fail("the quantization scales of inputs and output differ too much (ratio " + std::to_string(ratio) +
              ")");
  }
}

void check_batch_matmul(Node& node) {
  constexpr auto kind = OptionsKind::batch_matmul;
  const bool transpose_x = node.option<std::uint8_t>(kind, 0) != 0;
  const bool transpose_y = node.option<std::uint8_t>(kind, 1) != 0;
  if (node.output(0).type != node.input(0).type && !node.is_type(node.output(0), {Type::INT32})) {
    node.fail(std::string("it cannot give ") + type_name(node.output(0).type));
  }
  check_product_scales(node);
  const Shape& x = node.input_shape(0);
  const Shape& y = node.input_shape(1);
  if (!x || !y) return node.set_output(0, std::nullopt);
  if (x->size() < 2 || y->size() < 2)
    node.fail("the inputs have the shapes " + text(*x) + " and " + text(*y));

  const auto from_end = [](const Dims& dims, std::size_t index) {
    return index < dims.size() ? dims[dims.size() - 1 - index] : 1;
  };
  const std::int64_t depth_x = from_end(*x, transpose_x ? 1 : 0), depth_y = from_end(*y, transpose_y ? 0 : 1);
  if (depth_x != depth_y && depth_x != kUnknown && depth_y != kUnknown) {
    node.fail("the inputs " + text(*x) + " and " + text(*y) + " cannot be multiplied");
  }
  Dims output(std::max(x->size(), y->size()));
  output[output.size() - 1] = from_end(*y, transpose_y ? 1 : 0);
  output[output.size() - 2] = from_end(*x, transpose_x ? 0 : 1);
  for (std::size_t i = 2; i < output.size(); ++i) {
    output[output.size() - 1 - i] = broadcast_batch(node, from_end(*x, i), from_end(*y, i));
  }
  node.set_output(0, output);
}

}  // namespace

void check_matrix_product(Node& node) {
  if (node.op() == Op::FULLY_CONNECTED) return check_fully_connected(node);
  check_batch_matmul(node);
}

}  // namespace litedelegates::model
