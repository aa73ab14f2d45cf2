#include "header_writer.h"

#include <algorithm>
#include <cstring>

namespace litedelegates::model {

HeaderWriter::HeaderWriter(const char* identifier) : bytes_(8) {
  for (std::size_t i = 0; i < 4; ++i) bytes_[4 + i] = static_cast<std::uint8_t>(identifier[i]);
}

void HeaderWriter::align(std::size_t alignment, std::size_t offset) {
  while ((bytes_.size() + offset) % alignment != 0) bytes_.push_back(0);
}

template <class T>
void HeaderWriter::put(T value) {
  bytes_.resize(bytes_.size() + sizeof(T));
  set(bytes_.size() - sizeof(T), value);
}

template <class T>
void HeaderWriter::set(std::size_t position, T value) {
  std::memcpy(bytes_.data() + position, &value, sizeof(T));
}

HeaderWriter::Table HeaderWriter::table(std::span<const Field> fields) {
  int slots = 0;
  for (const Field& field : fields) slots = std::max(slots, field.slot + 1);
  // The list of fields first, then the table, which begins with the way back to it.
  align(2);
  const std::size_t list = bytes_.size();
  bytes_.resize(list + 4 + 2 * static_cast<std::size_t>(slots));
  align(8);
  Table table{bytes_.size(), {}};
  put(static_cast<std::int32_t>(table.position - list));
  for (const Field& field : fields) {
    align(field.width);
    table.fields.push_back(bytes_.size());
    set(list + 4 + 2 * static_cast<std::size_t>(field.slot),
        static_cast<std::uint16_t>(bytes_.size() - table.position));
    bytes_.resize(bytes_.size() + field.width);
    std::memcpy(bytes_.data() + table.fields.back(), &field.value, field.width);
  }
  set(list, static_cast<std::uint16_t>(4 + 2 * slots));
  set(list + 2, static_cast<std::uint16_t>(bytes_.size() - table.position));
  return table;
}

std::size_t HeaderWriter::offsets(std::size_t count) {
  align(4);
  const std::size_t position = bytes_.size();
  put(static_cast<std::uint32_t>(count));
  bytes_.resize(bytes_.size() + 4 * count);
  return position;
}

std::size_t HeaderWriter::integers(std::span<const std::int32_t> values) {
  align(4);
  const std::size_t position = bytes_.size();
  put(static_cast<std::uint32_t>(values.size()));
  for (const std::int32_t value : values) put(value);
  return position;
}

std::size_t HeaderWriter::blob(std::span<const std::uint8_t> bytes) {
  align(16, 4);
  const std::size_t position = bytes_.size();
  put(static_cast<std::uint32_t>(bytes.size()));
  bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
  return position;
}

void HeaderWriter::point(std::size_t from, std::size_t to) {
  set(from, static_cast<std::uint32_t>(to - from));
}

std::vector<std::uint8_t> HeaderWriter::finish(std::size_t page) && {
  align(page);
  for (const auto& [from, position] : into_file_) {
    set(from, static_cast<std::uint32_t>(bytes_.size() + position - from));
  }
  for (const std::size_t from : shifted_) {
    std::uint64_t value = 0;
    std::memcpy(&value, bytes_.data() + from, sizeof value);
    set(from, value + bytes_.size());
  }
  return std::move(bytes_);
}

}  // namespace litedelegates::model
