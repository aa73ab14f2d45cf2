#include "sparsity.h"

#include <string>

#include "verify.h"

namespace litedelegates::model {
namespace {

std::vector<std::int32_t> copy(const SparseIndices& indices) {
  std::vector<std::int32_t> values(indices.size());
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<std::int32_t>(indices[i]);
  return values;
}

SparseDimension read_dimension(const Table& table) {
  using namespace slot::dim_metadata;
  SparseDimension dimension;
  dimension.format = table.scalar<std::int8_t>(format, 0, "the format");
  if (dimension.format == 0) {
    dimension.dense_size = table.scalar<std::int32_t>(dense_size, 0, "the size");
  } else {
    dimension.segments = copy(SparseIndices(table, array_segments, "the segments"));
    dimension.indices = copy(SparseIndices(table, array_indices, "the indices"));
  }
  return dimension;
}

}  // namespace

SparseIndices::SparseIndices(const Table& metadata, int slot, const char* what) {
  const auto type = metadata.scalar<std::uint8_t>(slot, 0, what);
  const Table table = metadata.table(slot + 1, what);
  type_ = static_cast<IndexVector>(type);
  switch (type_) {
    case IndexVector::int32:
      wide_ = table.vector<std::int32_t>(0, what);
      break;
    case IndexVector::uint16:
      medium_ = table.vector<std::uint16_t>(0, what);
      break;
    case IndexVector::uint8:
      narrow_ = table.vector<std::uint8_t>(0, what);
      break;
    default:
      break;
  }
  if (!wide_.present() && !medium_.present() && !narrow_.present()) {
    throw InvalidModel(std::string("is sparse, but ") + what + " of a dimension are missing");
  }
}

Sparsity read_sparsity(std::span<const std::uint8_t> bytes, std::size_t subgraph, std::size_t tensor) {
  const File file(bytes);
  const Table root(file, file.follow(0, "the model"), "the model");
  const Table table = root.tables(slot::model::subgraphs, "the subgraphs")[subgraph].tables(
      slot::subgraph::tensors, "the tensors")[tensor];
  const Table stored = table.table(slot::tensor::sparsity, "the sparsity");
  Sparsity sparsity;
  sparsity.traversal_order =
      stored.vector<std::int32_t>(slot::sparsity::traversal_order, "the traversal order").copy();
  sparsity.block_map = stored.vector<std::int32_t>(slot::sparsity::block_map, "the block map").copy();
  const TableVector dimensions = stored.tables(slot::sparsity::dim_metadata, "the dimensions");
  for (std::size_t i = 0; i < dimensions.size(); ++i) {
    sparsity.dimensions.push_back(read_dimension(dimensions[i]));
  }
  return sparsity;
}

}  // namespace litedelegates::model
