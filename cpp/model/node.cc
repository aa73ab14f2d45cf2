#include "node.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "verify.h"

namespace litedelegates::model {
namespace {

constexpr std::int64_t kMostElements = std::numeric_limits<std::int32_t>::max();

bool agrees(const Tensor& stored, const Dims& computed) {
  if (stored.shape.empty() && !stored.has_rank) return true;  // old writers leave unknown shapes empty
  if (stored.shape.size() != computed.size()) return false;
  for (std::size_t i = 0; i < computed.size(); ++i) {
    const bool dynamic = i < stored.shape_signature.size() && stored.shape_signature[i] < 0;
    if (!dynamic && computed[i] != kUnknown && computed[i] != stored.shape[i]) return false;
  }
  return true;
}

}  // namespace

std::string text(const Dims& dims) {
  std::string result = "[";
  for (const std::int64_t size : dims) {
    result += (result.size() > 1 ? ", " : "") + (size == kUnknown ? "?" : std::to_string(size));
  }
  return result + "]";
}

std::int64_t element_count(const Dims& dims) {
  std::int64_t count = 1;
  for (const std::int64_t size : dims) {
    if (size == 0) return 0;
  }
  for (const std::int64_t size : dims) {
    if (size < 0) return kUnknown;
    count = std::min(count * std::min(size, kMostElements + 1), kMostElements + 1);
  }
  return count;
}

bool Node::has_input(std::size_t index) const {
  return index < operator_.inputs.size() && operator_.inputs[index] != kAbsent;
}

const Tensor& Node::input(std::size_t index) const {
  if (!has_input(index)) fail("input " + std::to_string(index) + " is missing");
  return subgraph_.tensors[static_cast<std::size_t>(operator_.inputs[index])];
}

const Tensor& Node::output(std::size_t index) const {
  if (index >= operator_.outputs.size()) fail("output " + std::to_string(index) + " is missing");
  return subgraph_.tensors[static_cast<std::size_t>(operator_.outputs[index])];
}

const Shape& Node::input_shape(std::size_t index) const {
  if (!has_input(index)) fail("input " + std::to_string(index) + " is missing");
  return shapes_[static_cast<std::size_t>(operator_.inputs[index])];
}

const Shape& Node::output_shape(std::size_t index) const {
  static_cast<void>(output(index));
  return shapes_[static_cast<std::size_t>(operator_.outputs[index])];
}

bool Node::is_type(const Tensor& tensor, std::initializer_list<Type> types) const {
  return std::find(types.begin(), types.end(), static_cast<Type>(tensor.type)) != types.end();
}

std::optional<Values> Node::known(std::size_t index) const {
  if (!has_input(index)) return std::nullopt;
  const auto& computed =
      values_ == nullptr ? std::nullopt : values_->at(static_cast<std::size_t>(operator_.inputs[index]));
  return computed ? computed : constant_values(input(index));
}

std::optional<Dims> Node::constant(std::size_t index) const {
  if (!has_input(index) || !is_type(input(index), {Type::INT32, Type::INT64})) return std::nullopt;
  auto values = known(index);
  return values ? std::optional(std::move(values->integers)) : std::nullopt;
}

std::optional<std::vector<std::int64_t>> Node::option_vector(OptionsKind kind, int slot) const {
  if (details_.kind != kind || !details_.options.has(slot)) return std::nullopt;
  std::vector<std::int64_t> values;
  if (static_cast<int>(kind) < kSecondUnion || kind == OptionsKind::stablehlo_case ||
      kind == OptionsKind::stablehlo_custom_call) {
    for (const std::int32_t value : details_.options.vector<std::int32_t>(slot, "an option").copy()) {
      values.push_back(value);
    }
  } else {
    values = details_.options.vector<std::int64_t>(slot, "an option").copy();
  }
  return values;
}

void Node::set_output(std::size_t index, Shape shape) {
  const Tensor& stored = output(index);
  if (shape) {
    for (const std::int64_t size : *shape) {
      if (size < kUnknown) fail("output " + std::to_string(index) + " would have the shape " + text(*shape));
    }
    if (!is_inferring() && !agrees(stored, *shape)) {
      fail("output " + std::to_string(index) + " is stored with the shape " +
           text(Dims(stored.shape.begin(), stored.shape.end())) + ", but the inputs give " + text(*shape));
    }
    if (element_count(*shape) > kMostElements) {
      fail("output " + std::to_string(index) + " would have more than 2^31 - 1 elements: " + text(*shape));
    }
  }
  shapes_[static_cast<std::size_t>(operator_.outputs[index])] = std::move(shape);
}

void Node::fail(const std::string& message) const {
  throw InvalidModel(std::string(operator_name(operator_.builtin_code)) +
                     (operator_.custom_code.empty() ? "" : " " + operator_.custom_code) + ": " + message);
}

const Dims* Node::ranked_input(std::size_t index, std::size_t rank, const char* what) const {
  const Shape& shape = input_shape(index);
  if (!shape) return nullptr;
  if (shape->size() != rank) {
    fail(std::string(what) + " must have " + std::to_string(rank) + " dimensions, not the shape " +
         text(*shape));
  }
  return &*shape;
}

std::size_t Node::axis(std::int64_t axis, std::size_t rank) const {
  const auto signed_rank = static_cast<std::int64_t>(rank);
  if (axis < -signed_rank || axis >= signed_rank) {
    fail("axis " + std::to_string(axis) + " does not exist in " + std::to_string(rank) + " dimensions");
  }
  return static_cast<std::size_t>(axis < 0 ? axis + signed_rank : axis);
}

}  // namespace litedelegates::model
