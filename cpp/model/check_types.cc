#include <array>
#include <string>

#include "by_operator.h"
#include "check_operators.h"
#include "verify.h"

namespace litedelegates::model {
namespace {

constexpr std::size_t kAll = 1 << 20;

// These inputs and all outputs are of one type. Several kernels copy bytes by the size of the input, so
// another type of the output means writing behind its end.
struct SameType {
  Op op;
  std::size_t first = 0, last = 0;
};

constexpr ByOperator kSameType(std::to_array<SameType>({
    {Op::RESHAPE},
    {Op::SQUEEZE},
    {Op::EXPAND_DIMS},
    {Op::TRANSPOSE},
    {Op::SPACE_TO_DEPTH},
    {Op::DEPTH_TO_SPACE},
    {Op::SPACE_TO_BATCH_ND},
    {Op::BATCH_TO_SPACE_ND},
    {Op::SLICE},
    {Op::STRIDED_SLICE},
    {Op::PAD},
    {Op::PADV2},
    {Op::MIRROR_PAD},
    {Op::TILE},
    {Op::BROADCAST_TO},
    {Op::REVERSE_V2},
    {Op::REVERSE_SEQUENCE},
    {Op::DYNAMIC_UPDATE_SLICE, 0, 1},
    {Op::GATHER},
    {Op::GATHER_ND},
    {Op::FILL, 1, 1},
    {Op::SCATTER_ND, 1, 1},
    {Op::SELECT, 1, 2},
    {Op::SELECT_V2, 1, 2},
    {Op::CONCATENATION, 0, kAll},
    {Op::PACK, 0, kAll},
    {Op::UNPACK},
    {Op::SPLIT, 1, 1},
    {Op::SPLIT_V},
    {Op::RESIZE_BILINEAR},
    {Op::RESIZE_NEAREST_NEIGHBOR},
    {Op::MATRIX_DIAG},
    {Op::MATRIX_SET_DIAG, 0, 1},
    {Op::CUMSUM},
    {Op::DILATE},
    {Op::AVERAGE_POOL_2D},
    {Op::MAX_POOL_2D},
    {Op::L2_POOL_2D},
    {Op::ADD, 0, 1},
    {Op::SUB, 0, 1},
    {Op::DIV, 0, 1},
    {Op::FLOOR_DIV, 0, 1},
    {Op::FLOOR_MOD, 0, 1},
    {Op::MAXIMUM, 0, 1},
    {Op::MINIMUM, 0, 1},
    {Op::POW, 0, 1},
    {Op::SQUARED_DIFFERENCE, 0, 1},
    {Op::ATAN2, 0, 1},
    {Op::BITWISE_XOR, 0, 1},
    {Op::RIGHT_SHIFT, 0, 1},
    {Op::ADD_N, 0, kAll},
    {Op::PRELU},
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
    {Op::ZEROS_LIKE},
    {Op::L2_NORMALIZATION},
    {Op::LOG_SOFTMAX},
    {Op::LOCAL_RESPONSE_NORMALIZATION},
    {Op::MEAN},
    {Op::SUM},
    {Op::REDUCE_PROD},
    {Op::REDUCE_MAX},
    {Op::REDUCE_MIN},
    {Op::REDUCE_ANY},
    {Op::REDUCE_ALL},
    {Op::DENSIFY},
    {Op::SEGMENT_SUM},
    {Op::UNSORTED_SEGMENT_PROD},
    {Op::UNSORTED_SEGMENT_MAX},
    {Op::UNSORTED_SEGMENT_SUM},
    {Op::UNSORTED_SEGMENT_MIN},
    {Op::STABLEHLO_PAD, 0, 1},
    {Op::STABLEHLO_GATHER},
    {Op::STABLEHLO_ADD, 0, 1},
    {Op::STABLEHLO_MULTIPLY, 0, 1},
    {Op::STABLEHLO_MAXIMUM, 0, 1},
    {Op::STABLEHLO_MINIMUM, 0, 1},
    {Op::STABLEHLO_SHIFT_LEFT, 0, 1},
}));

[[noreturn]] void fail_types(const Node& node, const Tensor& a, const Tensor& b) {
  node.fail(std::string("it cannot handle ") + type_name(a.type) + " together with " + type_name(b.type));
}

void require_same_type(const Node& node, const SameType& rule) {
  if (!node.has_input(rule.first)) return;
  const Tensor& reference = node.input(rule.first);
  for (std::size_t i = rule.first; i <= rule.last && i < node.input_count(); ++i) {
    if (node.input(i).type != reference.type) fail_types(node, reference, node.input(i));
  }
  for (std::size_t i = 0; i < node.output_count(); ++i) {
    if (node.output(i).type != reference.type) fail_types(node, reference, node.output(i));
  }
}

[[noreturn]] void fail_type(const Node& node, const Tensor& tensor) {
  node.fail(std::string("it cannot handle ") + type_name(tensor.type));
}

template <class Check>
void for_each_tensor(const Node& node, const Check& check) {
  for (std::size_t i = 0; i < node.input_count(); ++i) {
    if (node.has_input(i)) check(node.input(i));
  }
  for (std::size_t i = 0; i < node.output_count(); ++i) check(node.output(i));
}

// Handles of variables, tables and lists: memory that is no value. Only operators that make, use or hand on
// handles may see them; others take what lies there for numbers or text.
bool is_handle(const Tensor& tensor) {
  const auto type = static_cast<Type>(tensor.type);
  return type == Type::RESOURCE || type == Type::VARIANT;
}

bool takes_handles(Op op) {
  switch (op) {
    case Op::CUSTOM:
    case Op::VAR_HANDLE:
    case Op::READ_VARIABLE:
    case Op::ASSIGN_VARIABLE:
    case Op::HASHTABLE:
    case Op::HASHTABLE_FIND:
    case Op::HASHTABLE_IMPORT:
    case Op::HASHTABLE_SIZE:
    case Op::IF:
    case Op::WHILE:
    case Op::CALL_ONCE:
    case Op::STABLEHLO_CASE:
    case Op::STABLEHLO_COMPOSITE:
    case Op::STABLEHLO_WHILE:
      return true;
    default:
      return static_cast<std::size_t>(op) >= kOperatorCount;
  }
}

// Types that only a few operators know. Given to the others, some kernels end the process instead of
// reporting it.
bool is_exotic(const Tensor& tensor) {
  const auto type = static_cast<Type>(tensor.type);
  return type == Type::STRING || type == Type::COMPLEX64 || type == Type::COMPLEX128 || is_handle(tensor);
}

bool takes_exotic_types(Op op) {
  switch (op) {
    case Op::CONV_2D:
    case Op::DEPTHWISE_CONV_2D:
    case Op::TRANSPOSE_CONV:
    case Op::CONV_3D:
    case Op::CONV_3D_TRANSPOSE:
    case Op::AVERAGE_POOL_2D:
    case Op::MAX_POOL_2D:
    case Op::L2_POOL_2D:
    case Op::FULLY_CONNECTED:
    case Op::BATCH_MATMUL:
    case Op::LSTM:
    case Op::UNIDIRECTIONAL_SEQUENCE_LSTM:
    case Op::BIDIRECTIONAL_SEQUENCE_LSTM:
    case Op::RNN:
    case Op::UNIDIRECTIONAL_SEQUENCE_RNN:
    case Op::BIDIRECTIONAL_SEQUENCE_RNN:
    case Op::SVDF:
    case Op::MEAN:
    case Op::SUM:
    case Op::REDUCE_PROD:
    case Op::REDUCE_MAX:
    case Op::REDUCE_MIN:
    case Op::REDUCE_ANY:
    case Op::REDUCE_ALL:
    case Op::ARG_MAX:
    case Op::ARG_MIN:
    case Op::CUMSUM:
    case Op::TOPK_V2:
    case Op::RESIZE_BILINEAR:
    case Op::RESIZE_NEAREST_NEIGHBOR:
    case Op::PRELU:
    case Op::SOFTMAX:
    case Op::LOG_SOFTMAX:
    case Op::LOGISTIC:
    case Op::TANH:
    case Op::QUANTIZE:
    case Op::DEQUANTIZE:
    case Op::L2_NORMALIZATION:
    case Op::FAKE_QUANT:
    case Op::EMBEDDING_LOOKUP:
    case Op::MATRIX_DIAG:
    case Op::MATRIX_SET_DIAG:
      return false;
    default:
      return true;
  }
}

// Of the wider outputs only these exist.
void check_softmax_types(const Node& node) {
  const Tensor &input = node.input(0), &output = node.output(0);
  const bool widened = node.is_type(output, {Type::INT16}) && node.is_type(input, {Type::INT8, Type::UINT8});
  if (input.type != output.type && !widened) fail_types(node, input, output);
}

void check_top_k_types(const Node& node) {
  if (node.input(0).type != node.output(0).type) fail_types(node, node.input(0), node.output(0));
}

// The kernel takes every other type for float32, and writes behind the end of smaller ones.
void check_diagonal_types(const Node& node) {
  if (!node.is_type(node.input(0),
                    {Type::FLOAT32, Type::INT8, Type::UINT8, Type::INT16, Type::INT32, Type::INT64})) {
    fail_type(node, node.input(0));
  }
}

// Products of 16-bit integers in fewer bits exist for equal shapes only.
void check_product_types(const Node& node) {
  if (!node.is_type(node.input(0), {Type::INT16}) || node.is_type(node.output(0), {Type::INT16})) return;
  if (node.input_shape(0) != node.input_shape(1)) fail_types(node, node.input(0), node.output(0));
}

}  // namespace

void check_types(const Node& node) {
  if (const SameType* rule = kSameType.find(node.op())) require_same_type(node, *rule);
  if (node.op() == Op::SOFTMAX) check_softmax_types(node);
  if (node.op() == Op::TOPK_V2) check_top_k_types(node);
  if (node.op() == Op::MATRIX_DIAG) check_diagonal_types(node);
  if (node.op() == Op::LSH_PROJECTION && !node.is_type(node.output(0), {Type::INT32})) {
    fail_type(node, node.output(0));
  }
  if (node.op() == Op::MUL) check_product_types(node);
  const bool takes_exotic = takes_exotic_types(node.op()), takes_handle = takes_handles(node.op());
  for_each_tensor(node, [&](const Tensor& tensor) {
    if ((!takes_exotic && is_exotic(tensor)) || (!takes_handle && is_handle(tensor))) fail_type(node, tensor);
  });
}

}  // namespace litedelegates::model
