#include "check_tensors.h"

#include <cmath>
#include <limits>
#include <string>

#include "schema.h"
#include "verify.h"

namespace litedelegates::model {
namespace {

// Writers store 1 for a size that is only known at run time; the runtime allocates what is stored.
constexpr std::int32_t kMostPlaceholder = 1 << 16;

std::string text(const std::vector<std::int32_t>& shape) {
  std::string result = "[";
  for (const std::int32_t size : shape) result += (result.size() > 1 ? ", " : "") + std::to_string(size);
  return result + "]";
}

void check_rank(const std::vector<std::int32_t>& shape) {
  if (shape.size() > kMaxRank) {
    throw InvalidModel("has " + std::to_string(shape.size()) + " dimensions; the runtime supports up to " +
                       std::to_string(kMaxRank));
  }
}

void check_signature(const Tensor& tensor) {
  const auto& signature = tensor.shape_signature;
  check_rank(signature);
  if (signature.empty()) return;
  bool fits = signature.size() == tensor.shape.size();
  for (std::size_t i = 0; fits && i < signature.size(); ++i) {
    fits = signature[i] >= 0 || (signature[i] == -1 && tensor.shape[i] <= kMostPlaceholder);
  }
  if (!fits) {
    throw InvalidModel("has the shape " + text(tensor.shape) +
                       ", which does not go with its shape signature " + text(signature));
  }
}

// A string tensor is {count, count + 1 offsets from its start, the characters}, all offsets 32 bits.
void check_strings(std::span<const std::uint8_t> data, std::int64_t elements) {
  const auto word = [&](std::size_t index) {
    std::uint32_t value;
    std::memcpy(&value, data.data() + index * sizeof value, sizeof value);
    return value;
  };
  if (data.empty() && elements == 0) return;
  if (data.size() < 2 * sizeof(std::uint32_t)) throw InvalidModel("holds strings, but its data is too short");
  const std::uint64_t count = word(0);
  const std::uint64_t header = (count + 2) * sizeof(std::uint32_t);
  if (count != static_cast<std::uint64_t>(elements) || header > data.size()) {
    throw InvalidModel("has the shape of " + std::to_string(elements) + " strings, but its data says " +
                       std::to_string(count));
  }
  std::uint64_t previous = header;
  for (std::size_t i = 0; i <= count; ++i) {
    const std::uint64_t offset = word(1 + i);
    if (offset < previous || offset > data.size()) {
      throw InvalidModel("holds strings, and string " + std::to_string(i) + " lies outside its data");
    }
    previous = offset;
  }
}

void check_data(const Tensor& tensor, const Table& sparsity) {
  if (tensor.is_variable) throw InvalidModel("is a variable and yet has constant data");
  if (tensor.external_buffer != 0)
    throw InvalidModel("has its data both in the file and in an external buffer");
  const std::int64_t elements =
      tensor.is_sparse ? stored_element_count(tensor, sparsity) : element_count(tensor.shape);
  if (tensor.type == static_cast<int>(Type::STRING)) return check_strings(tensor.data, elements);

  const std::size_t bits = type_bits(tensor.type);
  if (bits == 0) return;
  const std::uint64_t bytes = (static_cast<std::uint64_t>(elements) * bits + 7) / 8;
  if (bytes != tensor.data.size()) {
    throw InvalidModel("needs " + std::to_string(bytes) + " bytes for its shape " + text(tensor.shape) +
                       " of " + type_name(tensor.type) + ", but its buffer " + std::to_string(tensor.buffer) +
                       " has " + std::to_string(tensor.data.size()));
  }
}

void check_scales_tensor(std::int32_t index, const Subgraph& subgraph, bool optional) {
  if (optional && index == kAbsent) return;
  if (index < 0 || static_cast<std::size_t>(index) >= subgraph.tensors.size()) {
    throw InvalidModel("takes its quantization from tensor " + std::to_string(index) +
                       ", but the subgraph has " + std::to_string(subgraph.tensors.size()) + " tensors");
  }
}

void check_blockwise(const Tensor& tensor, const Subgraph& subgraph) {
  const Quantization& quantization = tensor.quantization;
  check_scales_tensor(quantization.scales_tensor, subgraph, false);
  check_scales_tensor(quantization.zero_points_tensor, subgraph, true);
  if (quantization.block_size < 0) {
    throw InvalidModel("has the quantization block size " + std::to_string(quantization.block_size));
  }
}

// The values that a quantized type can hold; a zero point outside them leads the runtime outside its tables.
struct Range {
  std::int64_t least, most;
};

Range range_of(int type) {
  switch (static_cast<Type>(type)) {
    case Type::UINT8:
      return {0, 255};
    case Type::INT8:
      return {-128, 127};
    case Type::UINT4:
      return {0, 15};
    case Type::INT4:
      return {-8, 7};
    case Type::INT2:
      return {-2, 1};
    default:
      return {-32768, 32767};
  }
}

void check_zero_points(const Tensor& tensor) {
  const Range range = range_of(tensor.type);
  for (const std::int64_t zero_point : tensor.quantization.zero_points) {
    if (zero_point < range.least || zero_point > range.most) {
      throw InvalidModel("has the zero point " + std::to_string(zero_point) + ", which " +
                         type_name(tensor.type) + " cannot hold");
    }
  }
}

// A scale of any size is a number that kernels compute with; which sizes a kernel cannot take is its own
// affair (check_scales.cc). Converters write scales as small as 1e-43 for activations that are always zero,
// and constants have zero for a dead channel.
void check_scale_values(const Tensor& tensor) {
  for (const float scale : tensor.quantization.scales) {
    if (!std::isfinite(scale) || scale < 0 || (scale == 0 && !tensor.has_data)) {
      throw InvalidModel("has the quantization scale " + std::to_string(scale));
    }
  }
}

void check_quantization(const Tensor& tensor, const Subgraph& subgraph) {
  const Quantization& quantization = tensor.quantization;
  if (quantization.is_blockwise) return check_blockwise(tensor, subgraph);
  const std::size_t scales = quantization.scales.size();
  if (quantization.zero_points.size() != scales) {
    throw InvalidModel("has " + std::to_string(scales) + " quantization scales, but " +
                       std::to_string(quantization.zero_points.size()) + " zero points");
  }
  if (scales == 0) return;
  const std::int32_t dimension = quantization.quantized_dimension;
  if (!tensor.shape.empty()) {
    if (dimension < 0 || static_cast<std::size_t>(dimension) >= tensor.shape.size()) {
      throw InvalidModel("is quantized along dimension " + std::to_string(dimension) + ", but its shape is " +
                         text(tensor.shape));
    }
    const std::int32_t size = tensor.shape[static_cast<std::size_t>(dimension)];
    if (scales != 1 && scales != static_cast<std::size_t>(size)) {
      throw InvalidModel("has " + std::to_string(scales) + " quantization scales for " +
                         std::to_string(size) + " channels (dimension " + std::to_string(dimension) + " of " +
                         text(tensor.shape) + ")");
    }
  }
  if (is_quantized_type(tensor.type)) {
    check_scale_values(tensor);
    check_zero_points(tensor);
  }
}

}  // namespace

std::int64_t element_count(const std::vector<std::int32_t>& shape) {
  constexpr std::int64_t kMost = std::numeric_limits<std::int32_t>::max();
  std::int64_t count = 1;
  std::int64_t without_zeros = 1;  // the runtime multiplies partial shapes too
  for (const std::int32_t size : shape) {
    if (size < 0) throw InvalidModel("has the shape " + text(shape) + " with a negative size");
    count *= size;
    without_zeros *= size == 0 ? 1 : size;
    if (without_zeros > kMost)
      throw InvalidModel("has the shape " + text(shape) + " of more than 2^31 - 1 elements");
  }
  return count;
}

void check_tensor(const Tensor& tensor, const Subgraph& subgraph, const Table& sparsity) {
  check_rank(tensor.shape);
  check_signature(tensor);
  static_cast<void>(element_count(tensor.shape));
  check_quantization(tensor, subgraph);
  if (tensor.has_data) check_data(tensor, sparsity);
}

}  // namespace litedelegates::model
