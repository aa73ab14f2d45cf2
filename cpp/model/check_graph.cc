#include "check_graph.h"

#include <algorithm>
#include <string>

#include "place.h"
#include "verify.h"

namespace litedelegates::model {
namespace {

std::string count_of(std::size_t count, const char* what) { return std::to_string(count) + " " + what; }

void check_indices(const std::vector<std::int32_t>& indices, std::size_t tensors, const char* what,
                   bool optional) {
  for (const std::int32_t index : indices) {
    if (optional && index == kAbsent) continue;
    if (index < 0 || static_cast<std::size_t>(index) >= tensors) {
      throw InvalidModel(std::string(what) + " is tensor " + std::to_string(index) +
                         ", but the subgraph has " + count_of(tensors, "tensors"));
    }
  }
}

// Marks what is available before the first operator: constants, variables and the inputs of the subgraph.
std::vector<bool> initially_available(const Subgraph& subgraph) {
  std::vector<bool> available(subgraph.tensors.size());
  for (std::size_t i = 0; i < available.size(); ++i) {
    const Tensor& tensor = subgraph.tensors[i];
    available[i] = tensor.has_data || tensor.is_variable || tensor.external_buffer != 0;
  }
  for (const std::int32_t index : subgraph.inputs) available[static_cast<std::size_t>(index)] = true;
  return available;
}

void check_operator_order(const Operator& op, std::vector<bool>& available) {
  for (const std::int32_t index : op.inputs) {
    if (index != kAbsent && !available[static_cast<std::size_t>(index)]) {
      throw InvalidModel(std::string(operator_name(op.builtin_code)) + " reads tensor " +
                         std::to_string(index) + " before anything has written it");
    }
  }
  for (const std::int32_t index : op.outputs) {
    if (available[static_cast<std::size_t>(index)]) {
      throw InvalidModel(std::string(operator_name(op.builtin_code)) + " writes tensor " +
                         std::to_string(index) +
                         ", which is an input, a constant, a variable or the output of another operator");
    }
    available[static_cast<std::size_t>(index)] = true;
  }
}

// Only operators make handles of variables and tables. Callers, files and states have none to give, and
// operators would follow whatever lies in memory.
void check_handles(const Subgraph& subgraph, bool is_main) {
  for (std::size_t i = 0; i < subgraph.tensors.size(); ++i) {
    const Tensor& tensor = subgraph.tensors[i];
    const auto type = static_cast<Type>(tensor.type);
    if (type != Type::RESOURCE && type != Type::VARIANT) continue;
    const auto& inputs = subgraph.inputs;
    const bool is_input =
        is_main && std::find(inputs.begin(), inputs.end(), static_cast<std::int32_t>(i)) != inputs.end();
    if (is_input || tensor.is_variable || tensor.has_data || tensor.external_buffer != 0) {
      throw InvalidModel(std::string(is_input ? "input " : "") + "tensor " + std::to_string(i) +
                         " is of type " + type_name(tensor.type) + ", which only an operator can give");
    }
  }
}

void check_subgraph(const Subgraph& subgraph, const SubgraphDetails& details, std::size_t index) {
  const std::size_t tensors = subgraph.tensors.size();
  in_place("subgraph", index, [&] {
    check_indices(subgraph.inputs, tensors, "an input", false);
    check_indices(subgraph.outputs, tensors, "an output", false);
  });
  for (const std::int32_t input : subgraph.inputs) {
    if (subgraph.tensors[static_cast<std::size_t>(input)].has_data) {
      throw InvalidModel("subgraph " + std::to_string(index) + ": its input, tensor " +
                         std::to_string(input) + ", is a constant of the file and cannot be written");
    }
  }
  check_handles(subgraph, index == 0);
  std::vector<bool> available = initially_available(subgraph);
  for (std::size_t i = 0; i < subgraph.operators.size(); ++i) {
    in_place("operator", i, "subgraph", index, [&] {
      const Operator& op = subgraph.operators[i];
      check_indices(op.inputs, tensors, "an input", true);
      check_indices(op.outputs, tensors, "an output", false);
      check_indices(details.operators[i].intermediates, tensors, "an intermediate", true);
      check_operator_order(op, available);
    });
  }
  for (const std::int32_t output : subgraph.outputs) {
    if (!available[static_cast<std::size_t>(output)]) {
      throw InvalidModel("subgraph " + std::to_string(index) + ": its output, tensor " +
                         std::to_string(output) + ", is written by no operator");
    }
  }
}

enum class Visit { no, open, done };

// Calls are recursion, here as in the runtime.
constexpr int kMostNested = 64;

// Depth first; a call of a subgraph that is still open is a recursion without end.
void check_calls(const Parsed& parsed, std::size_t index, int depth, std::vector<Visit>& visits) {
  if (depth > kMostNested)
    throw InvalidModel("calls are nested more than " + std::to_string(kMostNested) + " deep");
  visits[index] = Visit::open;
  const Subgraph& subgraph = parsed.description->subgraphs[index];
  for (std::size_t i = 0; i < subgraph.operators.size(); ++i) {
    in_place("operator", i, "subgraph", index, [&] {
      for (const std::int64_t called :
           called_subgraphs(subgraph.operators[i], parsed.subgraphs[index].operators[i])) {
        if (called < 0 || called >= static_cast<std::int64_t>(visits.size())) {
          throw InvalidModel("calls subgraph " + std::to_string(called) + ", but the model has " +
                             count_of(visits.size(), "subgraphs"));
        }
        const auto target = static_cast<std::size_t>(called);
        if (visits[target] == Visit::open) {
          throw InvalidModel("calls subgraph " + std::to_string(called) + ", which leads back here");
        }
        if (visits[target] == Visit::no) check_calls(parsed, target, depth + 1, visits);
      }
    });
  }
  visits[index] = Visit::done;
}

void check_entries(const std::vector<SignatureEntry>& entries, const Subgraph& subgraph) {
  for (const SignatureEntry& entry : entries) {
    if (entry.tensor_index >= subgraph.tensors.size()) {
      throw InvalidModel("\"" + entry.name + "\" is tensor " + std::to_string(entry.tensor_index) +
                         ", but the subgraph has " + count_of(subgraph.tensors.size(), "tensors"));
    }
  }
}

}  // namespace

std::vector<std::int64_t> called_subgraphs(const Operator& op, const OperatorDetails& details) {
  const auto pick = [&](OptionsKind kind, std::initializer_list<int> slots) {
    std::vector<std::int64_t> called;
    for (const int slot : slots) {
      // Without options the runtime sees zeros, that is, the main subgraph.
      called.push_back(details.kind == kind ? details.options.scalar<std::int32_t>(slot, 0, "a subgraph")
                                            : 0);
    }
    return called;
  };
  const auto pick_if_given = [&](OptionsKind kind, int slot) {
    return details.kind == kind ? pick(kind, {slot}) : std::vector<std::int64_t>{};
  };
  switch (static_cast<Op>(op.builtin_code)) {
    case Op::IF:
      return pick(OptionsKind::if_, {0, 1});
    case Op::WHILE:
      return pick(OptionsKind::while_, {0, 1});
    case Op::CALL_ONCE:
      return pick(OptionsKind::call_once, {0});
    case Op::STABLEHLO_WHILE:
      return pick(OptionsKind::stablehlo_while, {0, 1});
    case Op::STABLEHLO_COMPOSITE:
      return pick_if_given(OptionsKind::stablehlo_composite, 1);
    case Op::STABLEHLO_REDUCE:
      return pick_if_given(OptionsKind::stablehlo_reduce, 1);
    case Op::STABLEHLO_SCATTER:
      return pick(OptionsKind::stablehlo_scatter, {6});
    case Op::STABLEHLO_REDUCE_WINDOW:
      return pick_if_given(OptionsKind::stablehlo_reduce_window, 5);
    case Op::STABLEHLO_SORT:
      return pick_if_given(OptionsKind::stablehlo_sort, 2);
    case Op::STABLEHLO_CASE: {
      std::vector<std::int64_t> called;
      if (details.kind != OptionsKind::stablehlo_case) return called;
      const auto branches = details.options.vector<std::int32_t>(0, "the branches");
      for (std::size_t i = 0; i < branches.size(); ++i) called.push_back(branches[i]);
      return called;
    }
    default:
      return {};
  }
}

void check_graph(const Parsed& parsed) {
  const auto& subgraphs = parsed.description->subgraphs;
  for (std::size_t i = 0; i < subgraphs.size(); ++i) check_subgraph(subgraphs[i], parsed.subgraphs[i], i);
  std::vector<Visit> visits(subgraphs.size(), Visit::no);
  for (std::size_t i = 0; i < subgraphs.size(); ++i) {
    if (visits[i] == Visit::no) check_calls(parsed, i, 1, visits);
  }
}

void check_signatures(const Description& model) {
  for (std::size_t i = 0; i < model.signatures.size(); ++i) {
    in_place("signature", i, [&] {
      const Signature& signature = model.signatures[i];
      if (signature.subgraph_index >= model.subgraphs.size()) {
        throw InvalidModel("belongs to subgraph " + std::to_string(signature.subgraph_index) +
                           ", but the model has " + count_of(model.subgraphs.size(), "subgraphs"));
      }
      check_entries(signature.inputs, model.subgraphs[signature.subgraph_index]);
      check_entries(signature.outputs, model.subgraphs[signature.subgraph_index]);
    });
  }
}

}  // namespace litedelegates::model
