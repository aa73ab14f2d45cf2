// Native work without the GIL, from which no thread comes back once Python has begun to end.
#pragma once

#include <pybind11/pybind11.h>

namespace litedelegates::bindings {

// Releases the GIL while it exists.
//
// A thread that asks for the GIL while Python ends is unwound by Python (before 3.14), and the frames of C++
// on its stack make that the end of the process. So it waits here until the process is gone.
class WithoutGil {
 public:
  WithoutGil();
  ~WithoutGil();
  WithoutGil(const WithoutGil&) = delete;
  WithoutGil& operator=(const WithoutGil&) = delete;

 private:
  PyThreadState* state_;
};

// How bound objects die whose destructors do native work, such as closing a device: a deleter for shared
// pointers. The last owner may be Python, which holds the GIL, or native code, which does not.
template <typename T>
void delete_without_gil(T* object) {
  if (PyGILState_Check() == 0) {
    delete object;
    return;
  }
  const WithoutGil nogil;
  delete object;
}

}  // namespace litedelegates::bindings
