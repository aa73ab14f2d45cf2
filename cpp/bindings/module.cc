#include "bindings/registers.h"

PYBIND11_MODULE(_core, module) {
  using namespace litedelegates::bindings;
  module.doc() = "The native core: verbose primitives that litedelegates' Python modules put into words.";
  register_errors(module);
  register_library(module);
  register_model_file(module);
  register_compiled_model(module);
  register_external(module);
  register_stable_delegate(module);
  register_runner(module);
  register_ending(module);
  refuse_bare_new(module);
}
