// The clock that measurements take their time from where the device has none.
#pragma once

#include <chrono>

namespace pumice::bench {

using Clock = std::chrono::steady_clock;

[[nodiscard]] inline double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

}  // namespace pumice::bench
