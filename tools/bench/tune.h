// Which of a kernel table's choices are fastest on this device: one axis after the other, on
// matrices as models have them, against the defaults.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "tools/bench/kernel_times.h"

namespace pumice::bench {

/// One value of one axis. `speed`: how many times as fast as the default, the geometric mean over
/// the matrices that the axis is measured on, with its interval.
struct TuneChoice {
  std::string axis, value;
  double speed = 1, low = 1, high = 1;
  bool by_default = false, chosen = false;
};

/// Seconds of one matrix under one choice, default included.
struct TuneTimes {
  std::string name;  ///< "tiles 2: matrix 4096x1x4096 q4_k"; unique
  std::vector<double> seconds;
};

struct TuneResult {
  Tuning tuning;  ///< only what is clearly faster than the default differs from Tuning{}
  std::vector<TuneChoice> choices;
  std::vector<TuneTimes> times;
};

struct TuneEffort {
  KernelEffort kernel{.walk = uint64_t{128} << 20};
  uint32_t size = 4096;  ///< rows and row length of the matrices, a multiple of 256
};

/// Called before each measurement; false stops (Cancelled).
using TuneWatch = std::function<bool(const std::string& what)>;

/// Every answer is checked. The device was opened with find_bench_kernel and `timestamps`.
[[nodiscard]] Result<TuneResult> tune(vk::Device& device, Stopwatch& stopwatch,
                                      const TuneEffort& effort, const TuneWatch& watch);

}  // namespace pumice::bench
