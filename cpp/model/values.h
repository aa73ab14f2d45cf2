#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "description.h"

namespace litedelegates::model {

// 64 bits, so that products and sums of sizes out of a corrupt file do not overflow.
using Dims = std::vector<std::int64_t>;

// Parameters are short vectors; longer constants are data, which is none of our business.
inline constexpr std::size_t kMostParameters = 4096;

// The values of a small tensor that are known before a run: a constant of the file, or what follows from
// constants and from the shapes of the inputs.
struct Values {
  Dims dims;
  std::vector<std::int64_t> integers;  // of INT32, INT64 and BOOL
  std::vector<float> reals;            // of FLOAT32

  [[nodiscard]] std::size_t size() const { return integers.empty() ? reals.size() : integers.size(); }
  friend bool operator==(const Values&, const Values&) = default;
};

// One a tensor of a subgraph; empty for those that are not known, and for constants of the file.
using KnownValues = std::vector<std::optional<Values>>;

// The values of a constant of the file; nothing when it is no constant, too long, or of another type.
[[nodiscard]] std::optional<Values> constant_values(const Tensor& tensor);

}  // namespace litedelegates::model
