#include <pybind11/pybind11.h>

#include "bindings/registers.h"

namespace py = pybind11;

namespace litedelegates::bindings {
namespace {

newfunc make_instance = nullptr;  // pybind11's, the same for all classes

// A function of our own, so that `__new__` of a base refuses these classes: it wants them to have its own.
PyObject* new_instance(PyTypeObject* type, PyObject* arguments, PyObject* named) {
  return make_instance(type, arguments, named);
}

PyObject* refuse(PyObject*, PyObject*, PyObject*) {
  PyErr_SetString(PyExc_TypeError, "an object of the native core is made by calling its class");
  return nullptr;
}

PyMethodDef refusing_new = {"__new__", reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(refuse)),
                            METH_VARARGS | METH_KEYWORDS, nullptr};

}  // namespace

void refuse_bare_new(const py::module_& module) {
  for (const auto& [name, value] : module.attr("__dict__").cast<py::dict>()) {
    if (PyType_Check(value.ptr()) == 0) continue;
    auto* type = reinterpret_cast<PyTypeObject*>(value.ptr());
    if (make_instance == nullptr) make_instance = type->tp_new;
    // Calling a class takes what is in the type; the attribute is what Python code reaches.
    type->tp_new = new_instance;
    const py::object refusing = py::reinterpret_steal<py::object>(PyCFunction_New(&refusing_new, nullptr));
    if (!refusing || PyDict_SetItemString(type->tp_dict, refusing_new.ml_name, refusing.ptr()) != 0)
      throw py::error_already_set();
    PyType_Modified(type);
  }
}

}  // namespace litedelegates::bindings
