// The parameters by which a sparse tensor stores its elements.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "flatbuffer.h"
#include "schema.h"

namespace litedelegates::model {

// One of the three widths in which a sparse dimension stores its segments or indices.
class SparseIndices {
 public:
  SparseIndices(const Table& metadata, int slot, const char* what);

  std::size_t size() const { return wide_.size() + medium_.size() + narrow_.size(); }

  std::int64_t operator[](std::size_t index) const {
    if (type_ == IndexVector::int32) return wide_[index];
    return type_ == IndexVector::uint16 ? medium_[index] : narrow_[index];
  }

 private:
  IndexVector type_ = IndexVector::none;
  Vector<std::int32_t> wide_;
  Vector<std::uint16_t> medium_;
  Vector<std::uint8_t> narrow_;
};

struct SparseDimension {
  std::int32_t format = 0;      // 0: every element is stored; 1: those that the segments and indices name
  std::int32_t dense_size = 0;  // of format 0
  std::vector<std::int32_t> segments, indices;  // of format 1
};

struct Sparsity {
  std::vector<std::int32_t> traversal_order, block_map;
  std::vector<SparseDimension> dimensions;
};

// The sparsity of a sparse tensor, read from a file that was verified.
[[nodiscard]] Sparsity read_sparsity(std::span<const std::uint8_t> bytes, std::size_t subgraph,
                                     std::size_t tensor);

}  // namespace litedelegates::model
