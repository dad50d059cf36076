// Times dispatches on an open device: by its timestamps where it has them, else by the host's clock
// around submit and wait. Empty dispatches are measured first and subtracted.
#pragma once

#include <span>
#include <vector>

#include "engine/vk/device.h"
#include "tools/bench/statistics.h"

namespace pumice::bench {

/// When to stop repeating: when the interval of the median is narrow enough, or at a limit.
struct Effort {
  double interval = 0.02;  ///< of the median
  double seconds = 3.0;    ///< of wall time per quantity
  uint32_t least = 12, most = 400;
};

/// The shortest limit after which a driver gives up on a dispatch (Windows and amdgpu: 2 s).
inline constexpr double kWatchdogSeconds = 2.0;

/// How many of `wanted` pieces of work go into one submission, for a watchdog looks at all of it:
/// at least one, in seconds `each`.
[[nodiscard]] size_t timed_at_once(size_t wanted, double each, double watchdog);

class Stopwatch {
 public:
  /// The device was opened with find_bench_kernel and `timestamps`; it outlives the stopwatch.
  [[nodiscard]] static Result<Stopwatch> create(vk::Device& device);

  [[nodiscard]] bool by_device() const { return by_device_; }
  [[nodiscard]] const char* words() const;  ///< "GPU timestamps" or "host clock"
  [[nodiscard]] double empty_seconds() const { return empty_; }

  /// Seconds of one dispatch of the list, on average over the list: one value per submission, at
  /// least a nanosecond. The list should walk through more memory than the caches hold.
  [[nodiscard]] Result<std::vector<double>> time(std::span<const Dispatch> list,
                                                 const Effort& effort);

  /// Seconds that a dispatch will take, from runs of ever larger parts of its workgroups (their
  /// results are written). Refuses, naming the estimate, what would last longer than `limit`.
  [[nodiscard]] Result<double> estimate(const Dispatch& dispatch, double limit = kWatchdogSeconds);

 private:
  explicit Stopwatch(vk::Device& device) : device_(&device) {}
  /// Seconds of one submission of a recorded list, empty dispatches included.
  [[nodiscard]] Result<double> run(vk::CommandId command);
  [[nodiscard]] Result<void> measure_empty();
  [[nodiscard]] double without_empty(double seconds, size_t dispatches) const;

  vk::Device* device_;
  bool by_device_ = false;
  double submit_ = 0;  ///< seconds that a submission costs by the host's clock
  double empty_ = 0;   ///< seconds of an empty dispatch
};

}  // namespace pumice::bench
