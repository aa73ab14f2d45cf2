#include "timing/timed_loop.h"

#include <chrono>
#include <mutex>

namespace litedelegates {
namespace {

using Clock = std::chrono::steady_clock;

int64_t ns_between(Clock::time_point from, Clock::time_point to) {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(to - from).count();
}

}  // namespace

TimedRuns time_runs(Runner& runner, const StopRule& stop) {
  const std::lock_guard<std::mutex> lock(runner.model().running());
  TimedRuns samples;
  const Clock::time_point begin = Clock::now();
  for (int64_t done = 0; done < stop.max_runs; ++done) {
    const double seconds = static_cast<double>(ns_between(begin, Clock::now())) * 1e-9;
    if (done >= stop.min_runs && seconds >= stop.max_seconds) break;
    const Clock::time_point start = Clock::now();
    runner.upload();
    const Clock::time_point uploaded = Clock::now();
    runner.run();
    const Clock::time_point ran = Clock::now();
    runner.read_back();
    const Clock::time_point finished = Clock::now();
    samples.upload_ns.push_back(ns_between(start, uploaded));
    samples.run_ns.push_back(ns_between(uploaded, ran));
    samples.read_back_ns.push_back(ns_between(ran, finished));
  }
  return samples;
}

}  // namespace litedelegates
