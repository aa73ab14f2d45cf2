#include "flatbuffer.h"

#include <limits>

#include "verify.h"

namespace litedelegates::model {
namespace {

// Files whose weights follow the flatbuffer may be larger, but offsets inside it are 31 bits wide.
constexpr std::size_t kMaxOffset = std::numeric_limits<std::int32_t>::max();

// Room for small files, where sharing strings and shapes is common.
constexpr std::size_t kExtraBudget = 1 << 20;

}  // namespace

File::File(std::span<const std::uint8_t> bytes) : bytes_(bytes), budget_(bytes.size() + kExtraBudget) {}

void File::fail_outside(std::size_t position, std::size_t size, const char* what) const {
  throw InvalidModel(std::string(what) + " lies outside the file (" + std::to_string(size) + " bytes at " +
                     std::to_string(position) + ", the file has " + std::to_string(bytes_.size()) +
                     "): the file is truncated or corrupt");
}

std::size_t File::follow(std::size_t position, const char* what) const {
  const auto offset = read<std::uint32_t>(position, what);
  if (offset == 0 || offset > kMaxOffset) {
    throw InvalidModel(std::string(what) + " has the impossible offset " + std::to_string(offset) +
                       " at byte " + std::to_string(position));
  }
  require(position + offset, sizeof(std::uint32_t), what);
  return position + offset;
}

void File::spend(std::size_t size) const {
  if (size > budget_) {
    throw InvalidModel("the file refers to the same parts so often that it would unfold to more than " +
                       std::to_string(bytes_.size() + kExtraBudget) + " bytes");
  }
  budget_ -= size;
}

Table::Table(const File& file, std::size_t position, const char* what) : file_(&file), position_(position) {
  const auto back = file.read<std::int32_t>(position, what);
  const auto vtable = static_cast<std::int64_t>(position) - back;
  if (vtable < 0 || static_cast<std::uint64_t>(vtable) >= file.size()) {
    throw InvalidModel(std::string(what) + " at byte " + std::to_string(position) +
                       " has its field list outside the file: the file is truncated or corrupt");
  }
  vtable_ = static_cast<std::size_t>(vtable);
  vtable_size_ = file.read<std::uint16_t>(vtable_, what);
  if (vtable_size_ < 4 || vtable_size_ % 2 != 0) {
    throw InvalidModel(std::string(what) + " at byte " + std::to_string(position) + " has a field list of " +
                       std::to_string(vtable_size_) + " bytes");
  }
  file.require(vtable_, vtable_size_, what);
  file.spend(sizeof(std::int32_t));
}

Table Table::table(int slot, const char* what) const {
  const std::size_t position = field(slot);
  return position == 0 ? Table() : Table(*file_, file_->follow(position, what), what);
}

TableVector Table::tables(int slot, const char* what) const {
  const std::size_t position = field(slot);
  if (position == 0) return {};
  const auto [data, size] = elements(position, sizeof(std::uint32_t), what);
  file_->spend(size * sizeof(std::uint32_t));
  return TableVector(file_, data, size, what);
}

std::size_t TableVector::position(std::size_t index) const {
  return file_->follow(position_ + index * sizeof(std::uint32_t), what_);
}

Table TableVector::operator[](std::size_t index) const { return Table(*file_, position(index), what_); }

std::size_t Table::target(int slot, const char* what) const {
  const std::size_t position = field(slot);
  return position == 0 ? 0 : file_->follow(position, what);
}

std::string_view Table::string(int slot, const char* what) const {
  const std::size_t position = field(slot);
  if (position == 0) return {};
  const auto [data, size] = elements(position, 1, what);
  // The runtime hands these on as C strings.
  if (file_->read<std::uint8_t>(data + size, what) != 0) {
    throw InvalidModel(std::string(what) + " at byte " + std::to_string(data) + " has no end");
  }
  file_->spend(size);
  return {reinterpret_cast<const char*>(file_->bytes().data() + data), size};
}

std::span<const std::uint8_t> Table::blob(int slot, const char* what) const {
  const std::size_t position = field(slot);
  if (position == 0) return {};
  const auto [data, size] = elements(position, 1, what);
  return file_->bytes().subspan(data, size);
}

void Table::check_vector(int slot, std::size_t width, const char* what) const {
  if (const std::size_t position = field(slot); position != 0) elements(position, width, what);
}

void Table::check_scalar(int slot, std::size_t width, const char* what) const {
  if (const std::size_t position = field(slot); position != 0) file_->require(position, width, what);
}

Table::Elements Table::elements(std::size_t position, std::size_t width, const char* what) const {
  const std::size_t start = file_->follow(position, what);
  const auto size = file_->read<std::uint32_t>(start, what);
  if (size > kMaxOffset / width) {
    throw InvalidModel(std::string(what) + " claims " + std::to_string(size) + " elements");
  }
  file_->require(start + sizeof(std::uint32_t), size * width, what);
  return {start + sizeof(std::uint32_t), size};
}

}  // namespace litedelegates::model
