#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>

#include "operators.h"

namespace litedelegates::model {

// A table whose entries name an operator in `op`, each at most once, looked up by its code: a search of such
// a table for every operator took a tenth of the time to load a model.
template <class Entry, std::size_t kSize>
class ByOperator {
 public:
  static_assert(kSize < std::numeric_limits<std::uint8_t>::max());

  explicit constexpr ByOperator(const std::array<Entry, kSize>& entries) : entries_(entries) {
    for (std::size_t i = 0; i < kSize; ++i) {
      std::uint8_t& place = places_.at(static_cast<std::size_t>(entries[i].op));
      if (place != 0) throw "an operator has two entries";  // while compiling
      place = static_cast<std::uint8_t>(i + 1);
    }
  }

  // The entry of an operator; null when it has none. Codes come from the file and may be anything.
  [[nodiscard]] constexpr const Entry* find(Op op) const {
    const auto code = static_cast<std::size_t>(op);
    if (code >= kOperatorCount || places_[code] == 0) return nullptr;
    return &entries_[places_[code] - std::size_t{1}];
  }

 private:
  std::array<Entry, kSize> entries_;
  std::array<std::uint8_t, kOperatorCount> places_{};  // behind that of the entry; 0: none
};

}  // namespace litedelegates::model
