#include <string>

#include "check_tensors.h"
#include "operators.h"
#include "place.h"
#include "verify.h"

namespace litedelegates::model {
namespace {

constexpr std::size_t kWeights = 1;

// Kernels that read the parameters of a sparse constant; the others read it as if every element were stored.
bool reads_sparse(const Operator& op, std::size_t input) {
  if (!op.custom_code.empty()) return true;  // its kernel is not ours to judge
  const auto type = static_cast<Op>(op.builtin_code);
  const bool reads_shape_only = type == Op::SHAPE || type == Op::RANK;
  return type == Op::DENSIFY || (type == Op::FULLY_CONNECTED && input == kWeights) || reads_shape_only;
}

}  // namespace

void check_sparse_reads(const Subgraph& subgraph, std::size_t index) {
  for (std::size_t o = 0; o < subgraph.operators.size(); ++o) {
    const Operator& op = subgraph.operators[o];
    for (std::size_t i = 0; i < op.inputs.size(); ++i) {
      const std::int32_t tensor = op.inputs[i];
      if (tensor < 0) continue;
      const Tensor& read = subgraph.tensors[static_cast<std::size_t>(tensor)];
      if (!read.is_sparse || !read.has_data || reads_sparse(op, i)) continue;
      in_place("operator", o, "subgraph", index, [&] {
        throw InvalidModel(std::string(operator_name(op.builtin_code)) + " reads tensor " +
                           std::to_string(tensor) +
                           ", which is sparse, as if it were dense: put a DENSIFY between them");
      });
    }
  }
}

}  // namespace litedelegates::model
