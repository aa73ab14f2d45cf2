#include "delegates/views_at_edges.h"

#include <unordered_set>

#include "delegates/execution_plan.h"
#include "model/operators.h"

namespace litedelegates {
namespace {

using model::Op;

bool is_view(const NodeInPlan& planned) {
  const auto op = static_cast<Op>(planned.registration->builtin_code);
  return (op == Op::RESHAPE || op == Op::EXPAND_DIMS || op == Op::SQUEEZE) &&
         planned.node->inputs->size > 0 && planned.node->outputs->size > 0;
}

// The tensors that ops make or read, by whether XNNPACK may take the op. Views pass it through to what is
// beside them.
class Sides {
 public:
  void add(const TfLiteIntArray& tensors, bool is_xnnpack) {
    auto& side = is_xnnpack ? xnnpack_ : elsewhere_;
    side.insert(tensors.data, tensors.data + tensors.size);
  }
  void pass_through(int32_t from, int32_t to) {
    if (xnnpack_.contains(from)) xnnpack_.insert(to);
    if (elsewhere_.contains(from)) elsewhere_.insert(to);
  }
  [[nodiscard]] bool is_xnnpack(int32_t tensor) const { return xnnpack_.contains(tensor); }
  [[nodiscard]] bool is_elsewhere(int32_t tensor) const { return elsewhere_.contains(tensor); }

 private:
  std::unordered_set<int32_t> xnnpack_, elsewhere_;
};

}  // namespace

std::vector<std::pair<int32_t, std::string>> views_at_edges(TfLiteContext* context) {
  const std::vector<NodeInPlan> nodes = nodes_in_plan(context);
  Sides made, read;
  for (const NodeInPlan& planned : nodes) {
    if (is_view(planned))
      made.pass_through(planned.node->inputs->data[0], planned.node->outputs->data[0]);
    else
      made.add(*planned.node->outputs, has_xnnpack_kernel(planned.registration->builtin_code));
  }
  for (auto planned = nodes.rbegin(); planned != nodes.rend(); ++planned) {
    if (is_view(*planned))
      read.pass_through(planned->node->outputs->data[0], planned->node->inputs->data[0]);
    else
      read.add(*planned->node->inputs, has_xnnpack_kernel(planned->registration->builtin_code));
  }
  std::vector<std::pair<int32_t, std::string>> found;
  for (const NodeInPlan& planned : nodes) {
    if (!is_view(planned)) continue;
    const int32_t input = planned.node->inputs->data[0], output = planned.node->outputs->data[0];
    // What a model is given, or gives, has memory of its own: there both copy.
    const bool is_first = made.is_elsewhere(input);
    const bool is_last = read.is_elsewhere(output) && !read.is_xnnpack(output);
    if (is_first || is_last)
      found.emplace_back(planned.index, "it would be a copy, at the edge of what runs there");
  }
  return found;
}

bool has_xnnpack_kernel(int32_t builtin_code) {
  switch (static_cast<Op>(builtin_code)) {
    case Op::ABS:
    case Op::ADD:
    case Op::ASSIGN_VARIABLE:
    case Op::AVERAGE_POOL_2D:
    case Op::BATCH_MATMUL:
    case Op::BROADCAST_TO:
    case Op::CAST:
    case Op::CEIL:
    case Op::CONCATENATION:
    case Op::CONV_2D:
    case Op::COS:
    case Op::CUSTOM:  // attention, pooling with places
    case Op::DEPTH_TO_SPACE:
    case Op::DEPTHWISE_CONV_2D:
    case Op::DEQUANTIZE:
    case Op::DIV:
    case Op::ELU:
    case Op::EXP:
    case Op::EXPAND_DIMS:
    case Op::FLOOR:
    case Op::FULLY_CONNECTED:
    case Op::GELU:
    case Op::HARD_SWISH:
    case Op::LEAKY_RELU:
    case Op::LOG:
    case Op::LOGISTIC:
    case Op::MAX_POOL_2D:
    case Op::MAXIMUM:
    case Op::MEAN:
    case Op::MINIMUM:
    case Op::MUL:
    case Op::NEG:
    case Op::PAD:
    case Op::PADV2:
    case Op::PRELU:
    case Op::QUANTIZE:
    case Op::READ_VARIABLE:
    case Op::REDUCE_MAX:
    case Op::REDUCE_MIN:
    case Op::RELU:
    case Op::RELU_0_TO_1:
    case Op::RELU_N1_TO_1:
    case Op::RELU6:
    case Op::RESHAPE:
    case Op::RESIZE_BILINEAR:
    case Op::RESIZE_NEAREST_NEIGHBOR:
    case Op::ROUND:
    case Op::RSQRT:
    case Op::SIN:
    case Op::SLICE:
    case Op::SOFTMAX:
    case Op::SPACE_TO_DEPTH:
    case Op::SPLIT:
    case Op::SQRT:
    case Op::SQUARE:
    case Op::SQUARED_DIFFERENCE:
    case Op::SQUEEZE:
    case Op::STABLEHLO_COMPOSITE:
    case Op::STRIDED_SLICE:
    case Op::SUB:
    case Op::SUM:
    case Op::TANH:
    case Op::TRANSPOSE:
    case Op::TRANSPOSE_CONV:
    case Op::VAR_HANDLE:
      return true;
    default:
      return false;
  }
}

}  // namespace litedelegates
