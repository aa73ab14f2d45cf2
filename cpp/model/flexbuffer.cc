#include "flexbuffer.h"

#include <cstring>

#include "verify.h"

namespace litedelegates::model {
namespace {

enum Kind : unsigned {
  null,
  integer,
  natural,
  real,
  key,
  string,
  indirect_integer,
  indirect_natural,
  indirect_real,
  map,
  vector,
  vector_integer,
  vector_natural,
  vector_real,
  vector_key,
  vector_string,
  first_fixed = 16,
  last_fixed = 24,
  blob = 25,
  boolean = 26,
  vector_boolean = 36,
};

// A value sits in a slot of `width` bytes: either itself, or how far back it begins. A packed byte says what
// it is: its kind, and in the low two bits the width of what is pointed at.
struct Slot {
  std::size_t position;
  std::size_t width;
  unsigned packed;

  unsigned kind() const { return packed >> 2U; }
  std::size_t target_width() const { return std::size_t{1} << (packed & 3U); }
};

class Walker {
 public:
  explicit Walker(std::span<const std::uint8_t> bytes) : bytes_(bytes), budget_(8 * bytes.size()) {}

  Slot root() const {
    require(bytes_.size() >= 3, "it is too short");
    const std::size_t width = bytes_.back();
    require(width == 1 || width == 2 || width == 4 || width == 8, "its width is impossible");
    require(bytes_.size() >= 2 + width, "it is too short");
    return {bytes_.size() - 2 - width, width, bytes_[bytes_.size() - 2]};
  }

  // Checks a value and everything below it. Offsets lead back, so there are no cycles; the budget is for
  // values that are pointed at again and again.
  void walk(const Slot& slot) {
    require(budget_-- > 0, "it unfolds without end");
    const std::size_t width = slot.target_width();
    switch (slot.kind()) {
      case null:
      case integer:
      case natural:
      case real:
      case boolean:
        return in_place(slot);
      case key:
        check_key(target(slot));
        return;
      case string:
        check_string(target(slot), width);
        return;
      case blob:
        elements(target(slot), width, 1);
        return;
      case indirect_integer:
      case indirect_natural:
      case indirect_real:
        read(target(slot), width);
        return;
      case map:
        return walk_map(slot);
      case vector:
        return walk_vector(slot);
      default:
        return walk_typed(slot);
    }
  }

  std::size_t map_size(const Slot& slot) const { return size_before(target(slot), slot.target_width()); }

  std::string_view map_key(const Slot& slot, std::size_t index) const {
    const std::size_t start = target(slot), width = slot.target_width();
    require(start >= 3 * width, "a map begins outside");
    const std::size_t keys = back(start - 3 * width, width), key_width = read(start - 2 * width, width);
    require(key_width == 1 || key_width == 2 || key_width == 4 || key_width == 8,
            "the width of a key is impossible");
    require(size_before(keys, key_width) == map_size(slot),
            "a map has another number of keys than of values");
    return check_key(back(keys + index * key_width, key_width));
  }

  Slot element(const Slot& slot, std::size_t index) const {
    const std::size_t start = target(slot), width = slot.target_width(), size = size_before(start, width);
    const std::size_t types = start + size * width;
    require(types + size <= bytes_.size(), "a value lies outside");
    return {start + index * width, width, bytes_[types + index]};
  }

  std::optional<double> number(const Slot& slot) const {
    const bool direct = slot.kind() <= real || slot.kind() == boolean;
    const bool indirect = slot.kind() >= indirect_integer && slot.kind() <= indirect_real;
    if (slot.kind() == null || (!direct && !indirect)) return std::nullopt;
    const std::size_t position = direct ? slot.position : target(slot);
    const std::size_t width = direct ? slot.width : slot.target_width();
    const std::uint64_t bits = read(position, width);
    switch (slot.kind()) {
      case integer:
      case indirect_integer: {
        const unsigned unused = static_cast<unsigned>(64 - 8 * width);
        return static_cast<double>(static_cast<std::int64_t>(bits << unused) >> unused);
      }
      case real:
      case indirect_real:
        return real_number(bits, width);
      default:
        return static_cast<double>(bits);
    }
  }

 private:
  static void require(bool condition, const char* what) {
    if (!condition) throw InvalidModel(std::string("the custom options are no valid flexbuffer: ") + what);
  }

  static double real_number(std::uint64_t bits, std::size_t width) {
    if (width == 8) {
      double value;
      std::memcpy(&value, &bits, sizeof value);
      return value;
    }
    float value = 0;
    const auto low = static_cast<std::uint32_t>(bits);
    if (width == 4) std::memcpy(&value, &low, sizeof value);
    return static_cast<double>(value);
  }

  std::uint64_t read(std::size_t position, std::size_t width) const {
    require(position <= bytes_.size() && width <= bytes_.size() - position, "a value lies outside");
    std::uint64_t value = 0;
    std::memcpy(&value, bytes_.data() + position, width);
    return value;
  }

  std::size_t back(std::size_t position, std::size_t width) const {
    const std::uint64_t distance = read(position, width);
    require(distance > 0 && distance <= position, "an offset leads outside");
    return position - distance;
  }

  std::size_t target(const Slot& slot) const { return back(slot.position, slot.width); }

  std::size_t size_before(std::size_t start, std::size_t width) const {
    require(start >= width, "a vector begins outside");
    const std::uint64_t size = read(start - width, width);
    require(size <= bytes_.size(), "a vector is longer than everything");
    return size;
  }

  void in_place(const Slot& slot) const { read(slot.position, slot.width); }

  std::size_t elements(std::size_t start, std::size_t width, std::size_t element_width) const {
    const std::size_t size = size_before(start, width);
    require(size * element_width <= bytes_.size() - start, "a vector lies outside");
    return size;
  }

  std::string_view check_key(std::size_t start) const {
    const void* end = std::memchr(bytes_.data() + start, 0, bytes_.size() - start);
    require(end != nullptr, "a key has no end");
    return reinterpret_cast<const char*>(bytes_.data() + start);
  }

  void check_string(std::size_t start, std::size_t width) const {
    const std::size_t size = elements(start, width, 1);
    require(read(start + size, 1) == 0, "a string has no end");
  }

  void walk_map(const Slot& slot) {
    const std::size_t size = map_size(slot);
    for (std::size_t i = 0; i < size; ++i) {
      map_key(slot, i);
      walk(element(slot, i));
    }
  }

  void walk_vector(const Slot& slot) {
    const std::size_t size = map_size(slot);
    for (std::size_t i = 0; i < size; ++i) walk(element(slot, i));
  }

  void walk_typed(const Slot& slot) {
    const std::size_t start = target(slot), width = slot.target_width();
    if (slot.kind() >= first_fixed && slot.kind() <= last_fixed) {
      read(start + ((slot.kind() - first_fixed) / 3 + 1) * width, width);
      return;
    }
    const bool known =
        (slot.kind() >= vector_integer && slot.kind() <= vector_string) || slot.kind() == vector_boolean;
    require(known, "a value is of an unknown kind");
    const std::size_t size = elements(start, width, width);
    for (std::size_t i = 0; i < size && slot.kind() == vector_key; ++i)
      check_key(back(start + i * width, width));
    for (std::size_t i = 0; i < size && slot.kind() == vector_string; ++i) {
      check_string(back(start + i * width, width), 1);
    }
  }

  std::span<const std::uint8_t> bytes_;
  std::size_t budget_;
};

}  // namespace

FlexMap::FlexMap(std::span<const std::uint8_t> bytes) {
  Walker walker(bytes);
  const Slot root = walker.root();
  walker.walk(root);
  if (root.kind() != map) return;
  const std::size_t size = walker.map_size(root);
  for (std::size_t i = 0; i < size; ++i) {
    const auto value = walker.number(walker.element(root, i));
    if (value) numbers_[std::string(walker.map_key(root, i))] = *value;
  }
}

double FlexMap::number(std::string_view name, double fallback) const {
  const auto found = numbers_.find(name);
  return found == numbers_.end() ? fallback : found->second;
}

}  // namespace litedelegates::model
