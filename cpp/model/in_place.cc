#include "model/in_place.h"

#include <algorithm>
#include <numeric>

#include "model/operators.h"

namespace litedelegates::model {
namespace {

// Members of the runtime's TfLiteInPlaceOp.
constexpr std::uint64_t kDataUnmodified = 1;
constexpr std::uint64_t kFirstInputShared = 4;
constexpr std::uint64_t kSecondInputShared = 8;
constexpr std::size_t kSharableInputs = 3;

constexpr std::int64_t kNever = -1;

// The flags of the built-in kernels of 2.2 and 2.3.
std::uint64_t in_place_flags(std::int32_t builtin_code) {
  switch (static_cast<Op>(builtin_code)) {
    case Op::RESHAPE:
    case Op::SQUEEZE:
    case Op::EXPAND_DIMS:
    case Op::BITCAST:
      return kFirstInputShared | kDataUnmodified;
    case Op::ADD:
    case Op::MUL:
    case Op::SUB:
    case Op::DIV:
      return kFirstInputShared | kSecondInputShared;
    case Op::SOFTMAX:
    case Op::DYNAMIC_UPDATE_SLICE:
      return kFirstInputShared;
    default:
      return 0;
  }
}

// Tensors that may lie in the same memory.
class SharedMemory {
 public:
  explicit SharedMemory(const std::vector<std::int64_t>& last_reads) : parents_(last_reads.size()) {
    std::iota(parents_.begin(), parents_.end(), std::size_t{0});
    latest_.reserve(last_reads.size());
    for (std::size_t i = 0; i < last_reads.size(); ++i) latest_.push_back({i, last_reads[i], kNever});
  }

  void join(std::size_t a, std::size_t b) {
    a = find(a);
    b = find(b);
    if (a == b) return;
    parents_[b] = a;
    Latest& own = latest_[a];
    const Latest& other = latest_[b];
    if (other.read > own.read) {
      own = {other.tensor, other.read, std::max(own.read, other.second_read)};
    } else {
      own.second_read = std::max(own.second_read, other.read);
    }
  }

  // When any other tensor in the memory of this one is last read, as a position among the ops.
  std::int64_t last_read_of_others(std::size_t tensor) {
    const Latest& latest = latest_[find(tensor)];
    return latest.tensor == tensor ? latest.second_read : latest.read;
  }

 private:
  struct Latest {
    std::size_t tensor;
    std::int64_t read;
    std::int64_t second_read;  // of all the other tensors
  };

  std::size_t find(std::size_t tensor) {
    while (parents_[tensor] != tensor) {
      parents_[tensor] = parents_[parents_[tensor]];
      tensor = parents_[tensor];
    }
    return tensor;
  }

  std::vector<std::size_t> parents_;
  std::vector<Latest> latest_;
};

bool is_tensor(std::int32_t index, std::size_t tensors) {
  return index >= 0 && static_cast<std::size_t>(index) < tensors;
}

}  // namespace

std::vector<std::size_t> find_overwriting(std::span<const PlannedOp> ops, std::size_t tensors) {
  std::vector<std::size_t> found;
  const bool writes_in_place = std::any_of(ops.begin(), ops.end(), [](const PlannedOp& op) {
    return op.in_place != 0 && (op.in_place & kDataUnmodified) == 0;
  });
  if (!writes_in_place) return found;
  std::vector<std::int64_t> last_reads(tensors, kNever);
  std::vector<std::int32_t> reads(tensors, 0);
  for (std::size_t position = 0; position < ops.size(); ++position) {
    for (const std::int32_t input : ops[position].inputs) {
      if (!is_tensor(input, tensors)) continue;
      last_reads[static_cast<std::size_t>(input)] = static_cast<std::int64_t>(position);
      ++reads[static_cast<std::size_t>(input)];
    }
  }
  SharedMemory memory(last_reads);
  std::vector<bool> is_computed(
      tensors, false);  // others (inputs, constants, variables) keep their memory to themselves
  std::vector<std::size_t> shared;
  for (std::size_t position = 0; position < ops.size(); ++position) {
    const PlannedOp& op = ops[position];
    const bool is_modified = (op.in_place & kDataUnmodified) == 0;
    shared.clear();
    bool overwrites = false;
    for (std::size_t i = 0; i < std::min(op.inputs.size(), kSharableInputs); ++i) {
      if ((op.in_place & (kFirstInputShared << i)) == 0 || !is_tensor(op.inputs[i], tensors)) continue;
      const auto input = static_cast<std::size_t>(op.inputs[i]);
      if (!is_computed[input] || (is_modified && reads[input] > 1)) continue;
      overwrites = overwrites ||
                   (is_modified && memory.last_read_of_others(input) >= static_cast<std::int64_t>(position));
      shared.push_back(input);
    }
    if (overwrites) {
      found.push_back(position);
    } else if (!op.outputs.empty() && is_tensor(op.outputs[0], tensors)) {
      for (const std::size_t input : shared) memory.join(input, static_cast<std::size_t>(op.outputs[0]));
    }
    for (const std::int32_t output : op.outputs) {
      if (is_tensor(output, tensors)) is_computed[static_cast<std::size_t>(output)] = true;
    }
  }
  return found;
}

std::vector<std::size_t> find_overwriting(const Subgraph& subgraph, std::span<const std::int32_t> delegated) {
  std::vector<PlannedOp> ops;
  ops.reserve(subgraph.operators.size());
  for (const Operator& op : subgraph.operators) {
    ops.push_back({op.inputs, op.outputs, op.custom_code.empty() ? in_place_flags(op.builtin_code) : 0});
  }
  for (const std::int32_t index : delegated) {
    if (is_tensor(index, ops.size())) ops[static_cast<std::size_t>(index)].in_place = 0;
  }
  return find_overwriting(ops, subgraph.tensors.size());
}

}  // namespace litedelegates::model
