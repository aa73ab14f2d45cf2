// The one exception of the native core and the one way to look at a status.
#pragma once

#include <stdexcept>
#include <string>

#include "runtime/litert_abi.h"

namespace litedelegates {

// What went wrong, in the words of the Python exceptions that the bindings raise for it.
enum class ErrorKind {
  kInvalidModel,
  kRuntimeLibrary,
  kDelegate,
  kCompile,
  kRun,
  kRunTimeout,
  kOption,
  kUnsupported
};

class Error : public std::runtime_error {
 public:
  Error(ErrorKind kind, const std::string& message) : std::runtime_error(message), kind_(kind) {}
  [[nodiscard]] ErrorKind kind() const { return kind_; }

 private:
  ErrorKind kind_;
};

// A status in words, for example "invalid argument".
[[nodiscard]] const char* status_name(LiteRtStatus status);

// Raise `kind` with "cannot <what>: <status in words>" unless the status is ok.
void check(LiteRtStatus status, ErrorKind kind, const std::string& what);

}  // namespace litedelegates
