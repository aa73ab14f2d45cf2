#include "check_variables.h"

#include <map>
#include <string>

#include "place.h"
#include "verify.h"

namespace litedelegates::model {
namespace {

// The size of each dimension as stored, kUnknown where it may change; nothing when not even the rank is
// stored.
Shape stored_shape(const Tensor& tensor) {
  if (tensor.shape.empty() && !tensor.has_rank) return std::nullopt;
  Dims dims(tensor.shape.begin(), tensor.shape.end());
  for (std::size_t i = 0; i < tensor.shape_signature.size() && i < dims.size(); ++i) {
    if (tensor.shape_signature[i] < 0) dims[i] = kUnknown;
  }
  return dims;
}

bool may_be_equal(const Dims& left, const Dims& right) {
  if (left.size() != right.size()) return false;
  for (std::size_t i = 0; i < left.size(); ++i) {
    if (left[i] != right[i] && left[i] != kUnknown && right[i] != kUnknown) return false;
  }
  return true;
}

struct Variable {
  int type;
  Shape shape;
};

// The variables of the whole model, by container and name: subgraphs share them.
class Variables {
 public:
  void use(const std::string& name, const Tensor& value) {
    const auto [found, is_new] = variables_.try_emplace(name, Variable{value.type, stored_shape(value)});
    if (is_new) return;
    Variable& known = found->second;
    if (known.type != value.type) {
      throw InvalidModel(std::string("it uses a variable as ") + type_name(value.type) + " that is " +
                         type_name(known.type) + " elsewhere");
    }
    const Shape shape = stored_shape(value);
    if (!known.shape) known.shape = shape;
    if (shape && !may_be_equal(*known.shape, *shape)) {
      throw InvalidModel("it uses a variable with the shape " + text(*shape) + " that has the shape " +
                         text(*known.shape) + " elsewhere");
    }
  }

 private:
  std::map<std::string, Variable> variables_;
};

void check_subgraph(const Parsed& parsed, std::size_t s, Variables& variables) {
  const Subgraph& subgraph = parsed.description->subgraphs[s];
  std::map<std::int32_t, std::string> names;  // by the tensor that holds the handle
  for (std::size_t i = 0; i < subgraph.operators.size(); ++i) {
    const Operator& op = subgraph.operators[i];
    const Op code = static_cast<Op>(op.builtin_code);
    if (code == Op::VAR_HANDLE) {
      const OperatorDetails& details = parsed.subgraphs[s].operators[i];
      if (details.kind == OptionsKind::none) continue;
      names[op.outputs[0]] = std::string(details.options.string(0, "the container")) + '\n' +
                             std::string(details.options.string(1, "the name"));
    }
    if (code != Op::ASSIGN_VARIABLE && code != Op::READ_VARIABLE) continue;
    const auto handle = names.find(op.inputs[0]);
    if (handle == names.end()) continue;  // a handle from outside: not followed
    const std::int32_t value = code == Op::ASSIGN_VARIABLE ? op.inputs[1] : op.outputs[0];
    in_place("operator", i, "subgraph", s,
             [&] { variables.use(handle->second, subgraph.tensors[static_cast<std::size_t>(value)]); });
  }
}

}  // namespace

void check_variables(const Parsed& parsed) {
  Variables variables;
  for (std::size_t s = 0; s < parsed.description->subgraphs.size(); ++s) check_subgraph(parsed, s, variables);
}

void check_read_variable(Node& node) { node.set_output(0, stored_shape(node.output(0))); }

}  // namespace litedelegates::model
