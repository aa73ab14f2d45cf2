#include "bindings/registers.h"
#include "runtime/error.h"

namespace py = pybind11;

namespace litedelegates::bindings {
namespace {

const char* exception_name(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::kInvalidModel:
      return "InvalidModelError";
    case ErrorKind::kRuntimeLibrary:
      return "RuntimeLibraryError";
    case ErrorKind::kDelegate:
      return "DelegateError";
    case ErrorKind::kCompile:
      return "CompileError";
    case ErrorKind::kRun:
      return "RunError";
    case ErrorKind::kOption:
      return "OptionError";
    case ErrorKind::kUnsupported:
      return "UnsupportedError";
  }
  return "LiteDelegatesError";
}

}  // namespace

void register_errors(py::module_&) {
  py::register_exception_translator([](std::exception_ptr pointer) {
    try {
      if (pointer) std::rethrow_exception(pointer);
    } catch (const Error& error) {
      const py::object type = py::module_::import("litedelegates.errors").attr(exception_name(error.kind()));
      PyErr_SetObject(type.ptr(), to_text(error.what()).ptr());
    }
  });
}

}  // namespace litedelegates::bindings
