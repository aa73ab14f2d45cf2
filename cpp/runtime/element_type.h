// The one table of element types: the schema's number, the runtime's number, the name, the size.
#pragma once

#include <cstddef>
#include <cstdint>

namespace litedelegates {

struct ElementType {
  int32_t schema;   // TensorType in a .tflite file
  int32_t runtime;  // in LiteRtRankedTensorType
  const char* name;
  int32_t bits;  // 0: no fixed size (strings, resources)
};

// The type with this number in a .tflite file; "unknown" with 0 bits when there is none.
[[nodiscard]] const ElementType& element_type(int32_t schema);

// Bytes of `count` elements, packed: two int4 share a byte.
[[nodiscard]] size_t packed_bytes(const ElementType& type, size_t count);

}  // namespace litedelegates
