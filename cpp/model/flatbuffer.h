#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace litedelegates::model {

// Bounds-checked reading of a flatbuffer whose bytes nobody has looked at yet. Every access is checked where
// it happens, so no order of calls can read outside the file. Numbers are little-endian and need no
// alignment.

class File {
 public:
  explicit File(std::span<const std::uint8_t> bytes);

  std::span<const std::uint8_t> bytes() const { return bytes_; }
  std::size_t size() const { return bytes_.size(); }

  void require(std::size_t position, std::size_t size, const char* what) const {
    if (position > bytes_.size() || size > bytes_.size() - position) fail_outside(position, size, what);
  }

  template <class T>
  T read(std::size_t position, const char* what) const {
    require(position, sizeof(T), what);
    T value;
    std::memcpy(&value, bytes_.data() + position, sizeof(T));
    return value;
  }

  // The position an offset field leads to. Offsets are relative to the field and lead forward, hence no
  // cycles.
  std::size_t follow(std::size_t position, const char* what) const;

  // Offsets may share what they point at, so a small file can unfold into an endless tree. An honest file
  // unfolds into about its own size; this counts and refuses more.
  void spend(std::size_t size) const;

 private:
  [[noreturn]] void fail_outside(std::size_t position, std::size_t size, const char* what) const;

  std::span<const std::uint8_t> bytes_;
  mutable std::size_t budget_;
};

// A vector of numbers; absent and empty look the same unless asked.
template <class T>
class Vector {
 public:
  Vector() = default;
  Vector(const std::uint8_t* data, std::size_t size) : data_(data), size_(size), present_(true) {}

  bool present() const { return present_; }
  bool empty() const { return size_ == 0; }
  std::size_t size() const { return size_; }

  T operator[](std::size_t index) const {
    T value;
    std::memcpy(&value, data_ + index * sizeof(T), sizeof(T));
    return value;
  }

  std::vector<T> copy() const {
    std::vector<T> values(size_);
    if (size_ > 0) std::memcpy(values.data(), data_, size_ * sizeof(T));
    return values;
  }

 private:
  const std::uint8_t* data_ = nullptr;
  std::size_t size_ = 0;
  bool present_ = false;
};

class Table;

class TableVector {
 public:
  TableVector() = default;
  TableVector(const File* file, std::size_t position, std::size_t size, const char* what)
      : file_(file), position_(position), size_(size), what_(what) {}

  bool present() const { return file_ != nullptr; }
  std::size_t size() const { return size_; }
  Table operator[](std::size_t index) const;
  // Where an element lies in the file.
  std::size_t position(std::size_t index) const;

 private:
  const File* file_ = nullptr;
  std::size_t position_ = 0;
  std::size_t size_ = 0;
  const char* what_ = "";
};

// A view of one table. A default-constructed Table is "absent": every field then has its fallback.
// `what` names the field in error messages.
class Table {
 public:
  Table() = default;
  Table(const File& file, std::size_t position, const char* what);

  explicit operator bool() const { return file_ != nullptr; }

  template <class T>
    requires std::integral<T> || std::floating_point<T>
  T scalar(int slot, T fallback, const char* what) const {
    const std::size_t position = field(slot);
    return position == 0 ? fallback : file_->read<T>(position, what);
  }

  Table table(int slot, const char* what) const;
  TableVector tables(int slot, const char* what) const;
  bool has(int slot) const { return field(slot) != 0; }
  // Where the table, vector or string of a field lies in the file; 0 when it is absent.
  std::size_t target(int slot, const char* what) const;
  std::string_view string(int slot, const char* what) const;
  std::span<const std::uint8_t> blob(int slot, const char* what) const;

  template <class T>
  Vector<T> vector(int slot, const char* what) const {
    const std::size_t position = field(slot);
    if (position == 0) return {};
    const auto [data, size] = elements(position, sizeof(T), what);
    file_->spend(size * sizeof(T));
    return Vector<T>(file_->bytes().data() + data, size);
  }

  // Checks a vector whose element width is only known from a table.
  void check_vector(int slot, std::size_t width, const char* what) const;
  void check_scalar(int slot, std::size_t width, const char* what) const;

 private:
  struct Elements {
    std::size_t position;
    std::size_t size;
  };

  // 0: absent.
  std::size_t field(int slot) const {
    const std::size_t entry = 4 + 2 * static_cast<std::size_t>(slot);
    if (file_ == nullptr || entry + 2 > vtable_size_) return 0;
    const auto offset = file_->read<std::uint16_t>(vtable_ + entry, "a field");
    return offset == 0 ? 0 : position_ + offset;
  }
  Elements elements(std::size_t position, std::size_t width, const char* what) const;

  const File* file_ = nullptr;
  std::size_t position_ = 0;
  std::size_t vtable_ = 0;
  std::uint16_t vtable_size_ = 0;
};

}  // namespace litedelegates::model
