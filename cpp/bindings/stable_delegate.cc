#include "delegates/stable.h"

#include "bindings/registers.h"
#include "bindings/without_gil.h"

namespace py = pybind11;

namespace litedelegates::bindings {
namespace {

// Delegates load and unload firmware: never with the GIL held.
void destroy(StableDelegate* delegate) {
  if (PyGILState_Check() == 0) {
    delete delegate;
    return;
  }
  const WithoutGil nogil;
  delete delegate;
}

std::shared_ptr<StableDelegate> load(std::string path, const py::bytes& settings,
                                     bool prefers_host_accessors) {
  StableDelegateRequest request{std::move(path), settings, prefers_host_accessors};
  const WithoutGil nogil;
  return {new StableDelegate(request), destroy};
}

}  // namespace

void register_stable_delegate(py::module_& module) {
  py::class_<StableDelegate, LoadedDelegate, std::shared_ptr<StableDelegate>>(module, "StableDelegate")
      .def(py::init(&load), py::arg("path"), py::kw_only(), py::arg("settings"),
           py::arg("prefers_host_accessors"))
      .def_property_readonly("name", [](const StableDelegate& delegate) { return delegate.name(); })
      .def_property_readonly("version", [](const StableDelegate& delegate) { return delegate.version(); });
  module.def("host_accessors_are_open", &host_accessors_are_open);
}

}  // namespace litedelegates::bindings
