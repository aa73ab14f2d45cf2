#include "runtime/error.h"

namespace litedelegates {

const char* status_name(LiteRtStatus status) {
  switch (static_cast<int32_t>(status)) {
    case 0:
      return "ok";
    case 1:
      return "invalid argument";
    case 2:
      return "out of memory";
    case 3:
      return "runtime failure";
    case 4:
      return "missing input tensor";
    case 5:
      return "unsupported";
    case 6:
      return "not found";
    case 7:
      return "timeout expired";
    case 8:
      return "wrong version";
    case 10:
      return "already exists";
    case 100:
      return "cancelled";
    case 500:
      return "file error";
    case 501:
      return "invalid flatbuffer";
    case 502:
      return "a library could not be loaded";
    case 503:
      return "serialization failed";
    case 504:
      return "compilation failed";
    case 1000:
      return "index out of bounds";
    case 1001:
      return "invalid graph type";
    case 1002:
      return "invalid graph";
    case 4000:
      return "unsupported runtime version";
    case 4001:
      return "unsupported compiler version";
    case 5000:
      return "no shape inference for an op";
    case 5001:
      return "shape inference failed";
    default:
      return "unknown failure";
  }
}

void check(LiteRtStatus status, ErrorKind kind, const std::string& what) {
  if (status == LiteRtStatus::kOk) return;
  throw Error(kind, "cannot " + what + ": " + status_name(status) + " (LiteRT status " +
                        std::to_string(static_cast<int32_t>(status)) + ")");
}

}  // namespace litedelegates
