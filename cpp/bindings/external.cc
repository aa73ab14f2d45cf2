#include "delegates/external.h"

#include <pybind11/stl.h>

#include "bindings/registers.h"
#include "bindings/without_gil.h"
#include "delegates/shared_library.h"

namespace py = pybind11;

namespace litedelegates::bindings {
namespace {

std::shared_ptr<ExternalDelegate> load(const std::string& library, const ExternalDelegate::Options& options) {
  const WithoutGil nogil;
  return {new ExternalDelegate(library, options), delete_without_gil<ExternalDelegate>};
}

}  // namespace

void register_external(py::module_& module) {
  py::class_<ExternalDelegate, LoadedDelegate, std::shared_ptr<ExternalDelegate>>(module, "ExternalDelegate")
      .def(py::init(&load), py::arg("library"), py::kw_only(), py::arg("options"));
  module.def(
      "open_delegate_library", [](const std::string& path) { open_delegate_library(path); }, py::arg("path"),
      py::call_guard<WithoutGil>());
}

}  // namespace litedelegates::bindings
