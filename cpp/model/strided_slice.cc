#include "strided_slice.h"

#include <algorithm>
#include <bit>

namespace litedelegates::model {
namespace {

constexpr auto kKind = OptionsKind::strided_slice;

// One bit for each entry of begin, end and strides.
struct Masks {
  std::uint32_t begin, end, ellipsis, new_axis, shrink;
  bool offset;  // the end counts from the beginning

  explicit Masks(const Node& node)
      : begin(at(node, 0)),
        end(at(node, 1)),
        ellipsis(at(node, 2)),
        new_axis(at(node, 3)),
        shrink(at(node, 4)),
        offset(node.option<std::uint8_t>(kKind, 5) != 0) {}

  // Combinations that no converter writes, in which kernels do not do what the others make one expect: ends
  // that count from the beginning, bits beyond the entries, several meanings for one entry, a dropped
  // dimension from its start.
  [[nodiscard]] bool are_odd(std::size_t entries) const {
    const bool outside = (begin | end | ellipsis | new_axis | shrink) >> entries != 0;
    const bool several = (ellipsis & new_axis) != 0 || (ellipsis & shrink) != 0 || (new_axis & shrink) != 0;
    return offset || outside || several || (begin & shrink) != 0;
  }

 private:
  static std::uint32_t at(const Node& node, int slot) {
    return static_cast<std::uint32_t>(node.option<std::int32_t>(kKind, slot));
  }
};

bool bit(std::uint32_t bits, std::size_t index) { return (bits >> index & 1U) != 0; }

std::int64_t clamp_bound(std::int64_t bound, std::int64_t size, bool backwards) {
  if (bound < 0) bound += size;
  return backwards ? std::clamp<std::int64_t>(bound, -1, size - 1) : std::clamp<std::int64_t>(bound, 0, size);
}

SlicedAxis slice(std::int64_t begin, std::int64_t end, std::int64_t stride, bool from_start, bool to_end,
                 std::int64_t size) {
  if (size == kUnknown) return {0, stride, kUnknown, false, false};
  const bool backwards = stride < 0;
  const std::int64_t from = from_start ? (backwards ? size - 1 : 0) : clamp_bound(begin, size, backwards);
  const std::int64_t to = to_end ? (backwards ? -1 : size) : clamp_bound(end, size, backwards);
  const std::int64_t distance = backwards ? from - to : to - from, step = backwards ? -stride : stride;
  return {from, stride, distance <= 0 ? 0 : (distance - 1) / step + 1, false, false};
}

}  // namespace

std::optional<std::vector<SlicedAxis>> sliced_axes(const Node& node, const Dims& input) {
  const auto begin = node.constant(1), end = node.constant(2), strides = node.constant(3);
  if (!begin || !end || !strides || begin->size() != end->size() || begin->size() != strides->size()) {
    return std::nullopt;
  }
  const Masks masks(node);
  const std::size_t entries = begin->size();
  if (entries > 2 * kMaxRank || masks.are_odd(entries)) return std::nullopt;
  const std::uint32_t within = (1U << entries) - 1;
  const std::uint32_t ellipsis = masks.ellipsis & within;
  const auto added = static_cast<std::size_t>(std::popcount(masks.new_axis & within & ~ellipsis));
  const auto ellipses = static_cast<std::size_t>(std::popcount(ellipsis));
  const std::size_t sliced = entries - added - ellipses;  // entries that stand for a dimension of the input
  // The kernel lets an ellipsis stand for one dimension at least.
  if (ellipses > 1 || sliced + ellipses > input.size()) return std::nullopt;

  std::vector<SlicedAxis> axes;
  std::size_t dimension = 0;
  const auto take_whole = [&](std::size_t count) {
    for (; count > 0; --count, ++dimension) axes.push_back({0, 1, input[dimension], false, false});
  };
  for (std::size_t i = 0; i < entries; ++i) {
    if (bit(ellipsis, i)) {
      take_whole(input.size() - sliced);
    } else if (bit(masks.new_axis, i)) {
      axes.push_back({0, 1, 1, true, false});
    } else {
      const std::int64_t size = input[dimension++], stride = (*strides)[i];
      if (stride == 0) return std::nullopt;
      if (bit(masks.shrink, i)) {
        if (stride != 1) return std::nullopt;  // the kernel would read beside the dimension
        std::int64_t from = (*begin)[i];
        if (size != kUnknown) {
          if (from < 0) from += size;
          if (from < 0 || from >= size) return std::nullopt;
        }
        axes.push_back({from, 1, 1, false, true});
        continue;
      }
      axes.push_back(slice((*begin)[i], (*end)[i], stride, bit(masks.begin, i), bit(masks.end, i), size));
    }
  }
  take_whole(input.size() - dimension);
  return axes;
}

}  // namespace litedelegates::model
