#include "parse.h"

#include <algorithm>
#include <cstring>
#include <string>
#include <utility>

#include "parse_tensors.h"
#include "place.h"
#include "schema.h"

namespace litedelegates::model {
namespace {

struct OperatorCode {
  std::int32_t builtin_code = 0;
  std::string custom_code;
  std::int32_t version = 1;
};

OptionsKind parse_options(const Table& table, int slot, int first, Table& options) {
  const auto type = table.scalar<std::uint8_t>(slot, 0, "the type of the options");
  if (type == 0) return OptionsKind::none;
  options = table.table(slot + 1, "the options");
  const auto kind = static_cast<OptionsKind>(type + first);
  check_options_layout(kind, options);
  return options ? kind : OptionsKind::none;
}

Operator parse_operator(const Table& table, const std::vector<OperatorCode>& codes) {
  const auto index = table.scalar<std::uint32_t>(slot::op::opcode_index, 0, "the operator code");
  if (index >= codes.size()) {
    throw InvalidModel("uses operator code " + std::to_string(index) + ", but the model has " +
                       std::to_string(codes.size()));
  }
  Operator op{codes[index].builtin_code, codes[index].custom_code, codes[index].version, {}, {}};
  op.inputs = table.vector<std::int32_t>(slot::op::inputs, "the inputs").copy();
  op.outputs = table.vector<std::int32_t>(slot::op::outputs, "the outputs").copy();
  return op;
}

OperatorDetails parse_details(const File& file, const Table& table) {
  OperatorDetails details;
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

  const auto offset =
      table.scalar<std::uint64_t>(slot::op::large_custom_options_offset, 0, "the custom options");
  const auto size = table.scalar<std::uint64_t>(slot::op::large_custom_options_size, 0, "the custom options");
  if (offset > 1) {
    const auto outside = outside_range(file, offset, size, "the custom options");
    if (!table.has(slot::op::custom_options)) details.custom_options = outside;
  }
  return details;
}

// A tensor without elements needs no buffer: what nothing writes is a constant, of no values.
void mark_empty_constants(Subgraph& subgraph) {
  std::vector<bool> is_written(subgraph.tensors.size());
  const auto mark = [&](const std::vector<std::int32_t>& indices) {
    for (const std::int32_t index : indices) {
      if (index >= 0 && static_cast<std::size_t>(index) < is_written.size()) {
        is_written[static_cast<std::size_t>(index)] = true;
      }
    }
  };
  mark(subgraph.inputs);
  for (const Operator& op : subgraph.operators) mark(op.outputs);
  for (std::size_t i = 0; i < is_written.size(); ++i) {
    Tensor& tensor = subgraph.tensors[i];
    const bool is_empty = std::find(tensor.shape.begin(), tensor.shape.end(), 0) != tensor.shape.end();
    if (is_empty && !is_written[i] && !tensor.is_variable && tensor.external_buffer == 0) {
      tensor.lacks_buffer = !tensor.has_data;
      tensor.has_data = true;
    }
  }
}

Subgraph parse_subgraph(const File& file, const Table& table, std::size_t index,
                        const std::vector<Buffer>& buffers, const std::vector<OperatorCode>& codes,
                        SubgraphDetails& details) {
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
  details.operators.reserve(operators.size());
  for (std::size_t i = 0; i < operators.size(); ++i) {
    in_place("operator", i, "subgraph", index, [&] {
      const Table op = operators[i];
      subgraph.operators.push_back(parse_operator(op, codes));
      details.operators.push_back(parse_details(file, op));
    });
  }
  mark_empty_constants(subgraph);
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
      // The field of one byte came first; codes above 127 are only in the wide one. The runtime takes the
      // larger.
      using namespace slot::operator_code;
      const std::int32_t narrow = table.scalar<std::int8_t>(deprecated_builtin_code, 0, "the code");
      const auto wide = table.scalar<std::int32_t>(builtin_code, 0, "the code");
      codes.push_back({std::max(narrow, wide), std::string(table.string(custom_code, "the custom code")),
                       table.scalar<std::int32_t>(version, 1, "the version")});
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

std::vector<std::string> parse_metadata_names(const TableVector& tables, const std::vector<Buffer>& buffers) {
  std::vector<std::string> names;
  for (std::size_t i = 0; i < tables.size(); ++i) {
    in_place("metadata", i, [&] {
      const Table table = tables[i];
      if (!table.has(slot::metadata::name)) throw InvalidModel("it has no name");
      names.emplace_back(table.string(slot::metadata::name, "the name"));
      const auto buffer = table.scalar<std::uint32_t>(slot::metadata::buffer, 0, "the buffer");
      require_buffer(buffer, buffers);
      // The runtime reads this one without asking whether it is there.
      if (names.back() == "min_runtime_version" && !buffers[buffer].has_data) {
        throw InvalidModel("the minimum runtime version has no data");
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
    throw InvalidModel("the model has schema version " + std::to_string(version) +
                       "; only version 3 can be run");
  }
  return root;
}

}  // namespace

Parsed parse(const File& file) {
  const Table root = parse_root(file);
  Parsed parsed;
  parsed.file_size = file.size();
  parsed.description = std::make_shared<Description>();
  Description& model = *parsed.description;
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
  model.metadata_names = parse_metadata_names(root.tables(slot::model::metadata, "the metadata"), buffers);
  return parsed;
}

Parsed parse_again(const File& file, std::shared_ptr<Description> description) {
  Parsed parsed{file.size(), std::move(description), {}};
  const TableVector subgraphs = parse_root(file).tables(slot::model::subgraphs, "the subgraphs");
  // What is mapped may be written to under its model.
  const auto require_same = [](std::size_t found, std::size_t known, const char* what) {
    if (found == known) return;
    throw InvalidModel("it has " + std::to_string(found) + " " + what + " where it had " +
                       std::to_string(known) + ": the file was changed since it was loaded");
  };
  require_same(subgraphs.size(), parsed.description->subgraphs.size(), "subgraphs");
  parsed.subgraphs.resize(subgraphs.size());
  for (std::size_t s = 0; s < subgraphs.size(); ++s) {
    const TableVector operators = subgraphs[s].tables(slot::subgraph::operators, "the operators");
    const std::size_t tensors = subgraphs[s].tables(slot::subgraph::tensors, "the tensors").size();
    require_same(tensors, parsed.description->subgraphs[s].tensors.size(), "tensors");
    require_same(operators.size(), parsed.description->subgraphs[s].operators.size(), "operators");
    parsed.subgraphs[s].operators.reserve(operators.size());
    for (std::size_t i = 0; i < operators.size(); ++i) {
      parsed.subgraphs[s].operators.push_back(parse_details(file, operators[i]));
    }
  }
  return parsed;
}

}  // namespace litedelegates::model
