#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace litedelegates::model {

// What a .tflite file says about itself, as plain values.
// Spans point into the bytes the description was made from.

struct Quantization {
  bool has_params = false;  // false: the tensor carries no scales
  std::vector<float> scales;
  std::vector<std::int64_t> zero_points;
  std::int32_t quantized_dimension = 0;
  // Blockwise and multi-axis quantization keep scales and zero points in other tensors of the subgraph.
  bool is_blockwise = false;
  std::int32_t block_size = 0;
  std::int32_t scales_tensor = -1;
  std::int32_t zero_points_tensor = -1;  // -1: all zero points are 0
};

struct Tensor {
  std::string name;
  std::vector<std::int32_t> shape;
  std::vector<std::int32_t>
      shape_signature;    // empty, or the shape with -1 for every size only known at run time
  bool has_rank = false;  // tells a scalar from a tensor of unknown rank; both have an empty shape
  int type = 0;           // the schema's TensorType
  std::uint32_t buffer = 0;
  std::uint32_t external_buffer = 0;  // not 0: the constant lives in another file
  bool is_variable = false;
  bool is_sparse = false;
  Quantization quantization;
  bool has_data = false;
  bool lacks_buffer = false;  // a constant without elements; the runtime takes it for one that is computed
  std::span<const std::uint8_t> data;
};

struct Operator {
  std::int32_t builtin_code = 0;
  std::string custom_code;
  std::int32_t version = 1;
  std::vector<std::int32_t> inputs;  // -1: an optional input that is absent
  std::vector<std::int32_t> outputs;
};

struct Subgraph {
  std::string name;
  std::vector<Tensor> tensors;
  std::vector<std::int32_t> inputs;
  std::vector<std::int32_t> outputs;
  std::vector<Operator> operators;
};

struct SignatureEntry {
  std::string name;
  std::uint32_t tensor_index = 0;
};

struct Signature {
  std::string key;
  std::uint32_t subgraph_index = 0;
  std::vector<SignatureEntry> inputs;
  std::vector<SignatureEntry> outputs;
};

struct Description {
  std::uint32_t version = 0;
  std::string description;
  std::vector<Subgraph> subgraphs;
  std::vector<Signature> signatures;
  std::vector<std::string> metadata_names;
};

}  // namespace litedelegates::model
