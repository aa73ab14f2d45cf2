#pragma once

#include <concepts>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "description.h"
#include "operators.h"
#include "parse.h"
#include "schema.h"
#include "values.h"

namespace litedelegates::model {

// A size that is only known at run time.
inline constexpr std::int64_t kUnknown = -1;

using Shape = std::optional<Dims>;  // empty: not even the rank is known

std::string text(const Dims& dims);

// The product, or kUnknown. Capped, so that it cannot overflow.
std::int64_t element_count(const Dims& dims);

// One operator during the walk through its subgraph: what it is, and the shapes its inputs will have at run
// time.
//
// A walk either verifies the file as it is stored, or infers what the runtime will compute for inputs of
// given shapes. Only then there are `values`, and sizes that the file stores do not matter.
class Node {
 public:
  Node(const Subgraph& subgraph, const Operator& op, const OperatorDetails& details,
       std::vector<Shape>& shapes, const KnownValues* values = nullptr)
      : subgraph_(subgraph), operator_(op), details_(details), shapes_(shapes), values_(values) {}

  [[nodiscard]] bool is_inferring() const { return values_ != nullptr; }

  Op op() const { return static_cast<Op>(operator_.builtin_code); }
  const Operator& description() const { return operator_; }
  const OperatorDetails& details() const { return details_; }

  std::size_t input_count() const { return operator_.inputs.size(); }
  std::size_t output_count() const { return operator_.outputs.size(); }
  bool has_input(std::size_t index) const;
  const Tensor& input(std::size_t index) const;
  const Tensor& output(std::size_t index) const;
  const Shape& input_shape(std::size_t index) const;
  const Shape& output_shape(std::size_t index) const;
  bool is_type(const Tensor& tensor, std::initializer_list<Type> types) const;

  // The values of an input, when they are known before the run and few enough to be a parameter.
  std::optional<Values> known(std::size_t index) const;

  // The values of an int32 or int64 input, when they are known before the run and few enough to be a
  // parameter.
  std::optional<Dims> constant(std::size_t index) const;

  // A field of the options. Without an options table of this kind the runtime sees zeros, not the schema's
  // default.
  template <class T>
  T option(OptionsKind kind, int slot, std::type_identity_t<T> fallback = T{}) const {
    return details_.kind == kind ? details_.options.scalar<T>(slot, fallback, "an option") : T{};
  }
  std::optional<std::vector<std::int64_t>> option_vector(OptionsKind kind, int slot) const;

  // What the runtime will compute. When verifying it must agree with the shape stored in the file where that
  // is static: a file in which it does not was damaged, and might need any amount of memory or time.
  void set_output(std::size_t index, Shape shape);

  [[noreturn]] void fail(const std::string& message) const;

  // The shape of an input that must have `rank` dimensions, or nothing when it is unknown.
  const Dims* ranked_input(std::size_t index, std::size_t rank, const char* what) const;

  // An axis counted from either end, as 0 <= axis < rank.
  std::size_t axis(std::int64_t axis, std::size_t rank) const;

 private:
  const Subgraph& subgraph_;
  const Operator& operator_;
  const OperatorDetails& details_;
  std::vector<Shape>& shapes_;
  const KnownValues* values_;
};

}  // namespace litedelegates::model
