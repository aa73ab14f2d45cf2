#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

namespace litedelegates::model {

// Writes the parts of a flatbuffer that differ from a file, to be laid before that file in memory: a new
// root, whose offsets lead to new parts behind it or on into the file, which stays as it is. Offsets of a
// flatbuffer lead forward, so a part is written before what it refers to, and its offsets are set afterwards.
class HeaderWriter {
 public:
  // A field of a table. An offset has no value until `point` sets it.
  struct Field {
    int slot;
    std::size_t width;  // 1, 4 or 8 bytes
    std::uint64_t value = 0;
  };

  struct Table {
    std::size_t position = 0;
    std::vector<std::size_t> fields;  // where the fields lie, in the order given
  };

  HeaderWriter(const char* identifier);

  [[nodiscard]] Table table(std::span<const Field> fields);
  // A vector of offsets, each of which has to be set: where its elements lie begins behind its length.
  [[nodiscard]] std::size_t offsets(std::size_t count);
  [[nodiscard]] std::size_t integers(std::span<const std::int32_t> values);
  // Bytes aligned to 16, as constants are.
  [[nodiscard]] std::size_t blob(std::span<const std::uint8_t> bytes);

  [[nodiscard]] static std::size_t element(std::size_t vector, std::size_t index) {
    return vector + 4 + 4 * index;
  }

  // Make the offset at `from` lead to a new part, or to a position of the file.
  void point(std::size_t from, std::size_t to);
  void point_into_file(std::size_t from, std::size_t position) { into_file_.emplace_back(from, position); }
  void root(std::size_t table) { point(0, table); }
  // Let the 64 bits at `from` count from the start of the whole: what is told by its place in the file.
  void shift_into_file(std::size_t from) { shifted_.push_back(from); }

  // The finished part, of a multiple of `page` bytes: the file begins behind it.
  [[nodiscard]] std::vector<std::uint8_t> finish(std::size_t page) &&;

 private:
  void align(std::size_t alignment, std::size_t offset = 0);
  template <class T>
  void put(T value);
  template <class T>
  void set(std::size_t position, T value);

  std::vector<std::uint8_t> bytes_;
  std::vector<std::pair<std::size_t, std::size_t>> into_file_;
  std::vector<std::size_t> shifted_;
};

}  // namespace litedelegates::model
