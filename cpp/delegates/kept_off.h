// Keeps ops off a delegate that computes them wrongly and says nothing, or that gains nothing by them. It
// cannot be told which ops to leave, so what it sees of them is another op while it chooses: one that it does
// not know.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "delegates/tflite_abi.h"

namespace litedelegates {

// Two delegates that claim nothing, to be applied just before and just after the one that is to leave ops.
class KeptOff {
 public:
  // Which nodes of a subgraph stay off, each with the reason.
  using Choose = std::vector<std::pair<int32_t, std::string>> (*)(TfLiteContext*);

  explicit KeptOff(Choose choose);
  KeptOff(const KeptOff&) = delete;
  KeptOff& operator=(const KeptOff&) = delete;

  [[nodiscard]] TfLiteDelegate* before() { return &before_; }
  [[nodiscard]] TfLiteDelegate* after() { return &after_; }

  struct Node {
    const TfLiteContext* context;
    int32_t index;
    std::string reason;
    int32_t builtin_code;     // its own, for afterwards
    const char* custom_name;  // as well
  };
  // What was kept off, with the reason; a subgraph that is prepared again counts once.
  [[nodiscard]] const std::vector<Node>& nodes() const { return nodes_; }

 private:
  static TfLiteStatus disguise(TfLiteContext* context, TfLiteDelegate* self);
  static TfLiteStatus restore(TfLiteContext* context, TfLiteDelegate* self);

  Choose choose_;
  std::vector<Node> nodes_;
  TfLiteDelegate before_{}, after_{};
};

}  // namespace litedelegates
