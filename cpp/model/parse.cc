#include "parse.h"

#include <algorithm>
#include <cstring>
#include <string>
#include <utility>

#include "place.h"
#include "schema.h"

namespace litedelegates::model {
namespace {

struct Buffer {
  bool has_data = false;
  std::span<const std::uint8_t> data;
};

struct OperatorCode {
  std::int32_t builtin_code = 0;
  std::string custom_code;
  std::int32_t version = 1;
};

std::span<const std::uint8_t> outside_range(const File& file, std::uint64_t offset, std::uint64_t size,
                                            const char* what) {
  if (offset > file.size() || size > file.size() - offset) {
    throw InvalidModel(std::string(what) + " at offset " + std::to_string(offset) + " with " + std::to_string(size) +
                       " bytes lies outside the file of " + std::to_string(file.size()) + " bytes");
  }
  return file.bytes().subspan(offset, size);
}

Buffer parse_buffer(const File& file, const Table& table) {
  Buffer buffer;
  buffer.has_data = table.has(slot::buffer::data);
  buffer.data = table.blob(slot::buffer::data, "the data");
  const auto offset = table.scalar<std::uint64_t>(slot::buffer::offset, 0, "the offset");
  const auto size = table.scalar<std::uint64_t>(slot::buffer::size, 0, "the size");
  if (offset == 0) return buffer;

  // Models above 2 GB keep their data behind the flatbuffer. Writers use offset 1 as a placeholder for "none".
  const auto outside = outside_range(file, offset, size, "the data");
  if (offset > 1) {
    if (buffer.has_data) throw InvalidModel("its data is both inside and behind the flatbuffer");
    buffer = {true, outside};
  }
  return buffer;
}

Quantization parse_quantization(const Table& table) {
  Quantization quantization;
  table.check_vector(slot::quantization::min, sizeof(float), "the minimum");
  table.check_vector(slot::quantization::max, sizeof(float), "the maximum");
  quantization.scales = table.vector<float>(slot::quantization::scale, "the scales").copy();
  quantization.zero_points = table.vector<std::int64_t>(slot::quantization::zero_point, "the zero points").copy();
  quantization.quantized_dimension =
      table.scalar<std::int32_t>(slot::quantization::quantized_dimension, 0, "the quantized dimension");
  quantization.has_params = !quantization.scales.empty();

  const auto kind = table.scalar<std::uint8_t>(slot::quantization::details_type, 0, "the quantization details");
  const Table details = table.table(slot::quantization::details, "the quantization details");
  switch (static_cast<QuantizationDetails>(kind)) {
    case QuantizationDetails::custom: details.check_vector(0, 1, "the custom quantization"); break;
    case QuantizationDetails::multi_axis:
      details.check_vector(slot::blockwise::quantized_dimensions, 4, "the quantized dimensions");
      [[fallthrough]];
    case QuantizationDetails::blockwise:
      if (!details) throw InvalidModel("its quantization details are missing");
      quantization.is_blockwise = true;
      quantization.scales_tensor = details.scalar<std::int32_t>(slot::blockwise::scales, 0, "the scales tensor");
      quantization.zero_points_tensor =
          details.scalar<std::int32_t>(slot::blockwise::zero_points, 0, "the zero points tensor");
      quantization.block_size = details.scalar<std::int32_t>(slot::blockwise::block_size, 0, "the block size");
      break;
    default: break;
  }
  return quantization;
}

Tensor parse_tensor(const Table& table, const std::vector<Buffer>& buffers) {
  Tensor tensor;
  tensor.name = table.string(slot::tensor::name, "the name");
  tensor.shape = table.vector<std::int32_t>(slot::tensor::shape, "the shape").copy();
  tensor.shape_signature = table.vector<std::int32_t>(slot::tensor::shape_signature, "the shape signature").copy();
  tensor.has_rank = table.scalar<std::uint8_t>(slot::tensor::has_rank, 0, "a field") != 0;
  tensor.type = table.scalar<std::int8_t>(slot::tensor::type, 0, "the type");
  tensor.buffer = table.scalar<std::uint32_t>(slot::tensor::buffer, 0, "the buffer");
  tensor.external_buffer = table.scalar<std::uint32_t>(slot::tensor::external_buffer, 0, "the external buffer");
  tensor.is_variable = table.scalar<std::uint8_t>(slot::tensor::is_variable, 0, "a field") != 0;
  tensor.quantization = parse_quantization(table.table(slot::tensor::quantization, "the quantization"));

  const TableVector variants = table.tables(slot::tensor::variant_tensors, "the variant tensors");
  for (std::size_t i = 0; i < variants.size(); ++i) {
    variants[i].check_vector(slot::variant::shape, sizeof(std::int32_t), "the shape of a variant");
  }

  if (tensor.buffer >= buffers.size()) {
    throw InvalidModel("uses buffer " + std::to_string(tensor.buffer) + ", but the model has " +
                       std::to_string(buffers.size()) + " buffers");
  }
  if (tensor.buffer != 0) {  // buffer 0 stands for "no data", whatever is in it
    tensor.has_data = buffers[tensor.buffer].has_data;
    tensor.data = buffers[tensor.buffer].data;
  }
  return tensor;
}

OptionsKind parse_options(const Table& table, int slot, int first, Table& options) {
  const auto type = table.scalar<std::uint8_t>(slot, 0, "the type of the options");
  if (type == 0) return OptionsKind::none;
  options = table.table(slot + 1, "the options");
  const auto kind = static_cast<OptionsKind>(type + first);
  check_options_layout(kind, options);
  return options ? kind : OptionsKind::none;
}

Operator parse_operator(const File& file, const Table& table, const std::vector<OperatorCode>& codes,
                        OperatorDetails& details) {
  const auto index = table.scalar<std::uint32_t>(slot::op::opcode_index, 0, "the operator code");
  if (index >= codes.size()) {
    throw InvalidModel("uses operator code " + std::to_string(index) + ", but the model has " +
                       std::to_string(codes.size()));
  }
  Operator op{codes[index].builtin_code, codes[index].custom_code, codes[index].version, {}, {}};
  op.inputs = table.vector<std::int32_t>(slot::op::inputs, "the inputs").copy();
  op.outputs = table.vector<std::int32_t>(slot::op::outputs, "the outputs").copy();

  details.intermediates = table.vector<std::int32_t>(slot::op::intermediates, "the intermediates").copy();
  details.custom_options = table.blob(slot::op::custom_options, "the custom options");
  table.check_vector(slot::op::mutating_variable_inputs, 1, "the mutating inputs");
  Table second;
  const OptionsKind second_kind = parse_options(table, slot::op::options2, kSecondUnion, second);
  details.kind = parse_options(table, slot::op::options, 0, details.options);
  if (second_kind != OptionsKind::none) {
    details.kind = second_kind;
    details.options = second;
  }

  const auto offset = table.scalar<std::uint64_t>(slot::op::large_custom_options_offset, 0, "the custom options");
  const auto size = table.scalar<std::uint64_t>(slot::op::large_custom_options_size, 0, "the custom options");
  if (offset > 1) {
    const auto outside = outside_range(file, offset, size, "the custom options");
    if (!table.has(slot::op::custom_options)) details.custom_options = outside;
  }
  return op;
}

Subgraph parse_subgraph(const File& file, const Table& table, std::size_t index, const std::vector<Buffer>& buffers,
                        const std::vector<OperatorCode>& codes, SubgraphDetails& details) {
  Subgraph subgraph;
  subgraph.name = table.string(slot::subgraph::name, "the name");
  subgraph.inputs = table.vector<std::int32_t>(slot::subgraph::inputs, "the inputs").copy();
  subgraph.outputs = table.vector<std::int32_t>(slot::subgraph::outputs, "the outputs").copy();

  const TableVector tensors = table.tables(slot::subgraph::tensors, "the tensors");
  if (!tensors.present()) throw InvalidModel("subgraph " + std::to_string(index) + " has no list of tensors");
  subgraph.tensors.reserve(tensors.size());
  details.sparsity.reserve(tensors.size());
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    in_place("tensor", i, "subgraph", index, [&] {
      const Table tensor = tensors[i];
      subgraph.tensors.push_back(parse_tensor(tensor, buffers));
      details.sparsity.push_back(tensor.table(slot::tensor::sparsity, "the sparsity"));
      subgraph.tensors.back().is_sparse = static_cast<bool>(details.sparsity.back());
    });
  }

  const TableVector operators = table.tables(slot::subgraph::operators, "the operators");
  subgraph.operators.reserve(operators.size());
  details.operators.resize(operators.size());
  for (std::size_t i = 0; i < operators.size(); ++i) {
    in_place("operator", i, "subgraph", index, [&] {
      subgraph.operators.push_back(parse_operator(file, operators[i], codes, details.operators[i]));
    });
  }
  return subgraph;
}

std::vector<SignatureEntry> parse_signature_entries(const TableVector& tables) {
  std::vector<SignatureEntry> entries;
  for (std::size_t i = 0; i < tables.size(); ++i) {
    const Table table = tables[i];
    entries.push_back({std::string(table.string(slot::tensor_map::name, "the name")),
                       table.scalar<std::uint32_t>(slot::tensor_map::tensor_index, 0, "the tensor index")});
  }
  return entries;
}

Signature parse_signature(const Table& table) {
  if (!table.has(slot::signature::key)) throw InvalidModel("it has no key");
  return {std::string(table.string(slot::signature::key, "the key")),
          table.scalar<std::uint32_t>(slot::signature::subgraph_index, 0, "the subgraph index"),
          parse_signature_entries(table.tables(slot::signature::inputs, "the inputs")),
          parse_signature_entries(table.tables(slot::signature::outputs, "the outputs"))};
}

std::vector<OperatorCode> parse_operator_codes(const TableVector& tables) {
  std::vector<OperatorCode> codes;
  for (std::size_t i = 0; i < tables.size(); ++i) {
    in_place("operator code", i, [&] {
      const Table table = tables[i];
      // The field of one byte came first; codes above 127 are only in the wide one. The runtime takes the larger.
      const std::int32_t narrow = table.scalar<std::int8_t>(slot::operator_code::deprecated_builtin_code, 0, "the code");
      const auto wide = table.scalar<std::int32_t>(slot::operator_code::builtin_code, 0, "the code");
      codes.push_back({std::max(narrow, wide),
                       std::string(table.string(slot::operator_code::custom_code, "the custom code")),
                       table.scalar<std::int32_t>(slot::operator_code::version, 1, "the version")});
    });
  }
  return codes;
}

void check_external_buffers(const Table& root) {
  const TableVector groups = root.tables(slot::model::external_buffer_groups, "the external buffer groups");
  for (std::size_t i = 0; i < groups.size(); ++i) {
    groups[i].string(slot::external_buffer::group_name, "the name of an external buffer group");
  }
  const TableVector buffers = root.tables(slot::model::external_buffers, "the external buffers");
  for (std::size_t i = 0; i < buffers.size(); ++i) {
    buffers[i].string(slot::external_buffer::packing, "the packing of an external buffer");
    buffers[i].check_scalar(3, sizeof(std::uint64_t), "the length of an external buffer");
  }
}

std::vector<std::string> parse_metadata_names(const TableVector& tables, std::size_t buffer_count) {
  std::vector<std::string> names;
  for (std::size_t i = 0; i < tables.size(); ++i) {
    in_place("metadata", i, [&] {
      const Table table = tables[i];
      if (!table.has(slot::metadata::name)) throw InvalidModel("it has no name");
      names.emplace_back(table.string(slot::metadata::name, "the name"));
      const auto buffer = table.scalar<std::uint32_t>(slot::metadata::buffer, 0, "the buffer");
      if (buffer >= buffer_count) {
        throw InvalidModel("uses buffer " + std::to_string(buffer) + ", but the model has " +
                           std::to_string(buffer_count) + " buffers");
      }
    });
  }
  return names;
}

Table parse_root(const File& file) {
  constexpr std::size_t kHeader = 8;
  if (file.size() < kHeader || std::memcmp(file.bytes().data() + 4, kFileIdentifier, 4) != 0) {
    throw InvalidModel("this is not a .tflite model: the file has " + std::to_string(file.size()) +
                       " bytes and does not carry the identifier TFL3 at byte 4");
  }
  Table root(file, file.follow(0, "the model"), "the model");
  const auto version = root.scalar<std::uint32_t>(slot::model::version, 0, "the version");
  if (version != kSchemaVersion) {
    throw InvalidModel("the model has schema version " + std::to_string(version) + "; only version 3 can be run");
  }
  return root;
}

}  // namespace

Parsed parse(const File& file) {
  const Table root = parse_root(file);
  Parsed parsed;
  parsed.file_size = file.size();
  Description& model = parsed.description;
  model.version = kSchemaVersion;
  model.description = root.string(slot::model::description, "the description");
  root.check_vector(slot::model::metadata_buffer, sizeof(std::int32_t), "the metadata buffers");
  check_external_buffers(root);

  const TableVector buffer_tables = root.tables(slot::model::buffers, "the buffers");
  if (!buffer_tables.present()) throw InvalidModel("the model has no list of buffers");
  std::vector<Buffer> buffers(buffer_tables.size());
  for (std::size_t i = 0; i < buffers.size(); ++i) {
    in_place("buffer", i, [&] { buffers[i] = parse_buffer(file, buffer_tables[i]); });
  }

  const auto codes = parse_operator_codes(root.tables(slot::model::operator_codes, "the operator codes"));
  const TableVector subgraphs = root.tables(slot::model::subgraphs, "the subgraphs");
  if (subgraphs.size() == 0) throw InvalidModel("the model has no subgraph");
  parsed.subgraphs.resize(subgraphs.size());
  for (std::size_t i = 0; i < subgraphs.size(); ++i) {
    model.subgraphs.push_back(parse_subgraph(file, subgraphs[i], i, buffers, codes, parsed.subgraphs[i]));
  }

  const TableVector signatures = root.tables(slot::model::signature_defs, "the signatures");
  for (std::size_t i = 0; i < signatures.size(); ++i) {
    in_place("signature", i, [&] { model.signatures.push_back(parse_signature(signatures[i])); });
  }
  model.metadata_names = parse_metadata_names(root.tables(slot::model::metadata, "the metadata"), buffers.size());
  return parsed;
}

}  // namespace litedelegates::model
