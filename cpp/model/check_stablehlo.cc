#include <algorithm>
#include <string>

#include "check_operators.h"

namespace litedelegates::model {
namespace {

// The runtime copies these vectors into arrays of a fixed size, in places without looking at their length.
constexpr std::size_t kMostOptions = 8;

Dims vector_option(const Node& node, OptionsKind kind, int slot, const char* what,
                   std::size_t most = kMostOptions) {
  auto values = node.option_vector(kind, slot).value_or(Dims{});
  if (values.size() > most)
    node.fail(std::string(what) + " has " + std::to_string(values.size()) + " entries");
  return values;
}

void require_range(const Node& node, const Dims& values, std::int64_t least, std::int64_t most,
                   const char* what) {
  for (const std::int64_t value : values) {
    if (value < least || value > most) node.fail(std::string(what) + " is " + text(values));
  }
}

// Offset dimensions of the output come from the slice, the others from the indices.
Shape gathered_shape(const Node& node, const Dims& indices, const Dims& offsets, const Dims& collapsed,
                     const Dims& sizes, std::size_t index_vector) {
  Dims batch = indices, slice;
  batch.erase(batch.begin() + static_cast<std::ptrdiff_t>(index_vector));
  Dims output(batch.size() + offsets.size());
  const auto holds = [](const Dims& dims, std::size_t value) {
    return std::find(dims.begin(), dims.end(), static_cast<std::int64_t>(value)) != dims.end();
  };
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    if (!holds(collapsed, i)) slice.push_back(sizes[i]);
  }
  std::size_t from_slice = 0, from_batch = 0;
  for (std::size_t i = 0; i < output.size(); ++i) {
    const bool is_offset = holds(offsets, i);
    const Dims& origin = is_offset ? slice : batch;
    std::size_t& next = is_offset ? from_slice : from_batch;
    if (next == origin.size()) node.fail("the slices do not fit indices of the shape " + text(indices));
    output[i] = origin[next++];
  }
  if (from_slice != slice.size() || from_batch != batch.size()) {
    node.fail("the slices do not fit indices of the shape " + text(indices));
  }
  return output;
}

void check_gather(Node& node) {
  constexpr auto kind = OptionsKind::stablehlo_gather;
  const Shape& input = node.input_shape(0);
  const auto rank = static_cast<std::int64_t>(input ? input->size() : kMaxRank);
  const Dims offsets = vector_option(node, kind, 0, "offset_dims");
  const Dims collapsed = vector_option(node, kind, 1, "collapsed_slice_dims");
  require_range(node, offsets, 0, kMaxRank - 1, "offset_dims");
  require_range(node, collapsed, 0, rank - 1, "collapsed_slice_dims");
  require_range(node, vector_option(node, kind, 2, "start_index_map"), 0, rank - 1, "start_index_map");
  const Dims sizes = vector_option(node, kind, 4, "slice_sizes");
  if (input && sizes.size() != input->size()) node.fail("slice_sizes is " + text(sizes));
  for (std::size_t i = 0; input && i < sizes.size(); ++i) {
    if (sizes[i] < 0 || ((*input)[i] != kUnknown && sizes[i] > (*input)[i])) {
      node.fail("slice_sizes is " + text(sizes) + " for the input " + text(*input));
    }
  }
  const Shape& indices = node.input_shape(1);
  const auto index_rank = static_cast<std::int64_t>(indices ? indices->size() : kMaxRank);
  const auto index_vector = node.option<std::int64_t>(kind, 3);
  // The dimension must be there: the kernel does not know that one of size 1 may be left out.
  require_range(node, {index_vector}, 0, index_rank - 1, "index_vector_dim");
  node.set_output(0, indices ? gathered_shape(node, *indices, offsets, collapsed, sizes,
                                              static_cast<std::size_t>(index_vector))
                             : std::nullopt);
}

void check_scatter(const Node& node) {
  constexpr auto kind = OptionsKind::stablehlo_scatter;
  const Shape& input = node.input_shape(0);
  const auto rank = static_cast<std::int64_t>(input ? input->size() : kMaxRank);
  require_range(node, vector_option(node, kind, 1, "update_window_dims"), 0, kMaxRank - 1,
                "update_window_dims");
  require_range(node, vector_option(node, kind, 2, "inserted_window_dims"), 0, rank - 1,
                "inserted_window_dims");
  require_range(node, vector_option(node, kind, 3, "scatter_dims"), 0, rank - 1, "scatter_dims");
  const Shape& indices = node.input_shape(1);
  const auto index_rank = static_cast<std::int64_t>(indices ? indices->size() : kMaxRank);
  require_range(node, {node.option<std::int64_t>(kind, 4)}, 0, index_rank, "index_vector_dim");
}

void check_pad(Node& node) {
  constexpr auto kind = OptionsKind::stablehlo_pad;
  constexpr std::int64_t kMost = INT32_MAX;
  const Dims low = vector_option(node, kind, 0, "edge_padding_low");
  const Dims high = vector_option(node, kind, 1, "edge_padding_high");
  const Dims interior = vector_option(node, kind, 2, "interior_padding");
  require_range(node, low, -kMost, kMost, "edge_padding_low");
  require_range(node, high, -kMost, kMost, "edge_padding_high");
  require_range(node, interior, 0, kMost, "interior_padding");
  const Shape& input = node.input_shape(0);
  if (!input) return node.set_output(0, std::nullopt);
  if (low.size() != input->size() || high.size() != low.size() || interior.size() != low.size()) {
    node.fail("the paddings do not fit the input " + text(*input));
  }
  Dims output = *input;
  for (std::size_t i = 0; i < output.size(); ++i) {
    if (output[i] == kUnknown) continue;
    const std::int64_t gaps = output[i] > 0 ? (output[i] - 1) * interior[i] : 0;
    output[i] = std::max<std::int64_t>(low[i] + output[i] + gaps + high[i], 0);
  }
  node.set_output(0, output);
}

void check_reduce_window(Node& node) {
  constexpr auto kind = OptionsKind::stablehlo_reduce_window;
  constexpr std::int64_t kMost = 1 << 20;
  const char* const names[] = {"window_dimensions", "window_strides", "base_dilations", "window_dilations"};
  const Shape& input = node.input_shape(0);
  for (int slot = 0; slot < 4; ++slot) {
    const Dims values = vector_option(node, kind, slot, names[slot]);
    require_range(node, values, 1, kMost, names[slot]);
    if (input && !values.empty() && values.size() != input->size()) {
      node.fail(std::string(names[slot]) + " is " + text(values));
    }
  }
  require_range(node, vector_option(node, kind, 4, "padding", 2 * kMostOptions), -kMost, kMost, "padding");
  node.set_output(0, std::nullopt);
}

}  // namespace

void check_stablehlo(Node& node) {
  switch (node.op()) {
    case Op::STABLEHLO_GATHER:
      return check_gather(node);
    case Op::STABLEHLO_SCATTER:
      check_scatter(node);
      return node.set_output(0, node.input_shape(0));
    case Op::STABLEHLO_PAD:
      return check_pad(node);
    case Op::STABLEHLO_REDUCE_WINDOW:
      return check_reduce_window(node);
    default:
      break;
  }
  for (std::size_t i = 0; i < node.output_count(); ++i) node.set_output(i, std::nullopt);
}

}  // namespace litedelegates::model
