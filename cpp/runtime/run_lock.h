// Lets one run of a model happen at a time.
#pragma once

#include <atomic>
#include <mutex>
#include <thread>

#include "runtime/error.h"

namespace litedelegates {

class RunLock {
 public:
  // Raise where this thread has it already: a signal handler that runs in the middle of a run would wait for
  // itself.
  void lock() {
    const std::thread::id self = std::this_thread::get_id();
    if (owner_.load(std::memory_order_relaxed) == self) {
      throw Error(ErrorKind::kRun,
                  "this thread is in the middle of a run of the same model: wait for its end");
    }
    mutex_.lock();
    owner_.store(self, std::memory_order_relaxed);
  }
  void unlock() {
    owner_.store({}, std::memory_order_relaxed);
    mutex_.unlock();
  }
  [[nodiscard]] bool is_locked() const { return owner_.load(std::memory_order_relaxed) != std::thread::id{}; }

 private:
  std::mutex mutex_;
  std::atomic<std::thread::id> owner_{};
};

}  // namespace litedelegates
