#include "timing/timed_loop.h"

#include <algorithm>
#include <chrono>
#include <mutex>

#include "runtime/error.h"

namespace litedelegates {
namespace {

using Clock = std::chrono::steady_clock;

// Runs during which the clock was set back, after which it is given up.
constexpr int kMostTimeless = 100;

int64_t ns_between(Clock::time_point from, Clock::time_point to) {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(to - from).count();
}

}  // namespace

TimedRuns time_runs(Runner& runner, const StopRule& stop) {
  const std::lock_guard<RunLock> lock(runner.model().running());
  Interruption& interruption = runner.model().interruption();
  interruption.begin();
  runner.prove();
  TimedRuns samples;
  int64_t passed_ns = 0;
  int timeless = 0;
  Clock::time_point last = Clock::now();
  for (int64_t done = 0; done < stop.max_runs;) {
    const Clock::time_point start = Clock::now();
    passed_ns += std::max<int64_t>(ns_between(last, start), 0);
    last = start;
    if (done >= stop.min_runs && static_cast<double>(passed_ns) * 1e-9 >= stop.max_seconds) break;
    runner.upload();
    const Clock::time_point uploaded = Clock::now();
    runner.run();
    const Clock::time_point ran = Clock::now();
    runner.read_back();
    const Clock::time_point finished = Clock::now();
    if (uploaded < start || ran < uploaded || finished < ran) {
      // The system promises that this clock never goes back; machines that sleep, move or have broken drivers
      // do not.
      if (++timeless > kMostTimeless) {
        throw Error(ErrorKind::kRun, "the clock of this machine goes backwards: runs cannot be timed");
      }
      continue;
    }
    samples.upload_ns.push_back(ns_between(start, uploaded));
    samples.run_ns.push_back(ns_between(uploaded, ran));
    samples.read_back_ns.push_back(ns_between(ran, finished));
    ++done;
    if (interruption.is_due()) runner.raise_if_interrupted();
  }
  return samples;
}

}  // namespace litedelegates
