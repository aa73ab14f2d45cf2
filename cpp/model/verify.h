#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <stdexcept>

#include "description.h"

namespace litedelegates::model {

// The message says what is wrong and where, in the terms of the model.
class InvalidModel : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// Checks a whole .tflite file and describes it; throws InvalidModel. The weights are never read, so the time
// depends on the number of operators and tensors and not on the size of the file.
//
// The runtime trusts its input: a corrupt file makes it crash or hang. This is the only thing between the
// two, so it refuses whatever is known to end that way, and leaves to the runtime whatever it reports as an
// ordinary error.
[[nodiscard]] std::shared_ptr<Description> verify(std::span<const std::uint8_t> bytes);

// "CONV_2D"; "UNKNOWN_240" for a code newer than this table.
[[nodiscard]] const char* operator_name(std::int32_t builtin_code);

// "FLOAT32"; "UNKNOWN_40" for a type newer than this table.
[[nodiscard]] const char* type_name(int type);

}  // namespace litedelegates::model
