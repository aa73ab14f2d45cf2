#include <array>
#include <cstddef>
#include <string>

#include "operators.h"
#include "verify.h"

namespace litedelegates::model {
namespace {

constexpr std::array kOperatorNames = {
#define X(name) #name,
    LITEDELEGATES_OPERATORS(X)
#undef X
};

constexpr std::array kTypeNames = {
    "FLOAT32",   "FLOAT16", "INT32",    "UINT8",      "INT64",  "STRING",        "BOOL",        "INT16",
    "COMPLEX64", "INT8",    "FLOAT64",  "COMPLEX128", "UINT64", "RESOURCE",      "VARIANT",     "UINT32",
    "UINT16",    "INT4",    "BFLOAT16", "INT2",       "UINT4",  "FLOAT8_E4M3FN", "FLOAT8_E5M2",
};

// Callers keep the pointer, so the names live as long as the program; codes come from the file and may be
// anything.
const char* unknown_name(std::int64_t code) {
  static const auto names = [] {
    std::array<std::string, 1000> made;
    for (std::size_t i = 0; i < made.size(); ++i) made[i] = "UNKNOWN_" + std::to_string(i);
    return made;
  }();
  return code >= 0 && code < static_cast<std::int64_t>(names.size())
             ? names[static_cast<std::size_t>(code)].c_str()
             : "UNKNOWN";
}

}  // namespace

const char* operator_name(std::int32_t builtin_code) {
  if (builtin_code < 0 || static_cast<std::size_t>(builtin_code) >= kOperatorNames.size()) {
    return unknown_name(builtin_code);
  }
  return kOperatorNames[static_cast<std::size_t>(builtin_code)];
}

const char* type_name(int type) {
  if (type < 0 || static_cast<std::size_t>(type) >= kTypeNames.size()) return unknown_name(type);
  return kTypeNames[static_cast<std::size_t>(type)];
}

}  // namespace litedelegates::model
