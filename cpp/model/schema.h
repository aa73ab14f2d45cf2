#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>

namespace litedelegates::model {

// Facts of the .tflite schema, version 3: field positions inside tables, enum values, and the limits of the
// runtime.

inline constexpr char kFileIdentifier[] = "TFL3";
inline constexpr std::uint32_t kSchemaVersion = 3;

// The runtime copies shapes into arrays of this size.
inline constexpr std::size_t kMaxRank = 8;

namespace slot {
namespace model {
inline constexpr int version = 0, operator_codes = 1, subgraphs = 2, description = 3, buffers = 4,
                     metadata_buffer = 5, metadata = 6, signature_defs = 7, external_buffer_groups = 8,
                     external_buffers = 9;
}
namespace operator_code {
inline constexpr int deprecated_builtin_code = 0, custom_code = 1, version = 2, builtin_code = 3;
}
namespace subgraph {
inline constexpr int tensors = 0, inputs = 1, outputs = 2, operators = 3, name = 4;
}
namespace tensor {
inline constexpr int shape = 0, type = 1, buffer = 2, name = 3, quantization = 4, is_variable = 5,
                     sparsity = 6, shape_signature = 7, has_rank = 8, variant_tensors = 9,
                     external_buffer = 10;
}
namespace quantization {
inline constexpr int min = 0, max = 1, scale = 2, zero_point = 3, details_type = 4, details = 5,
                     quantized_dimension = 6;
}
namespace blockwise {  // also the first three fields of multi-axis quantization
inline constexpr int scales = 0, zero_points = 1, block_size = 2, quantized_dimensions = 3;
}
namespace sparsity {
inline constexpr int traversal_order = 0, block_map = 1, dim_metadata = 2;
}
namespace dim_metadata {
inline constexpr int format = 0, dense_size = 1, array_segments = 2,
                     array_indices = 4;  // unions: type, then value
}
namespace variant {
inline constexpr int shape = 0;
}
namespace op {
inline constexpr int opcode_index = 0, inputs = 1, outputs = 2, options = 3, custom_options = 5,
                     custom_options_format = 6, mutating_variable_inputs = 7, intermediates = 8,
                     large_custom_options_offset = 9, large_custom_options_size = 10,
                     options2 = 11;  // unions: type, then value
}
namespace buffer {
inline constexpr int data = 0, offset = 1, size = 2;
}
namespace metadata {
inline constexpr int name = 0, buffer = 1;
}
namespace signature {
inline constexpr int inputs = 0, outputs = 1, key = 2, subgraph_index = 4;
}
namespace tensor_map {
inline constexpr int name = 0, tensor_index = 1;
}
namespace external_buffer {
inline constexpr int group_name = 0, packing = 4;
}
}  // namespace slot

enum class Type : int {
  FLOAT32,
  FLOAT16,
  INT32,
  UINT8,
  INT64,
  STRING,
  BOOL,
  INT16,
  COMPLEX64,
  INT8,
  FLOAT64,
  COMPLEX128,
  UINT64,
  RESOURCE,
  VARIANT,
  UINT32,
  UINT16,
  INT4,
  BFLOAT16,
  INT2,
  UINT4,
  FLOAT8_E4M3FN,
  FLOAT8_E5M2,
};

// Width of an element in bits; 0 for types without a fixed width and for types newer than this table.
constexpr std::size_t type_bits(int type) {
  switch (static_cast<Type>(type)) {
    case Type::INT2:
      return 2;
    case Type::INT4:
    case Type::UINT4:
      return 4;
    case Type::UINT8:
    case Type::BOOL:
    case Type::INT8:
    case Type::FLOAT8_E4M3FN:
    case Type::FLOAT8_E5M2:
      return 8;
    case Type::FLOAT16:
    case Type::INT16:
    case Type::UINT16:
    case Type::BFLOAT16:
      return 16;
    case Type::FLOAT32:
    case Type::INT32:
    case Type::UINT32:
      return 32;
    case Type::INT64:
    case Type::COMPLEX64:
    case Type::FLOAT64:
    case Type::UINT64:
      return 64;
    case Type::COMPLEX128:
      return 128;
    case Type::STRING:
    case Type::RESOURCE:
    case Type::VARIANT:
      return 0;
  }
  return 0;
}

constexpr bool is_quantized_type(int type) {
  switch (static_cast<Type>(type)) {
    case Type::UINT8:
    case Type::INT8:
    case Type::INT16:
    case Type::INT4:
    case Type::INT2:
    case Type::UINT4:
      return true;
    default:
      return false;
  }
}

enum class QuantizationDetails : std::uint8_t { none, custom, blockwise, multi_axis };
enum class IndexVector : std::uint8_t { none, int32, uint16, uint8 };

inline constexpr int kPaddingSame = 0, kPaddingValid = 1;
inline constexpr int kLastActivation = 5;

// What an operator input that is absent is called.
inline constexpr std::int32_t kAbsent = -1;

}  // namespace litedelegates::model
