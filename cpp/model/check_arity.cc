#include <array>
#include <string>

#include "by_operator.h"
#include "check_operators.h"

namespace litedelegates::model {
namespace {

constexpr std::size_t kAny = 1 << 20;

struct Arity {
  Op op;
  std::size_t least_inputs, most_inputs, least_outputs, most_outputs;
};

// Everything that is not one input and one output. The runtime checks most of these itself, but not before
// delegates have looked at the graph. Operators without a kernel are missing: they are refused when they are
// resolved.
constexpr ByOperator kArities(std::to_array<Arity>({
    {Op::ADD, 2, 2, 1, 1},
    {Op::SUB, 2, 2, 1, 1},
    {Op::MUL, 2, 2, 1, 1},
    {Op::DIV, 2, 2, 1, 1},
    {Op::FLOOR_DIV, 2, 2, 1, 1},
    {Op::FLOOR_MOD, 2, 2, 1, 1},
    {Op::MAXIMUM, 2, 2, 1, 1},
    {Op::MINIMUM, 2, 2, 1, 1},
    {Op::POW, 2, 2, 1, 1},
    {Op::SQUARED_DIFFERENCE, 2, 2, 1, 1},
    {Op::EQUAL, 2, 2, 1, 1},
    {Op::NOT_EQUAL, 2, 2, 1, 1},
    {Op::LESS, 2, 2, 1, 1},
    {Op::LESS_EQUAL, 2, 2, 1, 1},
    {Op::GREATER, 2, 2, 1, 1},
    {Op::GREATER_EQUAL, 2, 2, 1, 1},
    {Op::LOGICAL_AND, 2, 2, 1, 1},
    {Op::LOGICAL_OR, 2, 2, 1, 1},
    {Op::PRELU, 2, 2, 1, 1},
    {Op::ATAN2, 2, 2, 1, 1},
    {Op::BITWISE_XOR, 2, 2, 1, 1},
    {Op::RIGHT_SHIFT, 2, 2, 1, 1},
    {Op::STABLEHLO_SHIFT_LEFT, 2, 2, 1, 1},
    {Op::STABLEHLO_ADD, 2, 2, 1, 1},
    {Op::STABLEHLO_MULTIPLY, 2, 2, 1, 1},
    {Op::STABLEHLO_MAXIMUM, 2, 2, 1, 1},
    {Op::STABLEHLO_MINIMUM, 2, 2, 1, 1},
    {Op::SELECT, 3, 3, 1, 1},
    {Op::SELECT_V2, 3, 3, 1, 1},
    {Op::BROADCAST_ARGS, 2, 2, 1, 1},
    {Op::ADD_N, 1, kAny, 1, 1},
    {Op::CONV_2D, 2, 3, 1, 1},
    {Op::DEPTHWISE_CONV_2D, 3, 3, 1, 1},  // the bias may be absent, but not left out: the kernel looks for it
    {Op::TRANSPOSE_CONV, 3, 4, 1, 1},
    {Op::CONV_3D, 2, 3, 1, 1},
    {Op::CONV_3D_TRANSPOSE, 3, 4, 1, 1},
    {Op::FULLY_CONNECTED, 2, 3, 1, 2},
    {Op::BATCH_MATMUL, 2, 2, 1, 1},
    {Op::CONCATENATION, 1, kAny, 1, 1},
    {Op::PACK, 1, kAny, 1, 1},
    {Op::UNPACK, 1, 1, 0, kAny},
    {Op::SPLIT, 2, 2, 1, kAny},
    {Op::SPLIT_V, 3, 3, 1, kAny},
    {Op::RESHAPE, 1, 2, 1, 1},
    {Op::TRANSPOSE, 2, 2, 1, 1},
    {Op::EXPAND_DIMS, 2, 2, 1, 1},
    {Op::SPACE_TO_BATCH_ND, 3, 3, 1, 1},
    {Op::BATCH_TO_SPACE_ND, 3, 3, 1, 1},
    {Op::SLICE, 3, 3, 1, 1},
    {Op::STRIDED_SLICE, 4, 4, 1, 1},
    {Op::PAD, 2, 3, 1, 1},
    {Op::PADV2, 2, 3, 1, 1},
    {Op::MIRROR_PAD, 2, 2, 1, 1},
    {Op::TILE, 2, 2, 1, 1},
    {Op::BROADCAST_TO, 2, 2, 1, 1},
    {Op::FILL, 2, 2, 1, 1},
    {Op::RANGE, 3, 3, 1, 1},
    {Op::DYNAMIC_UPDATE_SLICE, 3, 3, 1, 1},
    {Op::REVERSE_V2, 2, 2, 1, 1},
    {Op::REVERSE_SEQUENCE, 2, 2, 1, 1},
    {Op::GATHER, 2, 2, 1, 1},
    {Op::GATHER_ND, 2, 2, 1, 1},
    {Op::SCATTER_ND, 3, 3, 1, 1},
    {Op::ONE_HOT, 4, 4, 1, 1},
    {Op::EMBEDDING_LOOKUP, 2, 2, 1, 1},
    {Op::EMBEDDING_LOOKUP_SPARSE, 5, 5, 1, 1},
    {Op::HASHTABLE_LOOKUP, 3, 3, 2, 2},
    {Op::LSH_PROJECTION, 2, 3, 1, 1},
    {Op::SPARSE_TO_DENSE, 4, 4, 1, 1},
    {Op::MEAN, 2, 2, 1, 1},
    {Op::SUM, 2, 2, 1, 1},
    {Op::REDUCE_PROD, 2, 2, 1, 1},
    {Op::REDUCE_MAX, 2, 2, 1, 1},
    {Op::REDUCE_MIN, 2, 2, 1, 1},
    {Op::REDUCE_ANY, 2, 2, 1, 1},
    {Op::REDUCE_ALL, 2, 2, 1, 1},
    {Op::ARG_MAX, 2, 2, 1, 1},
    {Op::ARG_MIN, 2, 2, 1, 1},
    {Op::CUMSUM, 2, 2, 1, 1},
    {Op::TOPK_V2, 2, 2, 2, 2},
    {Op::SEGMENT_SUM, 2, 2, 1, 1},
    {Op::UNSORTED_SEGMENT_PROD, 3, 3, 1, 1},
    {Op::UNSORTED_SEGMENT_MAX, 3, 3, 1, 1},
    {Op::UNSORTED_SEGMENT_SUM, 3, 3, 1, 1},
    {Op::UNSORTED_SEGMENT_MIN, 3, 3, 1, 1},
    {Op::UNIQUE, 1, 1, 2, 2},
    {Op::RESIZE_BILINEAR, 2, 2, 1, 1},
    {Op::RESIZE_NEAREST_NEIGHBOR, 2, 2, 1, 1},
    {Op::LSTM, 5, 24, 1, 4},
    {Op::UNIDIRECTIONAL_SEQUENCE_LSTM, 20, 24, 1, 1},
    {Op::BIDIRECTIONAL_SEQUENCE_LSTM, 48, 48, 1, 2},
    {Op::RNN, 5, 5, 1, 1},
    {Op::UNIDIRECTIONAL_SEQUENCE_RNN, 5, 5, 1, 1},
    {Op::BIDIRECTIONAL_SEQUENCE_RNN, 12, 12, 1, 2},
    {Op::SVDF, 5, 5, 1, 1},
    {Op::IF, 1, kAny, 0, kAny},
    {Op::WHILE, 0, kAny, 0, kAny},
    {Op::CALL_ONCE, 0, 0, 0, 0},
    {Op::STABLEHLO_COMPOSITE, 1, kAny, 0, kAny},
    {Op::STABLEHLO_CASE, 1, kAny, 0, kAny},
    {Op::STABLEHLO_WHILE, 0, kAny, 0, kAny},
    {Op::STABLEHLO_GATHER, 2, 2, 1, 1},
    {Op::STABLEHLO_SCATTER, 3, 3, 1, 1},
    {Op::STABLEHLO_PAD, 2, 2, 1, 1},
    {Op::STABLEHLO_REDUCE_WINDOW, 2, 2, 1, 1},
    {Op::STABLEHLO_RNG_BIT_GENERATOR, 1, 1, 2, 2},
    {Op::DILATE, 3, 3, 1, 1},
    {Op::MATRIX_SET_DIAG, 2, 2, 1, 1},
    {Op::NON_MAX_SUPPRESSION_V4, 5, 5, 2, 2},
    {Op::NON_MAX_SUPPRESSION_V5, 6, 6, 3, 3},
    {Op::RFFT2D, 2, 2, 1, 1},
    {Op::HASHTABLE, 0, 0, 1, 1},
    {Op::HASHTABLE_FIND, 3, 3, 1, 1},
    {Op::HASHTABLE_IMPORT, 3, 3, 0, 0},
    {Op::VAR_HANDLE, 0, 0, 1, 1},
    {Op::ASSIGN_VARIABLE, 2, 2, 0, 0},
    {Op::RANDOM_UNIFORM, 1, 1, 1, 1},
    {Op::RANDOM_STANDARD_NORMAL, 1, 1, 1, 1},
    {Op::MULTINOMIAL, 2, 2, 1, 1},
}));

struct Unary {
  Op op;
};

constexpr ByOperator kUnary(std::to_array<Unary>({
    {Op::RELU},
    {Op::RELU6},
    {Op::RELU_N1_TO_1},
    {Op::RELU_0_TO_1},
    {Op::LOGISTIC},
    {Op::TANH},
    {Op::ABS},
    {Op::NEG},
    {Op::SIN},
    {Op::COS},
    {Op::EXP},
    {Op::LOG},
    {Op::SQRT},
    {Op::RSQRT},
    {Op::SQUARE},
    {Op::FLOOR},
    {Op::CEIL},
    {Op::ROUND},
    {Op::SIGN},
    {Op::ELU},
    {Op::GELU},
    {Op::HARD_SWISH},
    {Op::LEAKY_RELU},
    {Op::LOGICAL_NOT},
    {Op::CAST},
    {Op::QUANTIZE},
    {Op::DEQUANTIZE},
    {Op::FAKE_QUANT},
    {Op::ZEROS_LIKE},
    {Op::SOFTMAX},
    {Op::LOG_SOFTMAX},
    {Op::L2_NORMALIZATION},
    {Op::LOCAL_RESPONSE_NORMALIZATION},
    {Op::REAL},
    {Op::IMAG},
    {Op::COMPLEX_ABS},
    {Op::BUCKETIZE},
    {Op::DENSIFY},
}));

bool has_kernel_of_one_input(Op op) {
  switch (op) {
    case Op::AVERAGE_POOL_2D:
    case Op::MAX_POOL_2D:
    case Op::L2_POOL_2D:
    case Op::SPACE_TO_DEPTH:
    case Op::DEPTH_TO_SPACE:
    case Op::SQUEEZE:
    case Op::SHAPE:
    case Op::RANK:
    case Op::WHERE:
    case Op::MATRIX_DIAG:
    case Op::READ_VARIABLE:
    case Op::HASHTABLE_SIZE:
    case Op::BITCAST:
    case Op::SKIP_GRAM:
      return true;
    default:
      return is_unary(op);
  }
}

// Inputs that the operator may leave out are the trailing ones of these families.
bool may_lack_inputs(Op op) {
  switch (op) {
    case Op::CONV_2D:
    case Op::DEPTHWISE_CONV_2D:
    case Op::TRANSPOSE_CONV:
    case Op::CONV_3D:
    case Op::CONV_3D_TRANSPOSE:
    case Op::FULLY_CONNECTED:
    case Op::PAD:
    case Op::PADV2:
    case Op::LSTM:
    case Op::UNIDIRECTIONAL_SEQUENCE_LSTM:
    case Op::BIDIRECTIONAL_SEQUENCE_LSTM:
    case Op::BIDIRECTIONAL_SEQUENCE_RNN:
    case Op::SVDF:
    case Op::LSH_PROJECTION:
    case Op::CUSTOM:
      return true;
    default:
      return static_cast<std::size_t>(op) >= kOperatorCount;
  }
}

}  // namespace

bool is_unary(Op op) { return kUnary.find(op) != nullptr; }

void check_arity(const Node& node) {
  Arity arity{node.op(), 0, kAny, 0, kAny};
  if (const Arity* found = kArities.find(node.op())) {
    arity = *found;
  } else if (has_kernel_of_one_input(node.op())) {
    arity = {node.op(), 1, 1, 1, 1};
  }
  const std::size_t inputs = node.input_count(), outputs = node.output_count();
  if (inputs < arity.least_inputs || inputs > arity.most_inputs || outputs < arity.least_outputs ||
      outputs > arity.most_outputs) {
    node.fail("it cannot have " + std::to_string(inputs) + " inputs and " + std::to_string(outputs) +
              " outputs");
  }
  if (may_lack_inputs(node.op())) return;
  for (std::size_t i = 0; i < inputs; ++i) {
    if (!node.has_input(i)) node.fail("input " + std::to_string(i) + " is missing");
  }
}

}  // namespace litedelegates::model
