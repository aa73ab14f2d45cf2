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
    case ErrorKind::kRunTimeout:
      return "RunTimeoutError";
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
      if (PyErr_Occurred() != nullptr) return;  // of the signal handler that stopped the run
      const py::object type = py::module_::import("litedelegates.errors").attr(exception_name(error.kind()));
      PyErr_SetObject(type.ptr(), to_text(error.what()).ptr());
    } catch (const std::logic_error& error) {
      // None of ours: the runtime lets some of its own out, such as for a damaged model that passed every
      // check.
      const py::object type = py::module_::import("litedelegates.errors").attr("CompileError");
      const std::string words = "the runtime cannot work with this model and gave up inside: ";
      PyErr_SetObject(type.ptr(), to_text(words + error.what()).ptr());
    }
  });
}

}  // namespace litedelegates::bindings
