#include <array>
#include <string>

#include "check_operators.h"
#include "verify.h"

namespace litedelegates::model {
namespace {

// Sizes that the inputs of a cell share. They are learned from the first input that has them, in the order of
// a table.
enum Symbol { batch, inputs, cells, outputs, kSymbols };

struct Expected {
  std::size_t input;
  std::array<int, 2> dims;  // a Symbol, or none
  bool optional = true;
};
constexpr int none = -1;

using Sizes = std::array<std::int64_t, kSymbols>;

void check_sizes(const Node& node, const Expected& expected, Sizes& sizes) {
  if (!node.has_input(expected.input)) {
    if (!expected.optional) node.fail("input " + std::to_string(expected.input) + " is missing");
    return;
  }
  const Shape& shape = node.input_shape(expected.input);
  if (!shape) return;
  const std::size_t rank = expected.dims[1] == none ? 1 : 2;
  bool fits = shape->size() == rank;
  for (std::size_t i = 0; fits && i < rank; ++i) {
    std::int64_t& size = sizes[static_cast<std::size_t>(expected.dims[i])];
    if (size == kUnknown) size = (*shape)[i];
    fits = (*shape)[i] == kUnknown || ((*shape)[i] == size && size > 0);
  }
  if (!fits) {
    node.fail("input " + std::to_string(expected.input) + " has the shape " + text(*shape) +
              ", which does not go with the other inputs of the cell");
  }
}

// The input is [batch, inputs], or a sequence of those along one of the first two dimensions.
Sizes sizes_of_input(const Node& node, bool sequence, bool time_major) {
  Sizes sizes;
  sizes.fill(kUnknown);
  const Shape& input = node.input_shape(0);
  if (!input) return sizes;
  if (input->size() < 2 || input->size() > 3 || (sequence && input->size() != 3)) {
    node.fail("the input has the shape " + text(*input));
  }
  sizes[batch] = (*input)[input->size() == 3 && time_major ? 1 : 0];
  sizes[inputs] = input->back();
  return sizes;
}

void set_state_output(Node& node, std::size_t output, std::int64_t size) {
  Shape shape = node.input_shape(0);
  if (shape) shape->back() = size;
  node.set_output(output, shape);
}

// Gates in the order input, forget, cell, output. Only those of the coupled input gate may be missing.
constexpr Expected kLstm[] = {
    {4, {cells, inputs}, false},  {8, {cells, outputs}, false}, {1, {cells, inputs}},
    {2, {cells, inputs}, false},  {3, {cells, inputs}, false},  {5, {cells, outputs}},
    {6, {cells, outputs}, false}, {7, {cells, outputs}, false}, {9, {cells, none}},
    {10, {cells, none}},          {11, {cells, none}},          {12, {cells, none}},
    {13, {cells, none}, false},   {14, {cells, none}, false},   {15, {cells, none}, false},
    {16, {outputs, cells}},       {17, {outputs, none}},        {18, {batch, outputs}, false},
    {19, {batch, cells}, false},  {20, {cells, none}},          {21, {cells, none}},
    {22, {cells, none}},          {23, {cells, none}},
};

// A cell that has weights of the input gate has its bias as well; the kernel does not ask.
void require_gate_bias(const Node& node, std::size_t weights, std::size_t bias) {
  if (node.has_input(weights) && !node.has_input(bias)) {
    node.fail("the input gate has weights, but its bias (input " + std::to_string(bias) + ") is missing");
  }
}

void check_lstm(Node& node) {
  constexpr auto kind = OptionsKind::unidirectional_sequence_lstm;
  const bool sequence = node.op() == Op::UNIDIRECTIONAL_SEQUENCE_LSTM;
  const bool diagonal = sequence && node.option<std::uint8_t>(kind, 5) != 0;
  Sizes sizes = sizes_of_input(node, sequence, sequence && node.option<std::uint8_t>(kind, 3) != 0);
  if (diagonal) return set_state_output(node, 0, kUnknown);  // recurrent weights of another shape
  for (const Expected& expected : kLstm) check_sizes(node, expected, sizes);
  require_gate_bias(node, 1, 12);
  set_state_output(node, 0, sizes[outputs]);
}

// The short form: input, previous output, weights, bias, previous state.
void check_basic_lstm(Node& node) {
  if (node.output_count() != 4)
    node.fail("the basic cell has 4 outputs, not " + std::to_string(node.output_count()));
  for (std::size_t i = 0; i < node.input_count(); ++i)
    node.ranked_input(i, i == 3 ? 1 : 2, "an input of the cell");
  for (std::size_t i = 0; i < node.output_count(); ++i) node.set_output(i, std::nullopt);
}

constexpr Expected kRnn[] = {
    {1, {cells, inputs}, false},
    {2, {cells, cells}, false},
    {3, {cells, none}, false},
    {4, {batch, cells}, false},
};

void check_rnn(Node& node) {
  const bool sequence = node.op() == Op::UNIDIRECTIONAL_SEQUENCE_RNN;
  const bool time_major = sequence && node.option<std::uint8_t>(OptionsKind::sequence_rnn, 0) != 0;
  Sizes sizes = sizes_of_input(node, sequence, time_major);
  for (const Expected& expected : kRnn) check_sizes(node, expected, sizes);
  set_state_output(node, 0, sizes[cells]);
}

// The kernel looks at the input's type and takes those of weights and state for granted.
void check_svdf_types(const Node& node) {
  const bool is_float = node.is_type(node.input(0), {Type::FLOAT32});
  const bool is_quantized = node.is_type(node.input(0), {Type::INT8});
  const auto require = [&](std::size_t input, std::initializer_list<Type> types) {
    if (!node.is_type(node.input(input), types)) {
      node.fail(std::string("it cannot handle ") + type_name(node.input(0).type) + " with input " +
                std::to_string(input) + " of type " + type_name(node.input(input).type));
    }
  };
  if (is_float) require(4, {Type::FLOAT32});
  if (is_quantized) {
    require(1, {Type::INT8});
    require(2, {Type::INT8, Type::INT16});
    require(4, {Type::INT8, Type::INT16});
  }
}

// Inputs: input, feature weights [filters, inputs], time weights [filters, memory], bias [units], state.
void check_svdf(Node& node) {
  const std::int64_t rank = node.option<std::int32_t>(OptionsKind::svdf, 0);
  const Dims* input = node.ranked_input(0, 2, "the input");
  const Dims* feature = node.ranked_input(1, 2, "the feature weights");
  const Dims* time = node.ranked_input(2, 2, "the time weights");
  const Dims* state = node.ranked_input(4, 2, "the state");
  check_svdf_types(node);
  if (rank < 1) node.fail("the rank is " + std::to_string(rank));
  if (input == nullptr || feature == nullptr || time == nullptr || state == nullptr) {
    return node.set_output(0, std::nullopt);
  }
  const std::int64_t filters = (*feature)[0];
  const auto differ = [](std::int64_t a, std::int64_t b) { return a != b && a != kUnknown && b != kUnknown; };
  if (filters < 1 || filters % rank != 0 || differ((*input)[1], (*feature)[1]) ||
      differ((*time)[0], filters) || differ((*state)[1], (*time)[1] * filters) ||
      differ((*state)[0], (*input)[0])) {
    node.fail("the shapes of input, weights and state do not go together for rank " + std::to_string(rank));
  }
  if (node.has_input(3)) {
    const Dims* bias = node.ranked_input(3, 1, "the bias");
    if (bias != nullptr && differ((*bias)[0], filters / rank))
      node.fail("the bias has the shape " + text(*bias));
  }
  node.set_output(0, Dims{(*input)[0], filters / rank});
}

// Two cells side by side. The runtime compares their shapes itself, but takes the ranks for granted.
void check_bidirectional(Node& node) {
  const bool lstm = node.op() == Op::BIDIRECTIONAL_SEQUENCE_LSTM;
  const bool merge = lstm ? node.option<std::uint8_t>(OptionsKind::bidirectional_sequence_lstm, 3) != 0
                          : node.option<std::uint8_t>(OptionsKind::bidirectional_sequence_rnn, 2) != 0;
  if (node.output_count() != (merge ? 1U : 2U)) {
    node.fail("it has " + std::to_string(node.output_count()) + " outputs");
  }
  node.ranked_input(0, 3, "the input");
  if (lstm) {
    require_gate_bias(node, 1, 12);
    require_gate_bias(node, 18, 29);
  } else {
    for (const std::size_t state : {4U, 8U}) {
      if (node.has_input(state) && node.input(state).has_data) {
        node.fail("its state (input " + std::to_string(state) + ") is a constant, which it would write to");
      }
    }
  }
  for (std::size_t i = 1; i < node.input_count(); ++i) {
    if (!node.has_input(i) || !node.input_shape(i)) continue;
    const Shape& shape = node.input_shape(i);
    if (shape->empty() || element_count(*shape) == 0) node.fail("input " + std::to_string(i) + " is empty");
  }
  for (std::size_t i = 0; i < node.output_count(); ++i) node.set_output(i, std::nullopt);
}

}  // namespace

void check_recurrence(Node& node) {
  switch (node.op()) {
    case Op::LSTM:
      return node.input_count() == 5 ? check_basic_lstm(node) : check_lstm(node);
    case Op::UNIDIRECTIONAL_SEQUENCE_LSTM:
      return check_lstm(node);
    case Op::RNN:
    case Op::UNIDIRECTIONAL_SEQUENCE_RNN:
      return check_rnn(node);
    case Op::SVDF:
      return check_svdf(node);
    default:
      return check_bidirectional(node);
  }
}

}  // namespace litedelegates::model
