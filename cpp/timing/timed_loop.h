// The timed loop: every run is uploaded, run and read back, and every sample is kept. No Python inside.
#pragma once

#include <cstdint>
#include <vector>

#include "runtime/runner.h"

namespace litedelegates {

// Stop after `max_runs`, or once `max_seconds` are over, but never before `min_runs`.
struct StopRule {
  int64_t min_runs = 1, max_runs = 1;
  double max_seconds = 1e9;
};

// Nanoseconds of each run, by step. Upload and read-back are zero where inputs and outputs are host memory.
struct TimedRuns {
  std::vector<int64_t> upload_ns, run_ns, read_back_ns;
};

[[nodiscard]] TimedRuns time_runs(Runner& runner, const StopRule& stop);

}  // namespace litedelegates
