// One case, checked and timed.
#pragma once

#include <string>
#include <vector>

#include "tests/rows/case.h"
#include "tools/bench/isa.h"
#include "tools/bench/stopwatch.h"

namespace pumice::bench {

struct KernelEffort {
  Effort effort;
  uint64_t walk = uint64_t{256} << 20;  ///< bytes of weights to read before any is read again
  double watchdog = kWatchdogSeconds;
};

struct KernelTimes {
  std::string pipeline;         ///< of the first dispatch
  uint32_t dispatches = 1;      ///< per run of the case
  std::vector<double> seconds;  ///< of a run
  bool settled = false;         ///< the interval is as narrow as was asked for
  bool cached = false;  ///< what it reads fits caches: it has no more weights to walk through
  KernelStatistics statistics;  ///< of that pipeline, where the driver reports them
};

/// Refuses, with its estimate, what would outlast the watchdog; fails with the error of a wrong
/// answer. The device was opened with find_bench_kernel.
[[nodiscard]] Result<KernelTimes> time_case(vk::Device& device, Stopwatch& stopwatch,
                                            const test::Case& item, const KernelEffort& effort);

}  // namespace pumice::bench
