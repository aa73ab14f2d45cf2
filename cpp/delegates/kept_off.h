// Keeps ops off an accelerator library that computes them wrongly and says nothing. The library cannot be
// told which ops to leave, so what it sees of them is another op while it chooses: one that it does not know.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "delegates/tflite_abi.h"

namespace litedelegates {

// Two delegates that claim nothing, to be applied just before and just after the library.
class KeptOff {
 public:
  KeptOff();
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

  std::vector<Node> nodes_;
  TfLiteDelegate before_{}, after_{};
};

}  // namespace litedelegates
