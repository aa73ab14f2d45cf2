#pragma once

#include <memory>
#include <span>
#include <vector>

#include "description.h"
#include "flatbuffer.h"
#include "option_layouts.h"

namespace litedelegates::model {

// What the checks need of an operator beyond its description.
struct OperatorDetails {
  OptionsKind kind = OptionsKind::none;
  Table options;
  std::span<const std::uint8_t> custom_options;
  std::vector<std::int32_t> intermediates;
};

struct SubgraphDetails {
  std::vector<Table> sparsity;  // one a tensor; absent for dense tensors
  std::vector<OperatorDetails> operators;
};

struct Parsed {
  std::size_t file_size = 0;
  std::shared_ptr<Description> description;
  std::vector<SubgraphDetails> subgraphs;
};

// Reads every table of the file, with every offset checked. What the values mean is not looked at, save for
// indices that are needed to read on: those of buffers and operator codes. `file` must outlive the result.
[[nodiscard]] Parsed parse(const File& file);

// The same of a file that was parsed before and verified, without making its description a second time; the
// details of its tensors, which only the verifier looks at, are left out.
[[nodiscard]] Parsed parse_again(const File& file, std::shared_ptr<Description> description);

}  // namespace litedelegates::model
