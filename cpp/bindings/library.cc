#include "runtime/library.h"

#include "bindings/registers.h"
#include "bindings/without_gil.h"

namespace py = pybind11;

namespace litedelegates::bindings {

void register_library(py::module_& module) {
  module.def("open_library", &open_library, py::arg("path"), py::kw_only(), py::arg("folder"),
             py::call_guard<WithoutGil>());
}

}  // namespace litedelegates::bindings
