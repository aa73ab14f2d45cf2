#include "bindings/without_gil.h"

#include <pthread.h>
#include <unistd.h>

#ifdef __linux__
#include <sys/syscall.h>
#endif

#include <atomic>
#include <chrono>
#include <thread>

#include "bindings/registers.h"
#include "runtime/interruption.h"

namespace py = pybind11;

namespace litedelegates::bindings {
namespace {

constexpr std::chrono::milliseconds kWaitStep{1}, kPatience{1000};

// Counted with the GIL, so that counting needs no locked instruction; those that stay here for good have no
// GIL.
std::atomic<int> threads_at_work{0};
std::atomic<int> threads_kept{0};
std::atomic<bool> is_ending{false};
std::thread::id ending_thread;  // written before `is_ending` is set

bool must_stay() { return is_ending && std::this_thread::get_id() != ending_thread; }

void count(int change) {
  threads_at_work.store(threads_at_work.load(std::memory_order_relaxed) + change, std::memory_order_relaxed);
}

bool is_python_ending() {
#if PY_VERSION_HEX >= 0x030D0000
  return Py_IsFinalizing() != 0;
#else
  return _Py_IsFinalizing() != 0;
#endif
}

// Keep a thread here once runs have ended: for good when Python ends, which it does soon. When it does not,
// an exit handler of the program may be waiting for this thread, which then goes on.
void stay_while_ending() {
  if (!must_stay()) return;
  ++threads_kept;
  const auto patience = std::chrono::steady_clock::now() + kPatience;
  while (std::chrono::steady_clock::now() < patience) {
    while (is_python_ending()) ::pause();
    std::this_thread::sleep_for(kWaitStep);
  }
  --threads_kept;
}

bool is_main_thread() {
#ifdef __linux__
  return ::getpid() == static_cast<pid_t>(::syscall(SYS_gettid));
#else
  return pthread_main_np() != 0;
#endif
}

// Whether a run has to stop: Python ends, or a signal handler raised (KeyboardInterrupt, say).
bool poll() {
  if (must_stay()) return true;
  if (is_ending || !is_main_thread())
    return false;  // Python calls the handlers of signals in its main thread
  const PyGILState_STATE gil = PyGILState_Ensure();
  const bool raised = PyErr_CheckSignals() != 0;
  PyGILState_Release(gil);
  return raised;
}

// Wait until other threads of Python have done their native work, or the time is over; then keep them there.
void end_runs(double limit_s) {
  ending_thread = std::this_thread::get_id();
  is_ending = true;
  PyThreadState* state = PyEval_SaveThread();
  const auto end = std::chrono::steady_clock::now() + std::chrono::duration<double>(limit_s);
  while (threads_at_work > threads_kept && std::chrono::steady_clock::now() < end)
    std::this_thread::sleep_for(kWaitStep);
  PyEval_RestoreThread(state);
}

// The other threads are not there in a child process.
void forget_other_threads() {
  threads_at_work = threads_kept = 0;
  is_ending = false;
}

}  // namespace

WithoutGil::WithoutGil() {
  count(1);
  state_ = PyEval_SaveThread();
  stay_while_ending();
}

WithoutGil::~WithoutGil() {
  stay_while_ending();
  PyEval_RestoreThread(state_);
  count(-1);
}

void register_ending(py::module_& module) {
  Interruption::set_poll(poll);
  static_cast<void>(::pthread_atfork(nullptr, nullptr, forget_other_threads));
  module.def("end_runs", &end_runs, py::kw_only(), py::arg("limit_s"));
}

}  // namespace litedelegates::bindings
