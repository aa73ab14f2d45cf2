// One function for each noun of the module; module.cc calls them in order.
#pragma once

#include <pybind11/pybind11.h>

#include <string>

namespace litedelegates::bindings {

// Text out of a model file, where nothing makes sure that it is UTF-8.
inline pybind11::str to_text(const std::string& bytes) {
  return pybind11::reinterpret_steal<pybind11::str>(
      PyUnicode_DecodeUTF8(bytes.data(), static_cast<pybind11::ssize_t>(bytes.size()), "replace"));
}

void register_errors(pybind11::module_& module);
void register_library(pybind11::module_& module);
void register_model_file(pybind11::module_& module);
void register_compiled_model(pybind11::module_& module);
void register_external(pybind11::module_& module);
void register_stable_delegate(pybind11::module_& module);
void register_runner(pybind11::module_& module);
void register_ending(pybind11::module_& module);
// After all others: makes `__new__` of every class raise, which would give objects with nothing in them.
void refuse_bare_new(const pybind11::module_& module);

}  // namespace litedelegates::bindings
