#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace litedelegates::model {

// The options of some custom operators are a flexbuffer, which the runtime reads without any check. This
// walks through all of it with every access checked, and keeps the numbers of the outermost map.
class FlexMap {
 public:
  // Throws InvalidModel.
  explicit FlexMap(std::span<const std::uint8_t> bytes);

  bool has(std::string_view key) const { return numbers_.find(key) != numbers_.end(); }

  // The value of a number, true or false; `fallback` when it is absent or something else.
  double number(std::string_view key, double fallback) const;

 private:
  std::map<std::string, double, std::less<>> numbers_;
};

}  // namespace litedelegates::model
