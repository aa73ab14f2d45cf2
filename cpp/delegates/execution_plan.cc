#include "delegates/execution_plan.h"

namespace litedelegates {

std::vector<NodeInPlan> nodes_in_plan(TfLiteContext* context) {
  std::vector<NodeInPlan> nodes;
  TfLiteIntArray* order = nullptr;
  if (context->GetExecutionPlan(context, &order) != TfLiteStatus::kOk) return nodes;
  // The array is the interpreter's own and the next call overwrites it.
  const std::vector<int32_t> indices(order->data, order->data + order->size);
  for (const int32_t index : indices) {
    TfLiteNode* node = nullptr;
    TfLiteRegistration* registration = nullptr;
    if (context->GetNodeAndRegistration(context, index, &node, &registration) == TfLiteStatus::kOk)
      nodes.push_back({index, node, registration});
  }
  return nodes;
}

}  // namespace litedelegates
