#include "delegates/lonely_views.h"

#include <unordered_set>

#include "model/operators.h"

namespace litedelegates {
namespace {

using model::Op;

struct Node {
  int32_t index;
  bool is_view, may_run_there;
  std::vector<int32_t> inputs, outputs;
};

std::vector<int32_t> items(const TfLiteIntArray* array) {
  return array == nullptr ? std::vector<int32_t>()
                          : std::vector<int32_t>(array->data, array->data + array->size);
}

std::vector<Node> nodes_of(TfLiteContext* context) {
  std::vector<Node> nodes;
  TfLiteIntArray* order = nullptr;
  if (context->GetExecutionPlan(context, &order) != TfLiteStatus::kOk) return nodes;
  for (const int32_t index :
       items(order)) {  // a copy: the array is the interpreter's own, written anew by each call
    TfLiteNode* node = nullptr;
    TfLiteRegistration* registration = nullptr;
    if (context->GetNodeAndRegistration(context, index, &node, &registration) != TfLiteStatus::kOk) continue;
    const auto op = static_cast<Op>(registration->builtin_code);
    Node found{index, op == Op::RESHAPE || op == Op::EXPAND_DIMS || op == Op::SQUEEZE,
               has_xnnpack_kernel(registration->builtin_code), items(node->inputs), items(node->outputs)};
    found.is_view = found.is_view && !found.inputs.empty() && !found.outputs.empty();
    nodes.push_back(std::move(found));
  }
  return nodes;
}

}  // namespace

std::vector<std::pair<int32_t, std::string>> lonely_views(TfLiteContext* context) {
  const std::vector<Node> nodes = nodes_of(context);
  // Tensors that ops make, or read, which XNNPACK may take; views hand that on to what is beside them.
  std::unordered_set<int32_t> made, read;
  for (const Node& node : nodes) {
    if (node.is_view ? made.contains(node.inputs[0]) : node.may_run_there)
      made.insert(node.outputs.begin(), node.outputs.end());
  }
  for (auto node = nodes.rbegin(); node != nodes.rend(); ++node) {
    if (node->is_view && read.contains(node->outputs[0])) read.insert(node->inputs[0]);
    if (!node->is_view && node->may_run_there) read.insert(node->inputs.begin(), node->inputs.end());
  }
  std::vector<std::pair<int32_t, std::string>> found;
  for (const Node& node : nodes) {
    if (!node.is_view || made.contains(node.inputs[0]) || read.contains(node.inputs[0]) ||
        read.contains(node.outputs[0]))
      continue;
    found.emplace_back(node.index, "it would only be copied: no op beside it runs there");
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
