// Two delegates that claim nothing: the listener goes first, hears what kernels complain about while the
// others prepare, and reads the names of tensors, which the GPU's library changes; the spy goes last, reads
// from the execution plan who took which op, and keeps what is left to built-in kernels from overwriting
// values that are still read.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "delegates/steady_plan.h"

namespace litedelegates {

// One entry of an execution plan.
struct PlannedNode {
  int32_t node_index = 0;
  int32_t builtin_code = 0;
  std::string name;                      // of a delegate kernel or a custom op; empty for a builtin op
  std::vector<int32_t> replaced;         // the operator indices a delegate node stands for
  std::vector<int32_t> inputs, outputs;  // tensors, by their index in the subgraph; -1 where one is left out
};

struct SubgraphPlan {
  std::vector<std::string> tensor_names;  // tell which subgraph of the model this is
  std::vector<PlannedNode> nodes;
  std::vector<PlannedNode> replaced;  // what the delegate nodes stand for, as the model has it
  std::vector<int32_t>
      not_in_place;  // indices of nodes that were forbidden to write in place, see model/in_place.h
};

class Spy {
 public:
  Spy();
  Spy(const Spy&) = delete;
  Spy& operator=(const Spy&) = delete;

  [[nodiscard]] TfLiteDelegate* delegate() { return &delegate_; }
  // A visited subgraph as its kernels see it; context and nodes live as long as the compiled model.
  struct Visit {
    TfLiteContext* context;
    SubgraphPlan plan;
    std::vector<Kernel> kernels;
  };
  // In the order the subgraphs were visited; a subgraph visited again replaces its first visit.
  [[nodiscard]] const std::vector<Visit>& visits() const { return visits_; }

 private:
  static TfLiteStatus prepare(TfLiteContext* context, TfLiteDelegate* self);

  std::vector<Visit> visits_;
  TfLiteDelegate delegate_{};
};

// Collects what kernels report while it exists, for the calling thread.
class Messages {
 public:
  Messages();
  ~Messages();
  Messages(const Messages&) = delete;
  Messages& operator=(const Messages&) = delete;

  // What was reported, one message a line, without the source file positions of the kernels.
  [[nodiscard]] std::string text() const { return text_; }

 private:
  friend void append_message(std::string_view line);
  std::string text_;
  Messages* outer_;
};

class Listener {
 public:
  Listener();
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

  [[nodiscard]] TfLiteDelegate* delegate() { return &delegate_; }
  // The names of a subgraph's tensors before any delegate saw it; null for one that was not prepared.
  [[nodiscard]] const std::vector<std::string>* tensor_names(const TfLiteContext* context) const;

 private:
  static TfLiteStatus prepare(TfLiteContext* context, TfLiteDelegate* self);

  std::vector<std::pair<const TfLiteContext*, std::vector<std::string>>> names_;
  TfLiteDelegate delegate_{};
};

}  // namespace litedelegates
