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

constexpr std::chrono::milliseconds kWaitStep{1};

// Counted with the GIL, so that counting needs no locked instruction; those that stay here for good have no
// GIL.
std::atomic<int> threads_at_work{0};
std::atomic<int> threads_kept{0};
std::atomic<bool> is_ending{false};
std::thread::id ending_thread;  // written before `is_ending` is set

bool must_not_come_back() { return is_ending && std::this_thread::get_id() != ending_thread; }

void count(int change) {
  threads_at_work.store(threads_at_work.load(std::memory_order_relaxed) + change, std::memory_order_relaxed);
}

[[noreturn]] void wait_for_the_end_of_the_process() {
  ++threads_kept;
  for (;;) ::pause();
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
  if (must_not_come_back()) return true;
  if (is_ending || !is_main_thread())
    return false;  // Python calls the handlers of signals in its main thread
  const PyGILState_STATE gil = PyGILState_Ensure();
  const bool raised = PyErr_CheckSignals() != 0;
  PyGILState_Release(gil);
  return raised;
}

// Let other threads of Python do native work until the time is over, then keep them there.
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
  if (must_not_come_back()) wait_for_the_end_of_the_process();
}

WithoutGil::~WithoutGil() {
  if (must_not_come_back()) wait_for_the_end_of_the_process();
  PyEval_RestoreThread(state_);
  count(-1);
}

void register_ending(py::module_& module) {
  Interruption::set_poll(poll);
  static_cast<void>(::pthread_atfork(nullptr, nullptr, forget_other_threads));
  module.def("end_runs", &end_runs, py::kw_only(), py::arg("limit_s"));
}

}  // namespace litedelegates::bindings
