#include "fold.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <set>

#include "header_writer.h"

#include "schema.h"

namespace litedelegates::model {
namespace {

using Field = HeaderWriter::Field;

template <class T>
std::vector<std::uint8_t> bytes_of(const std::vector<std::int64_t>& values) {
  std::vector<std::uint8_t> bytes(values.size() * sizeof(T));
  for (std::size_t i = 0; i < values.size(); ++i) {
    const T value = static_cast<T>(values[i]);
    std::memcpy(bytes.data() + i * sizeof(T), &value, sizeof(T));
  }
  return bytes;
}

std::vector<std::uint8_t> bytes_of(const Values& values, int type) {
  switch (static_cast<Type>(type)) {
    case Type::INT64:
      return bytes_of<std::int64_t>(values.integers);
    case Type::INT32:
      return bytes_of<std::int32_t>(values.integers);
    case Type::BOOL:
      return bytes_of<std::uint8_t>(values.integers);
    default: {
      std::vector<std::uint8_t> bytes(values.reals.size() * sizeof(float));
      if (!bytes.empty()) std::memcpy(bytes.data(), values.reals.data(), bytes.size());
      return bytes;
    }
  }
}

// Operators that do something besides computing their outputs, or may.
bool has_effects(const Operator& op) {
  switch (static_cast<Op>(op.builtin_code)) {
    case Op::CUSTOM:
    case Op::IF:
    case Op::WHILE:
    case Op::CALL_ONCE:
    case Op::STABLEHLO_WHILE:
    case Op::STABLEHLO_CASE:
    case Op::STABLEHLO_COMPOSITE:
    case Op::ASSIGN_VARIABLE:
    case Op::HASHTABLE_IMPORT:
      return true;
    default:
      return op.outputs.empty();
  }
}

// What becomes of one subgraph.
struct Plan {
  std::vector<std::int32_t> operators;          // indices of those that are left
  std::set<std::int32_t> constants;             // tensors that become one
  std::map<std::int32_t, std::int32_t> copies;  // constants beside a tensor that has to stay: its index
  std::vector<bool> is_resized;                 // tensors that are stored with another size
  bool is_changed = false;
};

Plan plan_of(const Subgraph& subgraph, const InferredGraph& inferred) {
  Plan plan;
  const std::size_t tensors = subgraph.tensors.size();
  plan.is_resized.resize(tensors);
  if (!inferred.is_reached || !inferred.is_consistent) {
    for (std::size_t i = 0; i < subgraph.operators.size(); ++i)
      plan.operators.push_back(static_cast<std::int32_t>(i));
    return plan;
  }
  // Inputs and outputs of a subgraph stay what they are, whatever is known of them.
  std::set<std::int32_t> border(subgraph.inputs.begin(), subgraph.inputs.end());
  border.insert(subgraph.outputs.begin(), subgraph.outputs.end());

  std::vector<bool> is_needed(tensors);
  for (const std::int32_t output : subgraph.outputs) is_needed[static_cast<std::size_t>(output)] = true;
  for (std::size_t i = subgraph.operators.size(); i-- > 0;) {
    const Operator& op = subgraph.operators[i];
    const bool is_left = has_effects(op) ||
                         std::any_of(op.outputs.begin(), op.outputs.end(),
                                     [&](std::int32_t t) { return is_needed[static_cast<std::size_t>(t)]; });
    if (!is_left) continue;
    plan.operators.push_back(static_cast<std::int32_t>(i));
    // It still writes all of its outputs, those too whose values are known: their readers get a copy.
    for (const std::int32_t output : op.outputs) {
      if (plan.constants.erase(output) > 0) plan.copies.emplace(output, 0);
    }
    for (const std::int32_t input : op.inputs) {
      if (input == kAbsent) continue;
      const auto tensor = static_cast<std::size_t>(input);
      const auto& known = inferred.values[tensor];
      // An empty tensor is known to be empty, but is no constant for that.
      if (!known || known->size() == 0) {
        is_needed[tensor] = true;
      } else if (border.contains(input)) {
        plan.copies.emplace(input, 0);
      } else {
        plan.constants.insert(input);
      }
    }
  }
  std::reverse(plan.operators.begin(), plan.operators.end());
  std::int32_t next = static_cast<std::int32_t>(tensors);
  for (auto& [tensor, copy] : plan.copies) copy = next++;

  for (std::size_t i = 0; i < tensors; ++i) {
    const Tensor& tensor = subgraph.tensors[i];
    const Shape& shape = inferred.shapes[i];
    if (tensor.has_data || tensor.is_variable || !shape || element_count(*shape) == kUnknown) continue;
    plan.is_resized[i] = Dims(tensor.shape.begin(), tensor.shape.end()) != *shape ||
                         std::find(tensor.shape_signature.begin(), tensor.shape_signature.end(), -1) !=
                             tensor.shape_signature.end();
  }
  plan.is_changed = plan.operators.size() != subgraph.operators.size() || !plan.constants.empty() ||
                    !plan.copies.empty() ||
                    std::find(plan.is_resized.begin(), plan.is_resized.end(), true) != plan.is_resized.end();
  return plan;
}

class Writer {
 public:
  Writer(const File& file, const Parsed& parsed, const Inference& inference)
      : root_(file, file.follow(0, "the model"), "the model"),
        parsed_(parsed),
        inference_(inference),
        header_(kFileIdentifier) {}

  Folded fold(std::size_t page) {
    Folded folded;
    bool is_changed = false;
    for (std::size_t s = 0; s < parsed_.description->subgraphs.size(); ++s) {
      plans_.push_back(plan_of(parsed_.description->subgraphs[s], inference_.graphs[s]));
      folded.operators.push_back(plans_.back().operators);
      is_changed = is_changed || plans_.back().is_changed;
    }
    if (!is_changed) return folded;
    write_model();
    folded.header = std::move(header_).finish(page);
    return folded;
  }

 private:
  // The fields of `table` that hold offsets, as they are in the file.
  void keep_offsets(const Table& table, std::initializer_list<int> slots, std::vector<Field>& fields,
                    std::vector<std::size_t>& targets) const {
    for (const int slot : slots) {
      const std::size_t target = table.target(slot, "a field");
      if (target == 0) continue;
      fields.push_back({slot, 4});
      targets.push_back(target);
    }
  }

  void point_kept(const HeaderWriter::Table& table, std::size_t first,
                  const std::vector<std::size_t>& targets) {
    for (std::size_t i = 0; i < targets.size(); ++i) {
      header_.point_into_file(table.fields[first + i], targets[i]);
    }
  }

  void write_model() {
    std::vector<Field> fields{
        {slot::model::version, 4, kSchemaVersion}, {slot::model::subgraphs, 4}, {slot::model::buffers, 4}};
    std::vector<std::size_t> targets;
    keep_offsets(root_,
                 {slot::model::operator_codes, slot::model::description, slot::model::metadata_buffer,
                  slot::model::metadata, slot::model::signature_defs, slot::model::external_buffer_groups,
                  slot::model::external_buffers},
                 fields, targets);
    const auto model = header_.table(fields);
    header_.root(model.position);
    point_kept(model, 3, targets);

    const TableVector subgraphs = root_.tables(slot::model::subgraphs, "the subgraphs");
    const std::size_t list = header_.offsets(subgraphs.size());
    header_.point(model.fields[1], list);
    buffers_ = root_.tables(slot::model::buffers, "the buffers");
    for (std::size_t s = 0; s < subgraphs.size(); ++s) {
      const std::size_t at = HeaderWriter::element(list, s);
      if (plans_[s].is_changed) {
        header_.point(at, write_subgraph(s, subgraphs[s]));
      } else {
        header_.point_into_file(at, subgraphs.position(s));
      }
    }
    write_buffers(model.fields[2]);
  }

  std::size_t write_subgraph(std::size_t s, const Table& table) {
    std::vector<Field> fields{{slot::subgraph::tensors, 4}, {slot::subgraph::operators, 4}};
    std::vector<std::size_t> targets;
    keep_offsets(table, {slot::subgraph::inputs, slot::subgraph::outputs, slot::subgraph::name}, fields,
                 targets);
    const auto subgraph = header_.table(fields);
    point_kept(subgraph, 2, targets);
    write_tensors(s, table, subgraph.fields[0]);
    write_operators(s, table, subgraph.fields[1]);
    return subgraph.position;
  }

  void write_tensors(std::size_t s, const Table& table, std::size_t field) {
    const Plan& plan = plans_[s];
    const InferredGraph& inferred = inference_.graphs[s];
    const TableVector tensors = table.tables(slot::subgraph::tensors, "the tensors");
    const std::size_t list = header_.offsets(tensors.size() + plan.copies.size());
    header_.point(field, list);
    for (std::size_t i = 0; i < tensors.size(); ++i) {
      const std::size_t at = HeaderWriter::element(list, i);
      if (plan.constants.contains(static_cast<std::int32_t>(i))) {
        header_.point(at, write_tensor(s, i, tensors[i], inferred.values[i]));
      } else if (plan.is_resized[i]) {
        header_.point(at, write_tensor(s, i, tensors[i], std::nullopt));
      } else {
        header_.point_into_file(at, tensors.position(i));
      }
    }
    for (const auto& [tensor, copy] : plan.copies) {
      const auto i = static_cast<std::size_t>(tensor);
      header_.point(HeaderWriter::element(list, static_cast<std::size_t>(copy)),
                    write_tensor(s, i, tensors[i], inferred.values[i]));
    }
  }

  std::size_t write_tensor(std::size_t s, std::size_t i, const Table& table,
                           const std::optional<Values>& values) {
    const Tensor& tensor = parsed_.description->subgraphs[s].tensors[i];
    std::uint32_t buffer = tensor.buffer;
    if (values) {
      constants_.push_back(bytes_of(*values, tensor.type));
      buffer = static_cast<std::uint32_t>(buffers_.size() + constants_.size() - 1);
    }
    std::vector<Field> fields{{slot::tensor::shape, 4},
                              {slot::tensor::type, 1, static_cast<std::uint8_t>(tensor.type)},
                              {slot::tensor::buffer, 4, buffer},
                              {slot::tensor::has_rank, 1, 1}};
    std::vector<std::size_t> targets;
    keep_offsets(table, {slot::tensor::name, slot::tensor::quantization}, fields, targets);
    const auto written = header_.table(fields);
    point_kept(written, 4, targets);
    const Dims& dims = values ? values->dims : *inference_.graphs[s].shapes[i];
    header_.point(written.fields[0], header_.integers(std::vector<std::int32_t>(dims.begin(), dims.end())));
    return written.position;
  }

  void write_operators(std::size_t s, const Table& table, std::size_t field) {
    const Plan& plan = plans_[s];
    const TableVector operators = table.tables(slot::subgraph::operators, "the operators");
    const std::size_t list = header_.offsets(plan.operators.size());
    header_.point(field, list);
    for (std::size_t i = 0; i < plan.operators.size(); ++i) {
      const auto index = static_cast<std::size_t>(plan.operators[i]);
      const std::size_t at = HeaderWriter::element(list, i);
      std::vector<std::int32_t> inputs = parsed_.description->subgraphs[s].operators[index].inputs;
      bool reads_copy = false;
      for (std::int32_t& input : inputs) {
        const auto copy = plan.copies.find(input);
        if (copy == plan.copies.end()) continue;
        input = copy->second;
        reads_copy = true;
      }
      if (reads_copy) {
        header_.point(at, write_operator(operators[index], inputs));
      } else {
        header_.point_into_file(at, operators.position(index));
      }
    }
  }

  std::size_t write_operator(const Table& table, const std::vector<std::int32_t>& inputs) {
    std::vector<Field> fields{
        {slot::op::inputs, 4},
        {slot::op::opcode_index, 4, table.scalar<std::uint32_t>(slot::op::opcode_index, 0, "")}};
    // Unions: the type, then the value.
    for (const int options : {slot::op::options, slot::op::options2}) {
      if (table.has(options)) fields.push_back({options, 1, table.scalar<std::uint8_t>(options, 0, "")});
    }
    if (table.has(slot::op::custom_options_format)) {
      fields.push_back({slot::op::custom_options_format, 1,
                        table.scalar<std::uint8_t>(slot::op::custom_options_format, 0, "")});
    }
    const std::size_t first = fields.size();
    std::vector<std::size_t> targets;
    keep_offsets(table,
                 {slot::op::outputs, slot::op::options + 1, slot::op::custom_options,
                  slot::op::mutating_variable_inputs, slot::op::intermediates, slot::op::options2 + 1},
                 fields, targets);
    const auto written = header_.table(fields);
    point_kept(written, first, targets);
    header_.point(written.fields[0], header_.integers(inputs));
    return written.position;
  }

  void write_buffers(std::size_t field) {
    const std::size_t list = header_.offsets(buffers_.size() + constants_.size());
    header_.point(field, list);
    for (std::size_t i = 0; i < buffers_.size(); ++i) {
      const Table buffer = buffers_[i];
      const auto offset = buffer.scalar<std::uint64_t>(slot::buffer::offset, 0, "the offset");
      const std::size_t at = HeaderWriter::element(list, i);
      if (offset <= 1) {
        header_.point_into_file(at, buffers_.position(i));
        continue;
      }
      const Field fields[] = {
          {slot::buffer::offset, 8, offset},
          {slot::buffer::size, 8, buffer.scalar<std::uint64_t>(slot::buffer::size, 0, "")}};
      const auto written = header_.table(fields);
      header_.shift_into_file(written.fields[0]);
      header_.point(at, written.position);
    }
    for (std::size_t i = 0; i < constants_.size(); ++i) {
      const Field fields[] = {{slot::buffer::data, 4}};
      const auto written = header_.table(fields);
      header_.point(written.fields[0], header_.blob(constants_[i]));
      header_.point(HeaderWriter::element(list, buffers_.size() + i), written.position);
    }
  }

  Table root_;
  const Parsed& parsed_;
  const Inference& inference_;
  HeaderWriter header_;
  std::vector<Plan> plans_;
  TableVector buffers_;
  std::vector<std::vector<std::uint8_t>> constants_;
};

}  // namespace

Folded fold(const File& file, const Parsed& parsed, const Inference& inference, std::size_t page) {
  return Writer(file, parsed, inference).fold(page);
}

bool can_be_folded(const File& file, const Parsed& parsed) {
  const Table root(file, file.follow(0, "the model"), "the model");
  const TableVector subgraphs = root.tables(slot::model::subgraphs, "the subgraphs");
  for (std::size_t s = 0; s < subgraphs.size(); ++s) {
    const TableVector operators = subgraphs[s].tables(slot::subgraph::operators, "the operators");
    for (std::size_t i = 0; i < operators.size(); ++i) {
      // Writers use offset 1 as a placeholder for "none".
      if (operators[i].scalar<std::uint64_t>(slot::op::large_custom_options_offset, 0, "an offset") > 1)
        return false;
      if (parsed.description->subgraphs[s].operators[i].custom_code == "DISPATCH_OP") return false;
    }
  }
  return true;
}

}  // namespace litedelegates::model
