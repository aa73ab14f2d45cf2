#include <algorithm>
#include <string>
#include <vector>

#include "check_tensors.h"
#include "schema.h"
#include "sparsity.h"
#include "verify.h"

namespace litedelegates::model {
namespace {

[[noreturn]] void fail(const std::string& message) {
  throw InvalidModel("is sparse, but its parameters do not fit: " + message);
}

// The first `rank` entries order the dimensions of the shape, the others the dimensions inside a block.
void check_traversal(const Vector<std::int32_t>& order, std::size_t rank) {
  std::vector<bool> seen(order.size());
  for (std::size_t i = 0; i < order.size(); ++i) {
    const std::int64_t dimension = order[i];
    const bool inside = i < rank ? dimension >= 0 && dimension < static_cast<std::int64_t>(rank)
                                 : dimension >= static_cast<std::int64_t>(rank) &&
                                       dimension < static_cast<std::int64_t>(order.size());
    if (!inside || seen[static_cast<std::size_t>(dimension)]) fail("the traversal order is no permutation");
    seen[static_cast<std::size_t>(dimension)] = true;
  }
}

// Follows one compressed dimension and returns how many elements it holds.
std::int64_t walk_compressed(const Table& metadata, std::int64_t parents, std::int64_t size) {
  const SparseIndices segments(metadata, slot::dim_metadata::array_segments, "the segments");
  const SparseIndices indices(metadata, slot::dim_metadata::array_indices, "the indices");
  if (segments.size() != static_cast<std::size_t>(parents) + 1 || segments[0] != 0) {
    fail("a dimension has " + std::to_string(segments.size()) + " segment bounds for " +
         std::to_string(parents) + " segments");
  }
  for (std::size_t i = 1; i < segments.size(); ++i) {
    if (segments[i] < segments[i - 1]) fail("segment " + std::to_string(i) + " ends before it starts");
  }
  if (segments[segments.size() - 1] != static_cast<std::int64_t>(indices.size())) {
    fail("the segments end at " + std::to_string(segments[segments.size() - 1]) + " of " +
         std::to_string(indices.size()) + " indices");
  }
  for (std::size_t i = 0; i < indices.size(); ++i) {
    if (indices[i] < 0 || indices[i] >= size) {
      fail("index " + std::to_string(indices[i]) + " lies outside a dimension of size " +
           std::to_string(size));
    }
  }
  return static_cast<std::int64_t>(indices.size());
}

}  // namespace

std::int64_t stored_element_count(const Tensor& tensor, const Table& sparsity) {
  const auto order = sparsity.vector<std::int32_t>(slot::sparsity::traversal_order, "the traversal order");
  const auto block_map = sparsity.vector<std::int32_t>(slot::sparsity::block_map, "the block map");
  const TableVector metadata = sparsity.tables(slot::sparsity::dim_metadata, "the dimensions");
  const std::size_t rank = tensor.shape.size();
  if (order.size() < rank || order.size() > 2 * rank || rank == 0 || metadata.size() != order.size() ||
      block_map.size() != order.size() - rank) {
    fail("the shape has " + std::to_string(rank) + " dimensions, the traversal order " +
         std::to_string(order.size()) + ", the block map " + std::to_string(block_map.size()) +
         " and the metadata " + std::to_string(metadata.size()));
  }
  check_traversal(order, rank);

  // Sizes by dimension: blocks divide the dimension that they belong to.
  std::vector<std::int64_t> sizes(tensor.shape.begin(), tensor.shape.end());
  sizes.resize(order.size());
  for (std::size_t i = 0; i < block_map.size(); ++i) {
    const std::int64_t block =
        metadata[rank + i].scalar<std::int32_t>(slot::dim_metadata::dense_size, 0, "the size");
    const std::int64_t owner = block_map[i];
    if (owner < 0 || owner >= static_cast<std::int64_t>(rank)) {
      fail("the block map names dimension " + std::to_string(owner));
    }
    std::int64_t& divided = sizes[static_cast<std::size_t>(owner)];
    if (block <= 0 || divided % block != 0) {
      fail("blocks of " + std::to_string(block) + " do not divide dimension " + std::to_string(owner));
    }
    divided /= block;
    sizes[static_cast<std::size_t>(order[rank + i])] = block;
  }

  std::int64_t count = 1;
  for (std::size_t i = 0; i < order.size(); ++i) {
    const Table dimension = metadata[i];
    const std::int64_t size = sizes[static_cast<std::size_t>(order[i])];
    const auto format = dimension.scalar<std::int8_t>(slot::dim_metadata::format, 0, "the format");
    if (format == 1) {
      count = walk_compressed(dimension, count, size);
    } else if (format != 0 ||
               dimension.scalar<std::int32_t>(slot::dim_metadata::dense_size, 0, "the size") != size) {
      fail("dimension " + std::to_string(i) + " has another size or an unknown format");
    } else {
      count *= size;
    }
    if (count > INT32_MAX) fail("it stores more than 2^31 - 1 elements");
  }
  return count;
}

}  // namespace litedelegates::model
