#include "check_operators.h"

#include <string>

#include "check_variables.h"
#include "place.h"
#include "verify.h"

namespace litedelegates::model {

void check_operator(Node& node, const Parsed& parsed) {
  check_arity(node);
  check_types(node);
  if (is_unary(node.op())) return check_elementwise(node);
  switch (node.op()) {
    case Op::CONV_2D:
    case Op::DEPTHWISE_CONV_2D:
    case Op::TRANSPOSE_CONV:
    case Op::CONV_3D:
    case Op::CONV_3D_TRANSPOSE:
      return check_convolution(node);
    case Op::AVERAGE_POOL_2D:
    case Op::MAX_POOL_2D:
    case Op::L2_POOL_2D:
      return check_pooling(node);
    case Op::ADD:
    case Op::SUB:
    case Op::MUL:
    case Op::DIV:
    case Op::FLOOR_DIV:
    case Op::FLOOR_MOD:
    case Op::MAXIMUM:
    case Op::MINIMUM:
    case Op::POW:
    case Op::SQUARED_DIFFERENCE:
    case Op::EQUAL:
    case Op::NOT_EQUAL:
    case Op::LESS:
    case Op::LESS_EQUAL:
    case Op::GREATER:
    case Op::GREATER_EQUAL:
    case Op::LOGICAL_AND:
    case Op::LOGICAL_OR:
    case Op::PRELU:
    case Op::ATAN2:
    case Op::BITWISE_XOR:
    case Op::RIGHT_SHIFT:
    case Op::SELECT:
    case Op::SELECT_V2:
    case Op::ADD_N:
    case Op::STABLEHLO_SHIFT_LEFT:
    case Op::STABLEHLO_ADD:
    case Op::STABLEHLO_MULTIPLY:
    case Op::STABLEHLO_MAXIMUM:
    case Op::STABLEHLO_MINIMUM:
      return check_broadcast(node);
    case Op::FULLY_CONNECTED:
    case Op::BATCH_MATMUL:
      return check_matrix_product(node);
    case Op::RESHAPE:
    case Op::SQUEEZE:
    case Op::EXPAND_DIMS:
    case Op::TRANSPOSE:
    case Op::SPACE_TO_DEPTH:
    case Op::DEPTH_TO_SPACE:
    case Op::SPACE_TO_BATCH_ND:
    case Op::BATCH_TO_SPACE_ND:
      return check_rearrangement(node);
    case Op::CONCATENATION:
    case Op::PACK:
    case Op::UNPACK:
    case Op::SPLIT:
    case Op::SPLIT_V:
      return check_joining(node);
    case Op::SLICE:
    case Op::STRIDED_SLICE:
    case Op::PAD:
    case Op::PADV2:
    case Op::MIRROR_PAD:
    case Op::TILE:
    case Op::BROADCAST_TO:
    case Op::FILL:
    case Op::RANGE:
    case Op::DYNAMIC_UPDATE_SLICE:
    case Op::REVERSE_V2:
      return check_slicing(node);
    case Op::BROADCAST_ARGS:
    case Op::REVERSE_SEQUENCE:
    case Op::SPARSE_TO_DENSE:
    case Op::RFFT2D:
    case Op::NON_MAX_SUPPRESSION_V4:
    case Op::NON_MAX_SUPPRESSION_V5:
    case Op::RANDOM_UNIFORM:
    case Op::RANDOM_STANDARD_NORMAL:
    case Op::MULTINOMIAL:
    case Op::DILATE:
    case Op::MATRIX_DIAG:
    case Op::MATRIX_SET_DIAG:
    case Op::SHAPE:
    case Op::RANK:
    case Op::BITCAST:
    case Op::SEGMENT_SUM:
    case Op::UNSORTED_SEGMENT_PROD:
    case Op::UNSORTED_SEGMENT_MAX:
    case Op::UNSORTED_SEGMENT_SUM:
    case Op::UNSORTED_SEGMENT_MIN:
      return check_parameters(node);
    case Op::GATHER:
    case Op::GATHER_ND:
    case Op::SCATTER_ND:
    case Op::ONE_HOT:
    case Op::EMBEDDING_LOOKUP:
      return check_lookup(node);
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
      return check_reduction(node);
    case Op::RESIZE_BILINEAR:
    case Op::RESIZE_NEAREST_NEIGHBOR:
      return check_resizing(node);
    case Op::LSTM:
    case Op::UNIDIRECTIONAL_SEQUENCE_LSTM:
    case Op::BIDIRECTIONAL_SEQUENCE_LSTM:
    case Op::RNN:
    case Op::UNIDIRECTIONAL_SEQUENCE_RNN:
    case Op::BIDIRECTIONAL_SEQUENCE_RNN:
    case Op::SVDF:
      return check_recurrence(node);
    case Op::READ_VARIABLE:
      return check_read_variable(node);
    case Op::IF:
    case Op::WHILE:
    case Op::CALL_ONCE:
    case Op::STABLEHLO_COMPOSITE:
    case Op::STABLEHLO_CASE:
    case Op::STABLEHLO_WHILE:
      return check_call(node, parsed);
    case Op::CUSTOM:
      return check_custom(node, parsed.file_size);
    default:
      return check_stablehlo(node);
  }
}

namespace {

// Constants, variables and inputs of the subgraph have the shape that the file gives them.
std::vector<Shape> initial_shapes(const Subgraph& subgraph) {
  std::vector<Shape> shapes(subgraph.tensors.size());
  const auto set = [&](std::size_t index) {
    const Tensor& tensor = subgraph.tensors[index];
    shapes[index] = Dims(tensor.shape.begin(), tensor.shape.end());
    for (std::size_t i = 0; i < tensor.shape_signature.size(); ++i) {
      if (tensor.shape_signature[i] < 0) (*shapes[index])[i] = kUnknown;
    }
  };
  for (std::size_t i = 0; i < shapes.size(); ++i) {
    const Tensor& tensor = subgraph.tensors[i];
    if (tensor.has_data || tensor.external_buffer != 0 || tensor.is_variable) set(i);
  }
  for (const std::int32_t input : subgraph.inputs) {
    const auto index = static_cast<std::size_t>(input);
    // An empty shape without a rank may be a scalar or anything.
    if (!subgraph.tensors[index].shape.empty() || subgraph.tensors[index].has_rank) set(index);
  }
  return shapes;
}

}  // namespace

void check_operators(const Parsed& parsed) {
  for (std::size_t s = 0; s < parsed.description->subgraphs.size(); ++s) {
    const Subgraph& subgraph = parsed.description->subgraphs[s];
    std::vector<Shape> shapes = initial_shapes(subgraph);
    for (std::size_t i = 0; i < subgraph.operators.size(); ++i) {
      in_place("operator", i, "subgraph", s, [&] {
        Node node(subgraph, subgraph.operators[i], parsed.subgraphs[s].operators[i], shapes);
        check_operator(node, parsed);
      });
    }
  }
}

}  // namespace litedelegates::model
