#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "description.h"
#include "flatbuffer.h"
#include "parse.h"

namespace litedelegates::model {

// Shape, data size and quantization of one tensor, each against the others.
void check_tensor(const Tensor& tensor, const Subgraph& subgraph, const Table& sparsity);

// Number of elements of a shape; refuses negative sizes and more than 2^31 - 1 elements.
[[nodiscard]] std::int64_t element_count(const std::vector<std::int32_t>& shape);

// Elements that a sparse constant stores. Refuses parameters that would lead the runtime outside its arrays.
[[nodiscard]] std::int64_t stored_element_count(const Tensor& tensor, const Table& sparsity);

// Refuses a sparse constant where a kernel would read past its end, as if every element were stored.
void check_sparse_reads(const Subgraph& subgraph, std::size_t index);

}  // namespace litedelegates::model
