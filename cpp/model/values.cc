#include "values.h"

#include <cstring>
#include <span>

#include "schema.h"

namespace litedelegates::model {
namespace {

template <class From, class To>
std::vector<To> read_all(std::span<const std::uint8_t> data) {
  std::vector<To> values(data.size() / sizeof(From));
  for (std::size_t i = 0; i < values.size(); ++i) {
    From value;
    std::memcpy(&value, data.data() + i * sizeof(From), sizeof(From));
    values[i] = static_cast<To>(value);
  }
  return values;
}

}  // namespace

std::optional<Values> constant_values(const Tensor& tensor) {
  if (!tensor.has_data || tensor.is_sparse || tensor.data.size() > kMostParameters * sizeof(std::int64_t)) {
    return std::nullopt;
  }
  Values values{Dims(tensor.shape.begin(), tensor.shape.end()), {}, {}};
  switch (static_cast<Type>(tensor.type)) {
    case Type::INT32:
      values.integers = read_all<std::int32_t, std::int64_t>(tensor.data);
      return values;
    case Type::INT64:
      values.integers = read_all<std::int64_t, std::int64_t>(tensor.data);
      return values;
    case Type::BOOL:
      values.integers = read_all<std::uint8_t, std::int64_t>(tensor.data);
      return values;
    case Type::FLOAT32:
      values.reals = read_all<float, float>(tensor.data);
      return values;
    default:
      return std::nullopt;
  }
}

}  // namespace litedelegates::model
