#include "infer.h"

#include <algorithm>
#include <array>
#include <span>

#include "check_graph.h"
#include "check_operators.h"
#include "evaluate.h"
#include "place.h"
#include "verify.h"

namespace litedelegates::model {
namespace {

// The operands whose values tell the size of the output.
std::span<const std::size_t> size_operands(Op op) {
  static constexpr std::array<std::size_t, 1> kZero{0}, kOne{1}, kTwo{2}, kThree{3};
  static constexpr std::array<std::size_t, 2> kOneTwo{1, 2};
  static constexpr std::array<std::size_t, 3> kAll{0, 1, 2}, kOneTwoThree{1, 2, 3};
  switch (op) {
    case Op::TRANSPOSE_CONV:
    case Op::CONV_3D_TRANSPOSE:
    case Op::FILL:
    case Op::SPLIT:
    case Op::RANDOM_UNIFORM:
    case Op::RANDOM_STANDARD_NORMAL:
      return kZero;
    case Op::RESHAPE:
    case Op::RESIZE_BILINEAR:
    case Op::RESIZE_NEAREST_NEIGHBOR:
    case Op::PAD:
    case Op::PADV2:
    case Op::MIRROR_PAD:
    case Op::TILE:
    case Op::BROADCAST_TO:
    case Op::EXPAND_DIMS:
    case Op::TRANSPOSE:
    case Op::MEAN:
    case Op::SUM:
    case Op::REDUCE_PROD:
    case Op::REDUCE_MAX:
    case Op::REDUCE_MIN:
    case Op::REDUCE_ANY:
    case Op::REDUCE_ALL:
    case Op::ARG_MAX:
    case Op::ARG_MIN:
    case Op::TOPK_V2:
    case Op::ONE_HOT:
    case Op::SPARSE_TO_DENSE:
    case Op::RFFT2D:
    case Op::MULTINOMIAL:
    case Op::DILATE:
    case Op::SEGMENT_SUM:
      return kOne;
    case Op::SCATTER_ND:
    case Op::NON_MAX_SUPPRESSION_V4:
    case Op::NON_MAX_SUPPRESSION_V5:
    case Op::UNSORTED_SEGMENT_PROD:
    case Op::UNSORTED_SEGMENT_MAX:
    case Op::UNSORTED_SEGMENT_SUM:
    case Op::UNSORTED_SEGMENT_MIN:
      return kTwo;
    case Op::EMBEDDING_LOOKUP_SPARSE:
      return kThree;
    case Op::SLICE:
    case Op::SPACE_TO_BATCH_ND:
    case Op::BATCH_TO_SPACE_ND:
    case Op::SPLIT_V:
      return kOneTwo;
    case Op::STRIDED_SLICE:
      return kOneTwoThree;
    case Op::RANGE:
      return kAll;
    default:
      return {};
  }
}

// The size of the output counts what is found in the values of the data.
bool counts_values(Op op) { return op == Op::WHERE || op == Op::UNIQUE; }

bool calls_for_outputs(Op op) {
  return op == Op::IF || op == Op::WHILE || op == Op::STABLEHLO_CASE || op == Op::STABLEHLO_WHILE ||
         op == Op::STABLEHLO_COMPOSITE;
}

bool is_complete(const Shape& shape) { return shape && element_count(*shape) != kUnknown; }

// The size that holds for both, with kUnknown where they differ.
Shape merge(const Shape& a, const Shape& b) {
  if (!a || !b || a->size() != b->size()) return std::nullopt;
  Dims merged = *a;
  for (std::size_t i = 0; i < merged.size(); ++i) {
    if (merged[i] != (*b)[i]) merged[i] = kUnknown;
  }
  return merged;
}

// Constants and variables have the shape that the file gives them.
std::vector<Shape> shapes_of_constants(const Subgraph& subgraph) {
  std::vector<Shape> shapes(subgraph.tensors.size());
  std::vector<bool> is_computed(shapes.size());
  for (const Operator& op : subgraph.operators) {
    for (const std::int32_t output : op.outputs) is_computed[static_cast<std::size_t>(output)] = true;
  }
  for (std::size_t i = 0; i < shapes.size(); ++i) {
    const Tensor& tensor = subgraph.tensors[i];
    // Converters write an empty constant without data.
    if (!is_computed[i]) shapes[i] = Dims(tensor.shape.begin(), tensor.shape.end());
  }
  return shapes;
}

class Walk {
 public:
  Walk(const Parsed& parsed) : parsed_(parsed) {
    result_.graphs.resize(parsed.description->subgraphs.size());
  }

  Inference infer(std::size_t entry, const std::vector<Dims>& inputs) {
    Arguments arguments;
    for (const Dims& dims : inputs) arguments.push_back({dims, std::nullopt});
    static_cast<void>(call(entry, arguments, true));
    return std::move(result_);
  }

 private:
  struct Argument {
    Shape shape;
    std::optional<Values> values;
  };
  using Arguments = std::vector<Argument>;

  // A damaged file could nest loops so that the walk doubles with every level.
  void spend() {
    if (++operators_ > kMostOperators)
      throw InvalidModel("its subgraphs call each other too often to follow");
  }

  Arguments call(std::size_t s, const Arguments& arguments, bool record) {
    const Subgraph& subgraph = parsed_.description->subgraphs[s];
    std::vector<Shape> shapes = shapes_of_constants(subgraph);
    KnownValues values(shapes.size());
    for (std::size_t i = 0; i < shapes.size(); ++i) {
      if (shapes[i] && element_count(*shapes[i]) == 0) values[i] = Values{*shapes[i], {}, {}};
    }
    for (std::size_t i = 0; i < subgraph.inputs.size(); ++i) {
      const auto tensor = static_cast<std::size_t>(subgraph.inputs[i]);
      shapes[tensor] = arguments.at(i).shape;
      values[tensor] = arguments.at(i).values;
    }
    for (std::size_t i = 0; i < subgraph.operators.size(); ++i) {
      in_place("operator", i, "subgraph", s, [&] { step(s, i, shapes, values, record); });
    }
    if (record) keep(s, shapes, values);
    Arguments outputs;
    for (const std::int32_t output : subgraph.outputs) {
      const auto tensor = static_cast<std::size_t>(output);
      const auto& known = values[tensor];
      outputs.push_back({shapes[tensor], known ? known : constant_values(subgraph.tensors[tensor])});
    }
    return outputs;
  }

  void step(std::size_t s, std::size_t i, std::vector<Shape>& shapes, KnownValues& values, bool record) {
    spend();
    const Subgraph& subgraph = parsed_.description->subgraphs[s];
    const Operator& op = subgraph.operators[i];
    Node node(subgraph, op, parsed_.subgraphs[s].operators[i], shapes, &values);
    check_operator(node, parsed_);
    Arguments outputs = calls_for_outputs(node.op()) ? called(node, record) : plain(node);
    for (std::size_t k = 0; k < op.outputs.size(); ++k) {
      const auto tensor = static_cast<std::size_t>(op.outputs[k]);
      shapes[tensor] = outputs.at(k).shape;
      values[tensor] = std::move(outputs[k].values);
      if (record && !is_complete(shapes[tensor]) && !result_.unknown) {
        result_.unknown =
            RuntimeSized{s, i, op.custom_code.empty() ? operator_name(op.builtin_code) : op.custom_code};
      }
    }
  }

  // An operator that calls nothing.
  static Arguments plain(Node& node) {
    for (std::size_t k = 0; k < node.output_count(); ++k) {
      if (!is_complete(node.output_shape(k)) && is_as_stored(node))
        node.set_output(k, stored(node.output(k)));
    }
    KnownValues values = evaluate(node);
    Arguments outputs;
    for (std::size_t k = 0; k < node.output_count(); ++k) {
      outputs.push_back({node.output_shape(k), std::move(values[k])});
    }
    return outputs;
  }

  // Whether the output has the size that the file stores, for an operator without a rule: its inputs have
  // theirs.
  static bool is_as_stored(const Node& node) {
    if (counts_values(node.op())) return false;
    for (const std::size_t operand : size_operands(node.op())) {
      if (node.has_input(operand) && !node.constant(operand)) return false;
    }
    for (std::size_t i = 0; i < node.input_count(); ++i) {
      if (!node.has_input(i)) continue;
      const Tensor& tensor = node.input(i);
      if (!is_complete(node.input_shape(i)) ||
          *node.input_shape(i) != Dims(tensor.shape.begin(), tensor.shape.end())) {
        return false;
      }
    }
    return true;
  }

  static Shape stored(const Tensor& tensor) {
    if (tensor.shape.empty() && !tensor.has_rank) return std::nullopt;
    return Dims(tensor.shape.begin(), tensor.shape.end());
  }

  Arguments called(const Node& node, bool record) {
    const auto targets = called_subgraphs(node.description(), node.details());
    Arguments inputs;
    const bool skips_first = node.op() == Op::IF || node.op() == Op::STABLEHLO_CASE;
    for (std::size_t i = skips_first ? 1 : 0; i < node.input_count(); ++i) {
      inputs.push_back({node.input_shape(i), node.known(i)});
    }
    Arguments unknown(node.output_count());
    if (targets.empty()) return unknown;
    if (node.op() == Op::WHILE || node.op() == Op::STABLEHLO_WHILE) {
      return loop(static_cast<std::size_t>(targets[0]), static_cast<std::size_t>(targets[1]),
                  std::move(inputs), record);
    }
    Arguments merged;
    for (const std::int64_t target : targets) {
      const Arguments outputs = call(static_cast<std::size_t>(target), inputs, record);
      if (outputs.size() != node.output_count()) return unknown;
      if (merged.empty()) {
        merged = outputs;
        continue;
      }
      for (std::size_t i = 0; i < merged.size(); ++i) {
        merged[i].shape = merge(merged[i].shape, outputs[i].shape);
        if (merged[i].values != outputs[i].values) merged[i].values.reset();
      }
    }
    return merged;
  }

  // What is carried from round to round keeps its shape, or its size is unknown.
  Arguments loop(std::size_t condition, std::size_t body, Arguments carried, bool record) {
    const Subgraph& graph = parsed_.description->subgraphs[body];
    for (std::size_t i = 0; i < carried.size(); ++i) {
      if (graph.outputs.at(i) != graph.inputs.at(i)) carried[i].values.reset();
    }
    bool is_stable = false;
    for (std::size_t round = 0; !is_stable && round < kMostRounds; ++round) {
      const Arguments outputs = call(body, carried, false);
      is_stable = true;
      for (std::size_t i = 0; i < carried.size(); ++i) {
        Shape merged = merge(carried[i].shape, outputs.at(i).shape);
        is_stable = is_stable && merged == carried[i].shape;
        carried[i].shape = std::move(merged);
      }
    }
    static_cast<void>(call(condition, carried, record));
    static_cast<void>(call(body, carried, record));
    return carried;
  }

  void keep(std::size_t s, const std::vector<Shape>& shapes, const KnownValues& values) {
    InferredGraph& graph = result_.graphs[s];
    if (graph.is_reached && (graph.shapes != shapes || graph.values != values)) graph.is_consistent = false;
    graph.is_reached = true;
    graph.shapes = shapes;
    graph.values = values;
  }

  static constexpr std::size_t kMostOperators = 1 << 20;
  static constexpr std::size_t kMostRounds =
      kMaxRank + 2;  // each but the last makes a size or a rank unknown

  const Parsed& parsed_;
  Inference result_;
  std::size_t operators_ = 0;
};

}  // namespace

Inference infer(const Parsed& parsed, std::size_t entry, const std::vector<Dims>& inputs) {
  return Walk(parsed).infer(entry, inputs);
}

bool computes_shapes(const Description& model) {
  for (const Subgraph& subgraph : model.subgraphs) {
    for (const Operator& op : subgraph.operators) {
      const auto code = static_cast<Op>(op.builtin_code);
      if (counts_values(code) || calls_for_outputs(code)) return true;
      for (const std::size_t operand : size_operands(code)) {
        if (operand >= op.inputs.size() || op.inputs[operand] == kAbsent) continue;
        if (!subgraph.tensors[static_cast<std::size_t>(op.inputs[operand])].has_data) return true;
      }
    }
  }
  return false;
}

}  // namespace litedelegates::model
