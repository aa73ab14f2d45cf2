#include "delegates/operand_checks.h"

#include <algorithm>
#include <array>
#include <cstdarg>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <span>

#include "model/operators.h"

namespace litedelegates {
namespace {

using model::Op;

// Tensor types as kernels see them; the numbers are not those of the schema.
constexpr int32_t kTfLiteInt32 = 2, kTfLiteUInt8 = 3, kTfLiteInt64 = 4, kTfLiteInt8 = 9;

// Kernels count elements in 32 bits.
constexpr int64_t kMostElements = INT32_MAX;

// One op with its inputs, as the checks look at it.
class Operands {
 public:
  Operands(TfLiteContext& context, const TfLiteNode& node, const char* op, bool is_invoked)
      : context_(context), node_(node), op_(op), is_invoked_(is_invoked) {}

  [[nodiscard]] int input_count() const { return node_.inputs == nullptr ? 0 : node_.inputs->size; }

  // An input; null when it is absent.
  [[nodiscard]] const TfLiteTensor* input(int position) const {
    if (position >= input_count()) return nullptr;
    const int32_t index = node_.inputs->data[position];
    const bool exists = index >= 0 && static_cast<size_t>(index) < context_.tensors_size;
    return exists ? &context_.tensors[index] : nullptr;
  }

  [[nodiscard]] const TfLiteTensor* output(int position) const {
    return &context_.tensors[node_.outputs->data[position]];
  }

  [[nodiscard]] std::span<const int32_t> shape(int position) const { return dims(*input(position)); }

  // Whether an input has its values already: all have when the op is invoked.
  [[nodiscard]] bool is_known(int position) const {
    const TfLiteTensor* tensor = input(position);
    return tensor != nullptr && (is_invoked_ || tensor->allocation_type == kTfLiteAllocationMmapRo ||
                                 tensor->allocation_type == kTfLiteAllocationPersistentRo);
  }

  // Whether the values of an input can be read as whole numbers.
  [[nodiscard]] bool is_readable(int position) const {
    const TfLiteTensor* tensor = input(position);
    return is_known(position) && tensor->data != nullptr && tensor->dims != nullptr &&
           (tensor->type == kTfLiteInt32 || tensor->type == kTfLiteInt64);
  }

  [[nodiscard]] int64_t count(int position) const {
    const TfLiteTensor& tensor = *input(position);
    return static_cast<int64_t>(tensor.bytes / (tensor.type == kTfLiteInt32 ? 4 : 8));
  }

  [[nodiscard]] int64_t value(int position, int64_t at) const {
    const TfLiteTensor& tensor = *input(position);
    if (tensor.type == kTfLiteInt32) return static_cast<const int32_t*>(tensor.data)[at];
    return static_cast<const int64_t*>(tensor.data)[at];
  }

  template <class Options>
  [[nodiscard]] const Options* options() const {
    return static_cast<const Options*>(node_.builtin_data);
  }

  // Report what is wrong with an input; returns false.
  [[gnu::format(printf, 3, 4)]] bool refuse(int position, const char* format, ...) const {
    char reason[256];
    va_list arguments;
    va_start(arguments, format);
    std::vsnprintf(reason, sizeof(reason), format, arguments);
    va_end(arguments);
    const TfLiteTensor* tensor = input(position);
    const char* name = tensor == nullptr || tensor->name == nullptr ? "" : tensor->name;
    context_.ReportError(&context_, "%s: input %d (tensor %d, \"%.200s\") %s\n", op_, position,
                         tensor == nullptr ? -1 : node_.inputs->data[position], name, reason);
    return false;
  }

  static std::span<const int32_t> dims(const TfLiteTensor& tensor) {
    if (tensor.dims == nullptr) return {};
    return {tensor.dims->data, static_cast<size_t>(tensor.dims->size)};
  }

 private:
  TfLiteContext& context_;
  const TfLiteNode& node_;
  const char* op_;
  bool is_invoked_;
};

// "[2, 3]", cut where it is longer than any shape that a model has.
struct ShapeText {
  explicit ShapeText(std::span<const int32_t> shape) {
    size_t at = 0;
    const auto add = [&](const char* separator, int32_t size) {
      const int written = std::snprintf(text + at, sizeof(text) - at, "%s%d", separator, size);
      at = std::min(at + static_cast<size_t>(written), sizeof(text) - 2);
    };
    text[at++] = '[';
    for (size_t i = 0; i < shape.size() && i < 10; ++i) add(i == 0 ? "" : ", ", shape[i]);
    text[at++] = ']';
    text[at] = 0;
  }
  char text[128];
};

bool is_same_shape(std::span<const int32_t> a, std::span<const int32_t> b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end());
}

// Whether so many bytes can be had. A kernel that does not ask whether its output got memory writes through
// null.
bool is_memory_for(int64_t bytes) {
  void* probe = std::malloc(static_cast<size_t>(bytes));
  std::free(probe);
  return probe != nullptr;
}

// Two shapes, aligned at their ends: sizes are equal or one of them is 1. The kernel ends the process
// otherwise.
bool check_broadcast_args(const Operands& op) {
  if (!op.is_readable(0) || !op.is_readable(1)) return true;
  const int64_t first = op.count(0), second = op.count(1);
  for (int64_t i = 1; i <= std::min(first, second); ++i) {
    const int64_t a = op.value(0, first - i), b = op.value(1, second - i);
    if (a != b && a != 1 && b != 1) {
      return op.refuse(1,
                       "holds %lld where the other shape holds %lld: they do not broadcast, sizes must be "
                       "equal or 1",
                       static_cast<long long>(b), static_cast<long long>(a));
    }
  }
  return true;
}

// The sizes of an output of random numbers.
bool check_random(const Operands& op) {
  if (!op.is_readable(0)) return true;
  int64_t elements = 1;
  for (int64_t i = 0; i < op.count(0); ++i) {
    const int64_t size = op.value(0, i);
    if (size < 0 || size > kMostElements) {
      return op.refuse(0, "holds the size %lld, outside 0 to %lld", static_cast<long long>(size),
                       static_cast<long long>(kMostElements));
    }
    elements *= size;
    if (elements > kMostElements) {
      return op.refuse(0, "asks for more than %lld elements", static_cast<long long>(kMostElements));
    }
  }
  const int64_t bytes = elements * static_cast<int64_t>(sizeof(float));
  if (is_memory_for(bytes)) return true;
  return op.refuse(0, "asks for %lld bytes, more than there is memory", static_cast<long long>(bytes));
}

struct ReverseSequenceOptions {
  int32_t sequence_dimension, batch_dimension;
};

// The kernel looks at the first length only, and takes negative ones.
bool check_reverse_sequence(const Operands& op) {
  const auto* options = op.options<ReverseSequenceOptions>();
  if (options == nullptr || op.input(0) == nullptr || !op.is_readable(1)) return true;
  const auto shape = op.shape(0);
  const auto rank = static_cast<int32_t>(shape.size());
  const int32_t sequence = options->sequence_dimension, batch = options->batch_dimension;
  if (sequence < 0 || sequence >= rank || batch < 0 || batch >= rank) return true;  // the kernel says so
  const int32_t most = shape[static_cast<size_t>(sequence)], batches = shape[static_cast<size_t>(batch)];
  if (op.count(1) != batches) {
    return op.refuse(1, "holds %lld lengths for %d sequences", static_cast<long long>(op.count(1)), batches);
  }
  for (int64_t i = 0; i < batches; ++i) {
    if (op.value(1, i) < 0 || op.value(1, i) > most) {
      return op.refuse(1, "holds the length %lld, outside 0 to %d", static_cast<long long>(op.value(1, i)),
                       most);
    }
  }
  return true;
}

// Height and width of the output.
bool check_resize(const Operands& op) {
  if (op.input(0) == nullptr || !op.is_readable(1) || op.count(1) != 2) return true;
  const auto shape = op.shape(0);
  if (shape.size() != 4) return true;  // the kernel says so
  const int64_t height = op.value(1, 0), width = op.value(1, 1);
  const int32_t type = op.input(0)->type;
  // Kernels of 8 bits divide by these; the others make an output of no elements.
  const int64_t least = type == kTfLiteInt8 || type == kTfLiteUInt8 ? 1 : 0;
  for (const int64_t size : {height, width}) {
    if (size < least || size > kMostElements) {
      return op.refuse(1, "holds the size %lld, outside %lld to %lld", static_cast<long long>(size),
                       static_cast<long long>(least), static_cast<long long>(kMostElements));
    }
  }
  const int64_t other = int64_t{shape[0]} * shape[3];
  if (other > 0 && height * width > 0 && (shape[1] == 0 || shape[2] == 0)) {
    return op.refuse(0, "has the shape %s: there is nothing to resize", ShapeText(shape).text);
  }
  if (height * width > 0 && other > kMostElements / (height * width)) {
    return op.refuse(1, "asks for %lld x %lld, an output of more than %lld elements",
                     static_cast<long long>(height), static_cast<long long>(width),
                     static_cast<long long>(kMostElements));
  }
  return true;
}

// The kernel looks at the first factor only, and computes sizes in 32 bits.
bool check_dilate(const Operands& op) {
  if (op.input(0) == nullptr || !op.is_readable(1) || op.input(2) == nullptr) return true;
  if (op.input(2)->bytes == 0) return op.refuse(2, "is empty, and one padding value is needed");
  const auto shape = op.shape(0);
  if (op.count(1) != static_cast<int64_t>(shape.size())) return true;  // the kernel says so
  int64_t elements = 1;
  for (size_t i = 0; i < shape.size(); ++i) {
    const int64_t factor = op.value(1, static_cast<int64_t>(i));
    if (shape[i] < 1) return op.refuse(0, "has the shape %s, which cannot be dilated", ShapeText(shape).text);
    if (factor < 1 || factor > kMostElements) {
      return op.refuse(1, "holds the factor %lld, outside 1 to %lld", static_cast<long long>(factor),
                       static_cast<long long>(kMostElements));
    }
    const int64_t size = (int64_t{shape[i]} - 1) * factor + 1;
    if (size > kMostElements / elements) {
      return op.refuse(1, "holds the factor %lld, which makes an output of more than %lld elements",
                       static_cast<long long>(factor), static_cast<long long>(kMostElements));
    }
    elements *= size;
  }
  return true;
}

// The kernel takes the shape of the first input for that of the second.
bool check_shift(const Operands& op) {
  if (op.input(0) == nullptr || op.input(1) == nullptr) return true;
  if (is_same_shape(op.shape(0), op.shape(1))) return true;
  return op.refuse(1, "has the shape %s, and has to have that of input 0, %s", ShapeText(op.shape(1)).text,
                   ShapeText(op.shape(0)).text);
}

// These kernels read the first axis, also where there is none.
bool check_axis(const Operands& op, int position) {
  const TfLiteTensor* axis = op.input(position);
  if (axis == nullptr || axis->bytes > 0) return true;
  return op.refuse(position, "is empty, and an axis is needed");
}

bool check_reverse(const Operands& op) { return check_axis(op, 1); }
bool check_split(const Operands& op) { return check_axis(op, 0); }
bool check_split_v(const Operands& op) { return check_axis(op, 2); }

// Begin and size of each dimension; ai-edge-litert 2.2 reads outside the input.
bool check_slice(const Operands& op) {
  if (!op.is_known(0) || !op.is_readable(1) || !op.is_readable(2)) return true;
  const auto shape = op.shape(0);
  const auto rank = static_cast<int64_t>(shape.size());
  for (const int position : {1, 2}) {
    if (op.count(position) != rank) {
      return op.refuse(position, "holds %lld numbers for %lld dimensions",
                       static_cast<long long>(op.count(position)), static_cast<long long>(rank));
    }
  }
  for (int64_t i = 0; i < rank; ++i) {
    const int64_t whole = shape[static_cast<size_t>(i)], begin = op.value(1, i), size = op.value(2, i);
    if (begin < 0 || begin > whole) {
      return op.refuse(1, "begins at %lld in dimension %lld, outside 0 to %lld",
                       static_cast<long long>(begin), static_cast<long long>(i),
                       static_cast<long long>(whole));
    }
    if (size < -1 || size > whole - begin) {
      return op.refuse(2, "takes %lld of dimension %lld, outside -1 to %lld", static_cast<long long>(size),
                       static_cast<long long>(i), static_cast<long long>(whole - begin));
    }
  }
  return true;
}

// The kernel lets an axis be named twice, and reads outside the input then; a scalar it does not write at
// all.
bool check_transpose(const Operands& op) {
  if (op.input(0) == nullptr) return true;
  const auto rank = static_cast<int64_t>(op.shape(0).size());
  if (rank == 0) return op.refuse(0, "is a scalar, and has no dimensions to transpose");
  if (!op.is_readable(1)) return true;
  if (op.count(1) != rank) {
    return op.refuse(1, "names %lld axes of %lld", static_cast<long long>(op.count(1)),
                     static_cast<long long>(rank));
  }
  uint64_t seen = 0;
  for (int64_t i = 0; i < rank; ++i) {
    const int64_t axis = op.value(1, i) < 0 ? op.value(1, i) + rank : op.value(1, i);
    if (axis < 0 || axis >= std::min<int64_t>(rank, 64)) {
      return op.refuse(1, "names the axis %lld, outside %lld to %lld", static_cast<long long>(op.value(1, i)),
                       static_cast<long long>(-rank), static_cast<long long>(rank - 1));
    }
    if ((seen >> axis & 1U) != 0) {
      return op.refuse(1, "names the axis %lld twice", static_cast<long long>(axis));
    }
    seen |= uint64_t{1} << axis;
  }
  return true;
}

struct StridedSliceOptions {
  int32_t begin_mask, end_mask, ellipsis_mask, new_axis_mask, shrink_axis_mask;
  bool offset;  // the end counts from the beginning
};

// An index that a dimension is reduced to: outside the dimension the kernel leaves its output unwritten.
// Strides are added to positions in 32 bits, without looking, in ai-edge-litert 2.2.
bool check_strided_slice(const Operands& op) {
  const auto* options = op.options<StridedSliceOptions>();
  if (options == nullptr || !op.is_known(0) || !op.is_readable(1)) return true;
  for (const int position : {2, 3}) {
    if (op.input(position) == nullptr) return true;  // the kernel says so
    if (op.shape(position).size() != 1 || op.shape(position)[0] != op.count(1)) {
      return op.refuse(position, "has the shape %s, and there are %lld begins",
                       ShapeText(op.shape(position)).text, static_cast<long long>(op.count(1)));
    }
  }
  if (!op.is_readable(3)) return true;
  if (options->offset && (options->ellipsis_mask != 0 || options->new_axis_mask != 0)) {
    return op.refuse(
        1,
        "counts ends from the beginning beside an ellipsis or a new axis, and the kernel would write "
        "beside its output");
  }
  for (int64_t i = 0; i < std::min<int64_t>(op.count(3), 32); ++i) {
    if ((static_cast<uint32_t>(options->shrink_axis_mask) >> i & 1U) != 0 && op.value(3, i) < 0) {
      return op.refuse(3, "holds the stride %lld for one position, beside which the kernel would read",
                       static_cast<long long>(op.value(3, i)));
    }
  }
  // An ellipsis or new axes shift the dimensions; such models are rare, and the kernel clamps.
  if (options->ellipsis_mask != 0 || options->new_axis_mask != 0) return true;
  const auto shape = op.shape(0);
  const auto rank = static_cast<int64_t>(shape.size());
  for (int64_t i = 0; i < std::min({rank, op.count(1), op.count(3)}); ++i) {
    const int64_t size = shape[static_cast<size_t>(i)], begin = op.value(1, i), stride = op.value(3, i);
    const auto has_bit = [&](int32_t mask) { return (static_cast<uint32_t>(mask) >> i & 1U) != 0; };
    if (stride > kMostElements - size || stride < size - kMostElements) {
      return op.refuse(3, "holds the stride %lld, too large for a dimension of %lld",
                       static_cast<long long>(stride), static_cast<long long>(size));
    }
    if (!has_bit(options->shrink_axis_mask) || has_bit(options->begin_mask)) continue;
    // At the other end the kernel takes the first or last index.
    if (stride > 0 ? begin >= size : begin < -size) {
      return op.refuse(1, "holds the index %lld of dimension %lld, outside %lld to %lld",
                       static_cast<long long>(begin), static_cast<long long>(i),
                       static_cast<long long>(-size), static_cast<long long>(size - 1));
    }
  }
  return true;
}

constexpr size_t kMostDimensions = 8;

struct StablehloGatherOptions {
  int64_t offset_dims[kMostDimensions];
  int32_t num_offset_dims;
  int64_t collapsed_slice_dims[kMostDimensions];
  int32_t num_collapsed_slice_dims;
  int64_t start_index_map[kMostDimensions];
  int32_t num_start_index_map;
  int64_t index_vector_dim;
  int64_t slice_sizes[kMostDimensions];
  int32_t num_slice_sizes;
};

// That the shape of the indices is the one which the options were written for: the kernel takes it for that.
bool check_index_vectors(const Operands& op, int64_t index_vector_dim, int32_t length, size_t rank) {
  const auto indices = op.shape(1);
  const bool fits = indices.size() == rank && index_vector_dim >= 0 &&
                    index_vector_dim < static_cast<int64_t>(rank) &&
                    indices[static_cast<size_t>(index_vector_dim)] == length;
  if (fits) return true;
  return op.refuse(1, "has the shape %s, and needs %zu dimensions with %d indices along dimension %lld",
                   ShapeText(indices).text, rank, length, static_cast<long long>(index_vector_dim));
}

bool check_stablehlo_gather(const Operands& op) {
  const auto* options = op.options<StablehloGatherOptions>();
  if (options == nullptr || op.input(0) == nullptr || op.input(1) == nullptr) return true;
  const auto shape = op.shape(0);
  const auto rank = static_cast<int32_t>(shape.size());
  if (rank != options->num_slice_sizes ||
      rank != options->num_offset_dims + options->num_collapsed_slice_dims) {
    return op.refuse(0, "has the shape %s, and its slices have %d dimensions", ShapeText(shape).text,
                     options->num_slice_sizes);
  }
  for (size_t i = 0; i < shape.size(); ++i) {
    if (options->slice_sizes[i] > shape[i] || options->slice_sizes[i] < 0) {
      return op.refuse(0, "has the shape %s, and its slices take %lld of dimension %zu",
                       ShapeText(shape).text, static_cast<long long>(options->slice_sizes[i]), i);
    }
  }
  const auto output_rank = Operands::dims(*op.output(0)).size();
  const auto offsets = static_cast<size_t>(options->num_offset_dims);
  if (output_rank < offsets) return true;  // the kernel says so
  return check_index_vectors(op, options->index_vector_dim, options->num_start_index_map,
                             output_rank - offsets + 1);
}

struct StablehloScatterOptions {
  bool indices_are_sorted;
  int64_t update_window_dims[kMostDimensions];
  int32_t num_update_window_dims;
  int64_t inserted_window_dims[kMostDimensions];
  int32_t num_inserted_window_dims;
  int64_t scatter_dims_to_operand_dims[kMostDimensions];
  int32_t num_scatter_dims_to_operand_dims;
  int64_t index_vector_dim;
};

bool check_stablehlo_scatter(const Operands& op) {
  const auto* options = op.options<StablehloScatterOptions>();
  if (options == nullptr || op.input(0) == nullptr || op.input(1) == nullptr || op.input(2) == nullptr) {
    return true;
  }
  const auto shape = op.shape(0), indices = op.shape(1), updates = op.shape(2);
  const auto windows = static_cast<size_t>(options->num_update_window_dims);
  if (shape.size() != windows + static_cast<size_t>(options->num_inserted_window_dims)) {
    return op.refuse(0, "has the shape %s, and its updates are windows of %d dimensions",
                     ShapeText(shape).text, options->num_update_window_dims);
  }
  if (updates.size() < windows) return true;  // the kernel says so
  if (!check_index_vectors(op, options->index_vector_dim, options->num_scatter_dims_to_operand_dims,
                           updates.size() - windows + 1)) {
    return false;
  }
  size_t at = 0;
  for (size_t i = 0; i < updates.size(); ++i) {
    const auto* end = options->update_window_dims + windows;
    if (std::find(options->update_window_dims, end, static_cast<int64_t>(i)) != end) continue;
    if (static_cast<int64_t>(at) == options->index_vector_dim) ++at;
    if (at >= indices.size() || updates[i] != indices[at]) {
      return op.refuse(2, "has the shape %s, which does not fit indices of the shape %s",
                       ShapeText(updates).text, ShapeText(indices).text);
    }
    ++at;
  }
  return true;
}

// The kernel takes the rank of its input for granted.
template <size_t rank>
bool check_rank(const Operands& op) {
  if (op.input(0) == nullptr || op.shape(0).size() == rank) return true;
  return op.refuse(0, "has the shape %s, and needs %zu dimensions", ShapeText(op.shape(0)).text, rank);
}

// Its kernel copies shapes into arrays of this size.
constexpr size_t kMostXnnpackDimensions = 6;

bool check_xnnpack(const Operands& op) {
  for (int i = 0; i < op.input_count(); ++i) {
    if (op.input(i) == nullptr || op.shape(i).size() <= kMostXnnpackDimensions) continue;
    return op.refuse(i, "has %zu dimensions, and XNNPACK takes at most %zu", op.shape(i).size(),
                     kMostXnnpackDimensions);
  }
  return true;
}

struct NamedCheck {
  Op op;
  OperandCheck check;
};

// clang-format off: one line an op.
#define CHECK(is_before_prepare, is_before_invoke, name, function) \
  {Op::name, {#name, is_before_prepare, is_before_invoke, \
              [](TfLiteContext& context, const TfLiteNode& node, bool is_invoked) { \
                return function(Operands(context, node, #name, is_invoked)); \
              }}}
#define BEFORE_PREPARE(name, function) CHECK(true, false, name, function)
#define BEFORE_INVOKE(name, function) CHECK(false, true, name, function)
#define BEFORE_BOTH(name, function) CHECK(true, true, name, function)
constexpr NamedCheck kChecks[] = {
    BEFORE_PREPARE(LSTM, check_rank<2>),
    BEFORE_PREPARE(RNN, check_rank<2>),
    BEFORE_PREPARE(SVDF, check_rank<2>),
    BEFORE_PREPARE(UNIDIRECTIONAL_SEQUENCE_LSTM, check_rank<3>),
    BEFORE_PREPARE(UNIDIRECTIONAL_SEQUENCE_RNN, check_rank<3>),
    BEFORE_PREPARE(BIDIRECTIONAL_SEQUENCE_LSTM, check_rank<3>),
    BEFORE_PREPARE(BIDIRECTIONAL_SEQUENCE_RNN, check_rank<3>),
    BEFORE_BOTH(BROADCAST_ARGS, check_broadcast_args),
    BEFORE_INVOKE(RANDOM_UNIFORM, check_random),
    BEFORE_INVOKE(RANDOM_STANDARD_NORMAL, check_random),
    BEFORE_INVOKE(REVERSE_SEQUENCE, check_reverse_sequence),
    BEFORE_INVOKE(REVERSE_V2, check_reverse),
    BEFORE_INVOKE(RESIZE_BILINEAR, check_resize),
    BEFORE_INVOKE(RESIZE_NEAREST_NEIGHBOR, check_resize),
    BEFORE_INVOKE(DILATE, check_dilate),
    BEFORE_BOTH(SLICE, check_slice),
    BEFORE_INVOKE(TRANSPOSE, check_transpose),
    BEFORE_INVOKE(SPLIT, check_split),
    BEFORE_INVOKE(SPLIT_V, check_split_v),
    BEFORE_BOTH(STRIDED_SLICE, check_strided_slice),
    BEFORE_INVOKE(STABLEHLO_SHIFT_LEFT, check_shift),
    BEFORE_BOTH(STABLEHLO_GATHER, check_stablehlo_gather),
    BEFORE_BOTH(STABLEHLO_SCATTER, check_stablehlo_scatter),
};
// clang-format on
#undef CHECK
#undef BEFORE_INVOKE
#undef BEFORE_PREPARE
#undef BEFORE_BOTH

constexpr OperandCheck kXnnpackCheck = {
    "XNNPACK", true, false, [](TfLiteContext& context, const TfLiteNode& node, bool is_invoked) {
      return check_xnnpack(Operands(context, node, "XNNPACK", is_invoked));
    }};

}  // namespace

const OperandCheck* find_operand_check(int32_t builtin_code) {
  for (const NamedCheck& named : kChecks) {
    if (static_cast<int32_t>(named.op) == builtin_code) return &named.check;
  }
  return nullptr;
}

const OperandCheck* find_operand_check(const TfLiteRegistration& kernel) {
  if (kernel.builtin_code == kTfLiteBuiltinDelegate) {
    const bool is_xnnpack =
        kernel.custom_name != nullptr && std::strcmp(kernel.custom_name, "TfLiteXNNPackDelegate") == 0;
    return is_xnnpack ? &kXnnpackCheck : nullptr;
  }
  return find_operand_check(kernel.builtin_code);
}

}  // namespace litedelegates
