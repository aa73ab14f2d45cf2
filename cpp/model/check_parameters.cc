#include <algorithm>
#include <string>

#include "check_operators.h"

namespace litedelegates::model {
namespace {

// Operators that take sizes or positions out of the values of an input. The runtime trusts many of these
// values.

// A count that nobody needs larger; the runtime allocates for it.
constexpr std::int64_t kMostCount = 1 << 28;

void require_values(const Node& node, std::size_t input, std::int64_t least, std::int64_t most,
                    const char* what) {
  const auto values = node.constant(input);
  if (!values) return;
  for (const std::int64_t value : *values) {
    if (value < least || value > most) {
      node.fail(std::string(what) + " is " + std::to_string(value) + ", outside " + std::to_string(least) +
                " to " + std::to_string(most));
    }
  }
}

std::int64_t size_or(const Shape& shape, std::size_t index, std::int64_t fallback) {
  return shape && index < shape->size() && (*shape)[index] != kUnknown ? (*shape)[index] : fallback;
}

void check_reverse_sequence(Node& node) {
  constexpr auto kind = OptionsKind::reverse_sequence;
  const Shape& input = node.input_shape(0);
  const std::int64_t sequence = node.option<std::int32_t>(kind, 0),
                     batch = node.option<std::int32_t>(kind, 1);
  if (sequence < 0 || batch < 0 || sequence == batch) {
    node.fail("it reverses dimension " + std::to_string(sequence) + " with the batch in dimension " +
              std::to_string(batch));
  }
  if (input) {
    static_cast<void>(node.axis(sequence, input->size()));
    static_cast<void>(node.axis(batch, input->size()));
  }
  require_values(node, 1, 0, size_or(input, static_cast<std::size_t>(sequence), INT32_MAX), "a length");
  node.set_output(0, input);
}

// Inputs: data, ids, and for the unsorted forms the number of segments.
void check_segments(Node& node) {
  const Shape& data = node.input_shape(0);
  const Shape& ids = node.input_shape(1);
  if (data && ids && ids->size() > data->size()) {
    node.fail("ids of the shape " + text(*ids) + " do not fit data of the shape " + text(*data));
  }
  for (std::size_t i = 0; data && ids && i < ids->size(); ++i) {
    if ((*data)[i] != (*ids)[i] && (*data)[i] != kUnknown && (*ids)[i] != kUnknown) {
      node.fail("ids of the shape " + text(*ids) + " do not fit data of the shape " + text(*data));
    }
  }
  std::int64_t segments = kMostCount;
  if (node.input_count() == 3) {
    require_values(node, 2, 0, kMostCount, "the number of segments");
    if (const auto count = node.constant(2); count && count->size() == 1) segments = (*count)[0];
  }
  require_values(node, 1, node.op() == Op::SEGMENT_SUM ? 0 : INT32_MIN, segments - 1, "an id");
  const auto count = node.input_count() == 3 ? node.constant(2) : std::nullopt;
  if (!node.is_inferring() || !data || !ids || !count || count->size() != 1) {
    return node.set_output(0, std::nullopt);
  }
  Dims output{(*count)[0]};
  output.insert(output.end(), data->begin() + static_cast<std::ptrdiff_t>(ids->size()), data->end());
  node.set_output(0, output);
}

// Inputs: indices, output shape, values, default value.
void check_sparse_to_dense(Node& node) {
  const auto shape = node.constant(1);
  require_values(node, 1, 0, INT32_MAX, "a size of the output");
  const auto indices = node.constant(0);
  const Shape& form = node.input_shape(0);
  if (shape && (shape->empty() || shape->size() > 4)) node.fail("the output shape is " + text(*shape));
  if (shape && indices && form) {
    const std::size_t width = form->size() == 2 ? shape->size() : 1;
    if (form->size() > 2 || width != shape->size()) node.fail("the indices have the shape " + text(*form));
    for (std::size_t i = 0; i < indices->size(); ++i) {
      if ((*indices)[i] < 0 || (*indices)[i] >= (*shape)[i % width]) {
        node.fail("index " + std::to_string((*indices)[i]) + " lies outside the output " + text(*shape));
      }
    }
  }
  node.set_output(0, shape ? Shape(*shape) : std::nullopt);
}

// Inputs: data, [height, width] of the transform.
void check_rfft_2d(Node& node) {
  const auto lengths = node.constant(1);
  Shape output = node.input_shape(0);
  if (output && output->size() < 2) node.fail("the input has the shape " + text(*output));
  if (!lengths) return node.set_output(0, std::nullopt);
  if (lengths->size() != 2) node.fail("the transform has the lengths " + text(*lengths));
  for (const std::int64_t length : *lengths) {
    if (length < 1 || length > kMostCount || (length & (length - 1)) != 0) {
      node.fail("the transform has the lengths " + text(*lengths) + ", which must be powers of two");
    }
  }
  if (output) {
    output->end()[-2] = (*lengths)[0];
    output->end()[-1] = (*lengths)[1] / 2 + 1;
  }
  node.set_output(0, output);
}

// Inputs: boxes [n, 4], scores [n], number of boxes to keep. The last output counts them.
void check_non_max_suppression(Node& node) {
  const Dims* boxes = node.ranked_input(0, 2, "the list of boxes");
  node.ranked_input(1, 1, "the list of scores");
  if (boxes != nullptr && (*boxes)[1] != 4 && (*boxes)[1] != kUnknown) {
    node.fail("the boxes have the shape " + text(*boxes));
  }
  require_values(node, 2, 0, kMostCount, "the number of boxes to keep");
  const auto most = node.constant(2);
  const bool is_told = node.is_inferring() && most && most->size() == 1;
  // All outputs but the last hold one entry a box.
  for (std::size_t i = 0; i < node.output_count(); ++i) {
    const bool is_count = i + 1 == node.output_count();
    node.set_output(i, is_told ? Shape(is_count ? Dims{} : Dims{(*most)[0]}) : std::nullopt);
  }
}

// Random numbers of a shape that is an input.
void check_random(Node& node) {
  require_values(node, 0, 0, INT32_MAX, "a size of the output");
  const auto shape = node.constant(0);
  if (shape && shape->size() > kMaxRank) node.fail("the output would have " + text(*shape) + " dimensions");
  node.set_output(0, shape ? Shape(*shape) : std::nullopt);
}

void check_multinomial(Node& node) {
  node.ranked_input(0, 2, "the logits");
  require_values(node, 1, 0, kMostCount, "the number of samples");
  const auto samples = node.constant(1);
  const Shape& logits = node.input_shape(0);
  const bool is_told = node.is_inferring() && logits && samples && samples->size() == 1;
  node.set_output(0, is_told ? Shape(Dims{(*logits)[0], (*samples)[0]}) : std::nullopt);
}

// Inputs: data, dilations, padding value.
void check_dilate(Node& node) {
  const auto dilations = node.constant(1);
  Shape output = node.input_shape(0);
  require_values(node, 1, 1, kMostCount, "a dilation");
  if (!output || !dilations) return node.set_output(0, std::nullopt);
  if (dilations->size() != output->size()) {
    node.fail("the dilations " + text(*dilations) + " do not fit the input " + text(*output));
  }
  for (std::size_t i = 0; i < output->size(); ++i) {
    std::int64_t& size = (*output)[i];
    if (size > 0) size = (size - 1) * (*dilations)[i] + 1;
  }
  node.set_output(0, output);
}

void check_matrix_diagonal(Node& node) {
  Shape output = node.input_shape(0);
  if (node.op() == Op::MATRIX_DIAG) {
    if (output && output->empty()) node.fail("a scalar is no diagonal");
    if (output) output->push_back(output->back());
  } else if (output && output->size() < 2) {
    node.fail("the input has the shape " + text(*output));
  }
  node.set_output(0, output);
}

void check_shape(Node& node) {
  const Shape& input = node.input_shape(0);
  if (node.op() == Op::RANK) return node.set_output(0, Dims{});
  node.set_output(0, input ? Shape(Dims{static_cast<std::int64_t>(input->size())}) : std::nullopt);
}

// The shape that two shapes are broadcast to has as many sizes as the longer one.
void check_broadcast_args(Node& node) {
  const Shape& a = node.input_shape(0);
  const Shape& b = node.input_shape(1);
  const bool is_told = node.is_inferring() && a && b && a->size() == 1 && b->size() == 1;
  node.set_output(0, is_told ? Shape(Dims{std::max((*a)[0], (*b)[0])}) : std::nullopt);
}

// The runtime computes in whole bytes.
void check_bitcast(Node& node) {
  if (type_bits(node.input(0).type) < 8 || type_bits(node.output(0).type) < 8) {
    node.fail("it cannot take the bits of one of these types");
  }
  const bool is_same = node.is_inferring() && type_bits(node.input(0).type) == type_bits(node.output(0).type);
  node.set_output(0, is_same ? node.input_shape(0) : std::nullopt);
}

}  // namespace

void check_parameters(Node& node) {
  switch (node.op()) {
    case Op::REVERSE_SEQUENCE:
      return check_reverse_sequence(node);
    case Op::SPARSE_TO_DENSE:
      return check_sparse_to_dense(node);
    case Op::RFFT2D:
      return check_rfft_2d(node);
    case Op::NON_MAX_SUPPRESSION_V4:
    case Op::NON_MAX_SUPPRESSION_V5:
      return check_non_max_suppression(node);
    case Op::RANDOM_UNIFORM:
    case Op::RANDOM_STANDARD_NORMAL:
      return check_random(node);
    case Op::MULTINOMIAL:
      return check_multinomial(node);
    case Op::DILATE:
      return check_dilate(node);
    case Op::MATRIX_DIAG:
    case Op::MATRIX_SET_DIAG:
      return check_matrix_diagonal(node);
    case Op::BROADCAST_ARGS:
      return check_broadcast_args(node);
    case Op::BITCAST:
      return check_bitcast(node);
    case Op::SHAPE:
    case Op::RANK:
      return check_shape(node);
    default:
      return check_segments(node);
  }
}

}  // namespace litedelegates::model
