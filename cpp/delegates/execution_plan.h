// The nodes of a subgraph in the order they run, as a delegate that prepares can ask for them.
#pragma once

#include <cstdint>
#include <vector>

#include "delegates/tflite_abi.h"

namespace litedelegates {

struct NodeInPlan {
  int32_t index;
  const TfLiteNode* node;
  const TfLiteRegistration* registration;
};

// The nodes that can be read. They hold until nodes are added, as a delegate that takes some does.
[[nodiscard]] std::vector<NodeInPlan> nodes_in_plan(TfLiteContext* context);

}  // namespace litedelegates
