// One function for each noun of the module; module.cc calls them in order.
#pragma once

#include <pybind11/pybind11.h>

namespace litedelegates::bindings {

void register_errors(pybind11::module_& module);
void register_library(pybind11::module_& module);
void register_model_file(pybind11::module_& module);
void register_compiled_model(pybind11::module_& module);
void register_stable_delegate(pybind11::module_& module);
void register_runner(pybind11::module_& module);

}  // namespace litedelegates::bindings
