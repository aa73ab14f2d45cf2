// How bound objects die whose destructors do native work, such as closing a device.
#pragma once

#include <pybind11/pybind11.h>

namespace litedelegates::bindings {

// A deleter for shared pointers. The last owner may be Python, which holds the GIL, or native code, which
// does not.
template <typename T>
void delete_without_gil(T* object) {
  if (PyGILState_Check() == 0) {
    delete object;
    return;
  }
  const pybind11::gil_scoped_release nogil;
  delete object;
}

}  // namespace litedelegates::bindings
