#pragma once

#include <span>
#include <vector>

#include "description.h"
#include "flatbuffer.h"

namespace litedelegates::model {

struct Buffer {
  bool has_data = false;
  std::span<const std::uint8_t> data;
};

// A part of the file that is named by its position and not by a flatbuffer offset.
[[nodiscard]] std::span<const std::uint8_t> outside_range(const File& file, std::uint64_t offset,
                                                          std::uint64_t size, const char* what);
[[nodiscard]] Buffer parse_buffer(const File& file, const Table& table);
[[nodiscard]] Tensor parse_tensor(const Table& table, const std::vector<Buffer>& buffers);
void require_buffer(std::uint32_t index, const std::vector<Buffer>& buffers);

}  // namespace litedelegates::model
