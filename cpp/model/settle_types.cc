#include "settle_types.h"

#include <algorithm>
#include <array>
#include <optional>

#include "by_operator.h"
#include "check_tensors.h"
#include "node.h"
#include "place.h"

namespace litedelegates::model {
namespace {

struct Source {
  Op op;
  std::size_t input = 0;
};

// Found by experiment (tools/kernels): every other type that the file can have in these places gave the same
// outputs, in the type of this input.
constexpr ByOperator kSources(std::to_array<Source>({
    {Op::NEG},
    {Op::EXP},
    {Op::FLOOR},
    {Op::CEIL},
    {Op::ROUND},
    {Op::ZEROS_LIKE},
    {Op::ADD},
    {Op::SUB},
    {Op::MAXIMUM},
    {Op::MINIMUM},
    {Op::SQUARED_DIFFERENCE},
    {Op::PRELU},
    {Op::BITWISE_XOR},
    {Op::RIGHT_SHIFT},
    {Op::ADD_N},
    {Op::SELECT, 1},
    {Op::SELECT_V2, 1},
    {Op::EXPAND_DIMS},
    {Op::SPLIT, 1},
    {Op::SPLIT_V},
    {Op::FILL, 1},
    {Op::DYNAMIC_UPDATE_SLICE},
    {Op::MATRIX_DIAG},
    {Op::RESIZE_BILINEAR},
    {Op::RESIZE_NEAREST_NEIGHBOR},
    {Op::GATHER},
    {Op::GATHER_ND},
    {Op::SCATTER_ND, 1},
    {Op::ONE_HOT, 2},
    {Op::SPARSE_TO_DENSE, 2},
}));

std::optional<int> type_of_outputs(const Subgraph& subgraph, const Operator& op) {
  const Source* found = kSources.find(static_cast<Op>(op.builtin_code));
  if (found == nullptr || found->input >= op.inputs.size()) return std::nullopt;
  const std::int32_t input = op.inputs[found->input];
  if (input == kAbsent) return std::nullopt;
  return subgraph.tensors[static_cast<std::size_t>(input)].type;
}

}  // namespace

void settle_types(Parsed& parsed) {
  for (std::size_t s = 0; s < parsed.description->subgraphs.size(); ++s) {
    Subgraph& subgraph = parsed.description->subgraphs[s];
    const auto& outside = subgraph.outputs;  // callers make memory for these of the type in the file
    for (const Operator& op : subgraph.operators) {
      const std::optional<int> type = type_of_outputs(subgraph, op);
      for (const std::int32_t output : op.outputs) {
        const auto index = static_cast<std::size_t>(output);
        Tensor& tensor = subgraph.tensors[index];
        if (!type || tensor.type == *type) continue;
        if (std::find(outside.begin(), outside.end(), output) != outside.end()) continue;
        tensor.type = *type;
        in_place("tensor", index, "subgraph", s,
                 [&] { check_tensor(tensor, subgraph, parsed.subgraphs[s].sparsity[index]); });
      }
    }
  }
}

}  // namespace litedelegates::model
