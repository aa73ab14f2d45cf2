#include <string>

#include "check_operators.h"

namespace litedelegates::model {
namespace {

// One spatial axis of a convolution or pooling window.
struct Window {
  std::int64_t filter = 1;
  std::int64_t stride = 1;
  std::int64_t dilation = 1;
};

// Corrupt values up to 2^31 would overflow the 32-bit arithmetic of the runtime long before this.
constexpr std::int64_t kMostWindow = 1 << 20;

void check_window(const Node& node, const Window& window, const char* axis) {
  const auto out_of_range = [](std::int64_t value) { return value < 1 || value > kMostWindow; };
  if (out_of_range(window.stride)) {
    node.fail(std::string("the stride along the ") + axis + " is " + std::to_string(window.stride));
  }
  if (out_of_range(window.dilation)) {
    node.fail(std::string("the dilation along the ") + axis + " is " + std::to_string(window.dilation));
  }
  if (window.filter != kUnknown && out_of_range(window.filter)) {
    node.fail(std::string("the filter's size along the ") + axis + " is " + std::to_string(window.filter));
  }
}

std::int64_t output_size(const Node& node, std::int64_t input, const Window& window, int padding) {
  if (input == kUnknown || window.filter == kUnknown) return kUnknown;
  const std::int64_t reach = padding == kPaddingSame ? 1 : (window.filter - 1) * window.dilation + 1;
  const std::int64_t size = (input + window.stride - reach) / window.stride;
  if (input < 1 || size < 1) {
    node.fail("a filter of " + std::to_string(window.filter) + " with dilation " +
              std::to_string(window.dilation) + " does not fit an input of " + std::to_string(input));
  }
  return size;
}

int padding_of(const Node& node, OptionsKind kind) {
  const int padding = node.option<std::int8_t>(kind, 0);
  if (padding != kPaddingSame && padding != kPaddingValid)
    node.fail("the padding is " + std::to_string(padding));
  return padding;
}

void check_activation(const Node& node, OptionsKind kind, int slot) {
  const int activation = node.option<std::int8_t>(kind, slot);
  if (activation < 0 || activation > kLastActivation) {
    node.fail("the fused activation is " + std::to_string(activation));
  }
}

void check_filter(const Node& node, const Dims& filter) {
  for (const std::int64_t size : filter) {
    if (size == 0 || size > kMostWindow) node.fail("the filter has the shape " + text(filter));
  }
}

void check_bias(const Node& node, std::size_t index, std::int64_t channels) {
  if (!node.has_input(index) || !node.input_shape(index)) return;
  const std::int64_t count = element_count(*node.input_shape(index));
  if (count != kUnknown && channels != kUnknown && count != channels) {
    node.fail("the bias has " + std::to_string(count) + " elements for " + std::to_string(channels) +
              " channels");
  }
}

// Filter [outputs, height, width, inputs of a group].
void check_conv_2d(Node& node) {
  constexpr auto kind = OptionsKind::conv_2d;
  const int padding = padding_of(node, kind);
  check_activation(node, kind, 3);
  const Dims* input = node.ranked_input(0, 4, "the input");
  const Dims* filter = node.ranked_input(1, 4, "the filter");
  Window height{kUnknown, node.option<std::int32_t>(kind, 2), node.option<std::int32_t>(kind, 5, 1)};
  Window width{kUnknown, node.option<std::int32_t>(kind, 1), node.option<std::int32_t>(kind, 4, 1)};
  if (filter != nullptr) {
    check_filter(node, *filter);
    height.filter = (*filter)[1];
    width.filter = (*filter)[2];
    check_bias(node, 2, (*filter)[0]);
  }
  check_window(node, height, "height");
  check_window(node, width, "width");
  if (input == nullptr || filter == nullptr) return node.set_output(0, std::nullopt);

  const std::int64_t channels = (*input)[3], group = (*filter)[3], outputs = (*filter)[0];
  if (channels != kUnknown && group != kUnknown) {
    if (channels == 0 || channels % group != 0) {
      node.fail("an input of " + std::to_string(channels) + " channels does not go with a filter for " +
                std::to_string(group));
    }
    if (outputs != kUnknown && outputs % (channels / group) != 0) {
      node.fail(std::to_string(outputs) + " outputs do not divide into " + std::to_string(channels / group) +
                " groups");
    }
  }
  node.set_output(0, Dims{(*input)[0], output_size(node, (*input)[1], height, padding),
                          output_size(node, (*input)[2], width, padding), outputs});
}

// Filter [1, height, width, outputs].
void check_depthwise_conv_2d(Node& node) {
  constexpr auto kind = OptionsKind::depthwise_conv_2d;
  const int padding = padding_of(node, kind);
  check_activation(node, kind, 4);
  const Dims* input = node.ranked_input(0, 4, "the input");
  const Dims* filter = node.ranked_input(1, 4, "the filter");
  Window height{kUnknown, node.option<std::int32_t>(kind, 2), node.option<std::int32_t>(kind, 6, 1)};
  Window width{kUnknown, node.option<std::int32_t>(kind, 1), node.option<std::int32_t>(kind, 5, 1)};
  if (filter != nullptr) {
    check_filter(node, *filter);
    if ((*filter)[0] != 1 && (*filter)[0] != kUnknown) node.fail("the filter has the shape " + text(*filter));
    height.filter = (*filter)[1];
    width.filter = (*filter)[2];
    check_bias(node, 2, (*filter)[3]);
  }
  check_window(node, height, "height");
  check_window(node, width, "width");
  if (input == nullptr || filter == nullptr) return node.set_output(0, std::nullopt);

  const std::int64_t channels = (*input)[3], outputs = (*filter)[3];
  if (channels != kUnknown && outputs != kUnknown && (channels == 0 || outputs % channels != 0)) {
    node.fail("an input of " + std::to_string(channels) + " channels does not go with a filter for " +
              std::to_string(outputs));
  }
  node.set_output(0, Dims{(*input)[0], output_size(node, (*input)[1], height, padding),
                          output_size(node, (*input)[2], width, padding), outputs});
}

// Inputs: output shape, filter [outputs, height, width, inputs], input, bias.
void check_transpose_conv(Node& node) {
  constexpr auto kind = OptionsKind::transpose_conv;
  const int padding = padding_of(node, kind);
  check_activation(node, kind, 3);
  const Dims* filter = node.ranked_input(1, 4, "the filter");
  const Dims* input = node.ranked_input(2, 4, "the input");
  node.ranked_input(0, 1, "the output shape");
  Window height{kUnknown, node.option<std::int32_t>(kind, 2), 1};
  Window width{kUnknown, node.option<std::int32_t>(kind, 1), 1};
  if (filter != nullptr) {
    check_filter(node, *filter);
    height.filter = (*filter)[1];
    width.filter = (*filter)[2];
    check_bias(node, 3, (*filter)[0]);
  }
  check_window(node, height, "height");
  check_window(node, width, "width");
  if (input != nullptr && filter != nullptr && (*input)[3] != kUnknown && (*filter)[3] != (*input)[3]) {
    node.fail("the input " + text(*input) + " does not go with the filter " + text(*filter));
  }

  const auto shape = node.constant(0);
  if (!shape) return node.set_output(0, std::nullopt);
  if (shape->size() != 4 || element_count(*shape) < 1) node.fail("the output shape is " + text(*shape));
  if (input != nullptr && filter != nullptr) {
    // The same convolution forwards must lead from the output to the input.
    const Dims forwards{(*shape)[0], output_size(node, (*shape)[1], height, padding),
                        output_size(node, (*shape)[2], width, padding), (*input)[3]};
    for (std::size_t i = 0; i < 4; ++i) {
      if ((*input)[i] != kUnknown && forwards[i] != (*input)[i]) {
        node.fail("the output shape " + text(*shape) + " does not go with the input " + text(*input));
      }
    }
    if ((*filter)[0] != kUnknown && (*shape)[3] != (*filter)[0]) {
      node.fail("the output shape " + text(*shape) + " does not go with the filter " + text(*filter));
    }
  }
  node.set_output(0, *shape);
}

// Filter [depth, height, width, inputs, outputs]; transposed, the last two are exchanged and the output shape
// is given.
void check_conv_3d(Node& node) {
  constexpr auto kind = OptionsKind::conv_3d;
  const bool transposed = node.op() == Op::CONV_3D_TRANSPOSE;
  const int padding = padding_of(node, kind);
  check_activation(node, kind, 4);
  const Dims* input = node.ranked_input(transposed ? 2 : 0, 5, "the input");
  const Dims* filter = node.ranked_input(1, 5, "the filter");
  if (filter != nullptr) check_filter(node, *filter);
  constexpr int kStrides[] = {1, 3, 2}, kDilations[] = {5, 7, 6};
  Window windows[3];
  for (std::size_t i = 0; i < 3; ++i) {
    windows[i] = {filter != nullptr ? (*filter)[i] : kUnknown, node.option<std::int32_t>(kind, kStrides[i]),
                  node.option<std::int32_t>(kind, kDilations[i], 1)};
    check_window(node, windows[i], "volume");
  }
  if (input == nullptr || filter == nullptr) return node.set_output(0, std::nullopt);
  const auto inputs = (*filter)[transposed ? 4 : 3], outputs = (*filter)[transposed ? 3 : 4];
  if ((*input)[4] != kUnknown && (*input)[4] != inputs) {
    node.fail("the input " + text(*input) + " does not go with the filter " + text(*filter));
  }
  check_bias(node, transposed ? 3 : 2, outputs);
  const auto shape = transposed ? node.constant(0) : std::nullopt;
  if (transposed && !shape) return node.set_output(0, std::nullopt);
  if (transposed && (shape->size() != 5 || element_count(*shape) < 1)) {
    node.fail("the output shape is " + text(*shape));
  }

  const Dims& large = transposed ? *shape : *input;
  Dims small{large[0]};
  for (std::size_t i = 0; i < 3; ++i) small.push_back(output_size(node, large[i + 1], windows[i], padding));
  small.push_back(transposed ? inputs : outputs);
  if (!transposed) return node.set_output(0, small);
  for (std::size_t i = 0; i < 5; ++i) {
    if (small[i] != kUnknown && (*input)[i] != kUnknown && small[i] != (*input)[i]) {
      node.fail("the output shape " + text(*shape) + " does not go with the input " + text(*input));
    }
  }
  if ((*shape)[4] != outputs) node.fail("the output shape " + text(*shape) + " does not go with the filter");
  node.set_output(0, *shape);
}

}  // namespace

void check_convolution(Node& node) {
  switch (node.op()) {
    case Op::CONV_2D:
      return check_conv_2d(node);
    case Op::DEPTHWISE_CONV_2D:
      return check_depthwise_conv_2d(node);
    case Op::TRANSPOSE_CONV:
      return check_transpose_conv(node);
    default:
      return check_conv_3d(node);
  }
}

void check_pooling(Node& node) {
  constexpr auto kind = OptionsKind::pool_2d;
  const int padding = padding_of(node, kind);
  check_activation(node, kind, 5);
  const Window height{node.option<std::int32_t>(kind, 4), node.option<std::int32_t>(kind, 2), 1};
  const Window width{node.option<std::int32_t>(kind, 3), node.option<std::int32_t>(kind, 1), 1};
  check_window(node, height, "height");
  check_window(node, width, "width");
  const Dims* input = node.ranked_input(0, 4, "the input");
  if (input == nullptr) return node.set_output(0, std::nullopt);
  node.set_output(0, Dims{(*input)[0], output_size(node, (*input)[1], height, padding),
                          output_size(node, (*input)[2], width, padding), (*input)[3]});
}

}  // namespace litedelegates::model
