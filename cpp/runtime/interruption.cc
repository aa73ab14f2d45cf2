#include "runtime/interruption.h"

#include <ctime>

#include <algorithm>

namespace litedelegates {
namespace {

constexpr int64_t kPollInterval_ns = 100'000'000;

// The coarse clock counts in steps of some milliseconds and is read in a fifth of the time.
#ifdef CLOCK_MONOTONIC_COARSE
constexpr clockid_t kClock = CLOCK_MONOTONIC_COARSE;
#else
constexpr clockid_t kClock = CLOCK_MONOTONIC;
#endif

}  // namespace

std::atomic<Interruption::Poll> Interruption::poll_{nullptr};

int64_t Interruption::read_clock_ns() {
  timespec now{};
  ::clock_gettime(kClock, &now);
  return int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

void Interruption::begin(double time_limit_s) {
  const double limit_ns = std::clamp(time_limit_s, 0.0, 1e9) * 1e9;
  begin_until(read_clock_ns() + static_cast<int64_t>(limit_ns));
}

bool Interruption::look(int64_t now_ns) {
  if (now_ns >= deadline_ns_) {
    reason_ = Reason::kTimeLimit;
  } else if (now_ns >= next_poll_ns_) {
    next_poll_ns_ = now_ns + kPollInterval_ns;
    const Poll poll = poll_;
    if (poll != nullptr && poll()) reason_ = Reason::kAsked;
  }
  next_look_ns_ = std::min(deadline_ns_, next_poll_ns_);
  return reason_ != Reason::kNone;
}

}  // namespace litedelegates
