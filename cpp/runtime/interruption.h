// Stops a run between two kernels: because its time limit is over, or because the process asks for it.
#pragma once

#include <atomic>
#include <cstdint>
#include <limits>

namespace litedelegates {

class Interruption {
 public:
  enum class Reason { kNone, kTimeLimit, kAsked };

  // What is asked every tenth of a second of running, in the thread that runs: true stops the run.
  using Poll = bool (*)();
  static void set_poll(Poll poll) { poll_ = poll; }

  // A run begins. A time limit of zero or below is over at once.
  void begin() { begin_until(kNever); }
  void begin(double time_limit_s);

  // Whether the run has to stop, to be asked between kernels: once true, true until the next run begins.
  [[nodiscard]] bool is_due() {
    if (reason_ != Reason::kNone) return true;
    const int64_t now_ns = read_clock_ns();
    return now_ns >= next_look_ns_ && look(now_ns);
  }
  // The same for the runtime, which hands `self` back.
  static bool is_due(void* self) { return static_cast<Interruption*>(self)->is_due(); }

  [[nodiscard]] Reason reason() const { return reason_; }

 private:
  static constexpr int64_t kNever = std::numeric_limits<int64_t>::max();

  static int64_t read_clock_ns();
  void begin_until(int64_t deadline_ns) {
    reason_ = Reason::kNone;
    deadline_ns_ = deadline_ns;
    next_look_ns_ = deadline_ns < next_poll_ns_ ? deadline_ns : next_poll_ns_;
  }
  bool look(int64_t now_ns);

  static std::atomic<Poll> poll_;
  Reason reason_ = Reason::kNone;
  int64_t deadline_ns_ = kNever;
  // Kept from run to run, so that the clock need not be read when one begins.
  int64_t next_poll_ns_ = 0, next_look_ns_ = 0;
};

}  // namespace litedelegates
