#include "delegates/wrong_on_gpu.h"

#include <algorithm>
#include <cstring>
#include <functional>
#include <optional>
#include <unordered_map>

#include "delegates/execution_plan.h"
#include "model/operators.h"

namespace litedelegates {
namespace {

using model::Op;
using Dims = std::vector<int32_t>;

// TFLite's types, kinds of padding and activations by their number.
constexpr int32_t kFloat32 = 1, kInt16 = 7;
constexpr int32_t kAffine = 1;  // scales by tensor or channel; kinds of a higher number are in blocks
constexpr int32_t kValid = 2;
constexpr int32_t kRelu = 1, kRelu6 = 3;

// Options as the runtime's kernels read them; only what the rules ask for.
struct ConvOptions {
  int32_t padding, stride_width, stride_height, activation;
};
struct DepthwiseConvOptions {
  int32_t padding, stride_width, stride_height, depth_multiplier, activation;
};
struct PoolOptions {
  int32_t padding, stride_width, stride_height, filter_width, filter_height, activation;
};
struct ConcatenationOptions {
  int32_t axis, activation;
};
struct ActivationOptions {  // of every op whose options begin with it
  int32_t activation;
};
struct LeakyReluOptions {
  float alpha;
};
struct CumsumOptions {
  bool exclusive, reverse;
};
struct BatchMatMulOptions {
  bool turns_left, turns_right;
};

Dims dims_of(const TfLiteTensor& tensor) {
  return tensor.dims == nullptr ? Dims{} : Dims(tensor.dims->data, tensor.dims->data + tensor.dims->size);
}

int64_t element_count(const Dims& dims) {
  int64_t count = 1;
  for (const int32_t size : dims) count *= size;
  return count;
}

bool is_constant(const TfLiteTensor& tensor) {
  return tensor.allocation_type == kTfLiteAllocationMmapRo && tensor.data != nullptr;
}

class Graph;

// One node as the rules see it.
class View {
 public:
  View(const Graph& graph, const TfLiteNode& node, int32_t builtin_code)
      : graph_(&graph), node_(&node), op_(static_cast<Op>(builtin_code)) {}

  [[nodiscard]] Op op() const { return op_; }
  [[nodiscard]] const Graph& graph() const { return *graph_; }
  [[nodiscard]] const TfLiteNode& node() const { return *node_; }
  [[nodiscard]] const TfLiteTensor* input(int32_t position) const;
  [[nodiscard]] Dims shape(int32_t position) const {
    const TfLiteTensor* const tensor = input(position);
    return tensor == nullptr ? Dims{} : dims_of(*tensor);
  }
  [[nodiscard]] bool has_constant(int32_t position) const {
    const TfLiteTensor* const tensor = input(position);
    return tensor != nullptr && is_constant(*tensor);
  }
  // The values of a constant of 4-byte elements; nothing for any other tensor.
  template <typename T>
  [[nodiscard]] std::optional<std::vector<T>> values(int32_t position) const {
    static_assert(sizeof(T) == 4);
    if (!has_constant(position)) return std::nullopt;
    const TfLiteTensor& tensor = *input(position);
    const auto count = static_cast<size_t>(element_count(dims_of(tensor)));
    if (tensor.bytes != count * sizeof(T)) return std::nullopt;
    std::vector<T> result(count);
    if (count > 0) std::memcpy(result.data(), tensor.data, tensor.bytes);
    return result;
  }
  template <typename T>
  [[nodiscard]] const T& options() const {
    static const T none{};
    return node_->builtin_data == nullptr ? none : *static_cast<const T*>(node_->builtin_data);
  }
  // The activation that is fused into the op; 0 for none.
  [[nodiscard]] int32_t activation() const;

 private:
  const Graph* graph_;
  const TfLiteNode* node_;
  Op op_;
};

// The nodes of an execution plan, and who makes and reads each tensor.
class Graph {
 public:
  explicit Graph(TfLiteContext* context) : context_(context) {
    for (const auto& [index, node, registration] : nodes_in_plan(context))
      nodes_.emplace_back(index, View(*this, *node, registration->builtin_code));
    for (const auto& [index, view] : nodes_) {
      for (int32_t i = 0; i < view.node().outputs->size; ++i)
        makers_.emplace(view.node().outputs->data[i], &view);
      for (int32_t i = 0; i < view.node().inputs->size; ++i)
        readers_.emplace(view.node().inputs->data[i], &view);
    }
  }
  Graph(const Graph&) = delete;
  Graph& operator=(const Graph&) = delete;

  [[nodiscard]] const std::vector<std::pair<int32_t, View>>& nodes() const { return nodes_; }
  [[nodiscard]] const TfLiteTensor* tensor(int32_t index) const {
    return index < 0 || static_cast<size_t>(index) >= context_->tensors_size ? nullptr
                                                                             : &context_->tensors[index];
  }
  [[nodiscard]] const View* maker(int32_t tensor) const {
    const auto found = makers_.find(tensor);
    return found == makers_.end() ? nullptr : found->second;
  }
  [[nodiscard]] std::vector<const View*> readers(int32_t tensor, Op op) const {
    std::vector<const View*> found;
    const auto [begin, end] = readers_.equal_range(tensor);
    for (auto reader = begin; reader != end; ++reader) {
      if (reader->second->op() == op) found.push_back(reader->second);
    }
    return found;
  }

 private:
  TfLiteContext* context_;
  std::vector<std::pair<int32_t, View>> nodes_;
  std::unordered_map<int32_t, const View*> makers_;
  std::unordered_multimap<int32_t, const View*> readers_;
};

const TfLiteTensor* View::input(int32_t position) const {
  if (node_->inputs == nullptr || position >= node_->inputs->size) return nullptr;
  return graph_->tensor(node_->inputs->data[position]);
}

int32_t View::activation() const {
  switch (op_) {
    case Op::CONV_2D:
    case Op::TRANSPOSE_CONV:
      return options<ConvOptions>().activation;
    case Op::DEPTHWISE_CONV_2D:
      return options<DepthwiseConvOptions>().activation;
    case Op::MAX_POOL_2D:
    case Op::AVERAGE_POOL_2D:
      return options<PoolOptions>().activation;
    case Op::CONCATENATION:
      return options<ConcatenationOptions>().activation;
    case Op::FULLY_CONNECTED:
    case Op::ADD:
    case Op::SUB:
    case Op::MUL:
    case Op::DIV:
      return options<ActivationOptions>().activation;
    default:
      return 0;
  }
}

// Whether nothing that an op gives is below zero.
bool gives_no_negatives(const View* view) {
  if (view == nullptr) return false;
  const int32_t fused = view->activation();
  return view->op() == Op::RELU || view->op() == Op::RELU6 || view->op() == Op::LOGISTIC || fused == kRelu ||
         fused == kRelu6;
}

std::string why_padding(const View& view) {
  const Dims shape = view.shape(0);
  if (shape.size() != 4) return "padding a tensor of rank " + std::to_string(shape.size()) + " is wrong";
  const auto widths = view.values<int32_t>(1);
  if (!widths || widths->size() != 8) return "padding by widths that are no constants of 32 bits is wrong";
  if ((*widths)[0] != 0 || (*widths)[1] != 0) return "padding the batch is wrong";
  if (view.op() == Op::MIRROR_PAD) return {};
  if (view.op() == Op::PADV2) {
    const auto value = view.values<float>(2);
    if (!value || value->size() != 1 || (*value)[0] != 0 || view.input(2)->type != kFloat32)
      return "padding with a value other than 0 is wrong where it is merged with the next op";
  }
  const int32_t output = view.node().outputs->data[0];
  if (!view.graph().readers(output, Op::AVERAGE_POOL_2D).empty())
    return "padding before AVERAGE_POOL_2D is wrong: the zeros are left out of the average";
  for (const View* const reader : view.graph().readers(output, Op::MAX_POOL_2D)) {
    // Zeros beside values of which none is below zero change no maximum, unless there are only zeros.
    const auto& pool = reader->options<PoolOptions>();
    const bool sees_values = pool.padding == kValid &&
                             std::max((*widths)[2], (*widths)[3]) < pool.filter_height &&
                             std::max((*widths)[4], (*widths)[5]) < pool.filter_width;
    if (!sees_values || !gives_no_negatives(view.graph().maker(view.node().inputs->data[0])))
      return "padding before MAX_POOL_2D is wrong: the zeros are left out of the maximum";
  }
  return {};
}

std::string why_cumsum(const View& view) {
  const auto axis = view.values<int32_t>(1);
  const auto& options = view.options<CumsumOptions>();
  if (options.exclusive || options.reverse) return "exclusive and reversed sums are wrong";
  if (view.shape(0).size() != 4 || !axis || axis->size() != 1 || (*axis)[0] < 1)
    return "a sum along the batch or an axis counted from the end is wrong or ends the process";
  return {};
}

std::string why_batch_matmul(const View& view) {
  const Dims left = view.shape(0), right = view.shape(1);
  const auto& options = view.options<BatchMatMulOptions>();
  const bool is_turned = options.turns_left || options.turns_right;
  const bool is_constant_matrix = view.has_constant(1) && right.size() == 2;
  if (is_constant_matrix) return is_turned ? "a product with a constant matrix, transposed, is wrong" : "";
  if (left.size() != right.size() || left.size() < 2 ||
      !std::equal(left.begin(), left.end() - 2, right.begin(), right.end() - 2))
    return "a product of matrices with different batches is wrong";
  return {};
}

std::string why_fully_connected(const View& view) {
  const Dims input = view.shape(0), weights = view.shape(1);
  if (input.size() < 2) return "FULLY_CONNECTED of a vector is wrong";
  if (view.input(1) != nullptr && view.input(1)->quantization.type > kAffine)
    return "weights that are quantized in blocks end the process while they are compiled";
  if (weights.size() == 2 && input.back() != weights[1])
    return "FULLY_CONNECTED that divides its input into other rows is wrong";
  const View* const maker = view.graph().maker(view.node().inputs->data[1]);
  if (maker != nullptr && maker->op() == Op::DEQUANTIZE && maker->input(0) != nullptr &&
      maker->input(0)->bytes == static_cast<size_t>(element_count(weights)))
    return "FULLY_CONNECTED with integer weights behind DEQUANTIZE does not compile";
  const bool is_unpacked = maker != nullptr && (maker->op() == Op::DEQUANTIZE || maker->op() == Op::DENSIFY);
  if (!view.has_constant(1) && !is_unpacked && view.input(2) != nullptr)
    return "FULLY_CONNECTED with weights that are computed loses its bias";
  return {};
}

std::string why_convolution(const View& view) {
  const Dims input = view.shape(0), filters = view.shape(1);
  if (input.size() != 4 || filters.size() != 4 || filters[3] == 0) return {};
  const int32_t groups = input[3] / filters[3];
  if (groups > 1 && filters[3] != 1 && (filters[3] % 4 != 0 || filters[0] / groups % 4 != 0))
    return "grouped convolution with " + std::to_string(filters[3]) + " channels for " +
           std::to_string(filters[0] / groups) + " filters in a group, not both multiples of 4, is wrong";
  return {};
}

std::string why_arg_max(const View& view) {
  const auto axis = view.values<int32_t>(1);
  const Dims shape = view.shape(0);
  const auto rank = static_cast<int32_t>(shape.size());
  if (!axis || axis->size() != 1) return "an axis that is no constant of 32 bits is wrong";
  const int32_t counted = (*axis)[0] < 0 ? (*axis)[0] + rank : (*axis)[0];
  if (rank > 0 && counted == rank - 1 && shape.back() % 4 != 0)
    return "ARG_MAX over " + std::to_string(shape.back()) +
           " channels, which is no multiple of 4, is wrong: values that are not there count";
  return {};
}

// A constant is laid out by its own rank: its only dimension is channels, where that of an input is the
// batch, and a further dimension in front moves all others.
std::string why_operand(const View& view) {
  for (int32_t position = 0; position < 2; ++position) {
    if (!view.has_constant(position)) continue;
    const Dims constant = view.shape(position), other = view.shape(1 - position);
    if (element_count(constant) <= 1) continue;
    if (constant[0] > 1 && constant.size() == other.size()) return "a constant operand with a batch is wrong";
    if (other.size() < 2) return "a constant operand of a vector is wrong";
    if (constant.size() > other.size() && other[0] != 1)
      return "a constant operand of a higher rank than the other is wrong with a batch";
  }
  return {};
}

// Two parts that one op reads come to lie in one place.
std::string why_split(const View& view) {
  const TfLiteIntArray& parts = *view.node().outputs;
  const auto is_part = [&](int32_t index) {
    return std::find(parts.data, parts.data + parts.size, index) != parts.data + parts.size;
  };
  for (const auto& [index, reader] : view.graph().nodes()) {
    const TfLiteIntArray& inputs = *reader.node().inputs;
    if (std::count_if(inputs.data, inputs.data + inputs.size, is_part) > 1)
      return "splitting into parts of which one op reads several is wrong";
  }
  return {};
}

bool has_wide_integers(const View& view) {
  const auto is_wide = [&](int32_t index) {
    const TfLiteTensor* const tensor = view.graph().tensor(index);
    return tensor != nullptr && tensor->type == kInt16;
  };
  const TfLiteIntArray &inputs = *view.node().inputs, &outputs = *view.node().outputs;
  return std::any_of(inputs.data, inputs.data + inputs.size, is_wide) ||
         std::any_of(outputs.data, outputs.data + outputs.size, is_wide);
}

std::string why_wrong(const View& view) {
  if (has_wide_integers(view)) return "integers of 16 bits are computed as if they were real numbers";
  switch (view.op()) {
    case Op::PAD:
    case Op::PADV2:
    case Op::MIRROR_PAD:
      return why_padding(view);
    case Op::CUMSUM:
      return why_cumsum(view);
    case Op::BATCH_MATMUL:
      return why_batch_matmul(view);
    case Op::FULLY_CONNECTED:
      return why_fully_connected(view);
    case Op::CONV_2D:
      return why_convolution(view);
    case Op::ARG_MAX:
      return why_arg_max(view);
    case Op::TOPK_V2:
      return view.shape(0).empty() || view.shape(0).back() % 4 != 0 ? "TOPK_V2 needs a multiple of 4 channels"
                                                                    : "";
    case Op::LEAKY_RELU:
      return view.options<LeakyReluOptions>().alpha < 0 || view.options<LeakyReluOptions>().alpha > 1
                 ? "LEAKY_RELU with alpha below 0 or above 1 is wrong"
                 : "";
    case Op::SOFTMAX:
      return view.shape(0).size() < 2 ? "SOFTMAX of a vector is wrong" : "";
    case Op::DEPTH_TO_SPACE:
    case Op::SPACE_TO_DEPTH:
      return view.shape(0).empty() || view.shape(0)[0] != 1 ? "a batch other than 1 does not compile" : "";
    case Op::PRELU:
      return view.shape(1).size() == 3 && element_count(view.shape(1)) != view.shape(1)[2] &&
                     !view.shape(0).empty() && view.shape(0)[0] != 1
                 ? "slopes that differ by place do not compile with a batch other than 1"
                 : "";
    case Op::SPLIT:
    case Op::SPLIT_V:
      return why_split(view);
    case Op::SEGMENT_SUM:
      return "it does not compile";
    case Op::POW:
      if (view.has_constant(0) && element_count(view.shape(0)) == 1)
        return "a constant base is taken for the exponent";
      return why_operand(view);
    case Op::ADD:
    case Op::SUB:
    case Op::MUL:
    case Op::DIV:
    case Op::FLOOR_DIV:
    case Op::FLOOR_MOD:
    case Op::MAXIMUM:
    case Op::MINIMUM:
    case Op::SQUARED_DIFFERENCE:
      return why_operand(view);
    default:
      return {};
  }
}

}  // namespace

std::vector<std::pair<int32_t, std::string>> wrong_on_gpu(TfLiteContext* context) {
  std::vector<std::pair<int32_t, std::string>> found;
  const Graph graph(context);
  for (const auto& [index, view] : graph.nodes()) {
    std::string reason = why_wrong(view);
    if (!reason.empty()) found.emplace_back(index, std::move(reason));
  }
  return found;
}

}  // namespace litedelegates
