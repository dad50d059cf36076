// What a device can do at most, measured by small shaders of our own: bytes moved and arithmetic.
// Every share of the roof that a report prints has these below it, from the same run.
#pragma once

#include <string>
#include <vector>

#include "tools/bench/stopwatch.h"

namespace pumice::bench {

enum class RoofKind : uint8_t {
  Copy,    ///< bytes read plus bytes written, through storage buffers
  Read,    ///< bytes read, through storage or texel buffers, whichever is faster
  Fma,     ///< f32 operations; a fused multiply-add is two
  Dot,     ///< int8 operations of dot products; four products and four sums each
  Matrix,  ///< operations of cooperative matrices
};

struct Roof {
  RoofKind kind;
  const char* name;  ///< "copy"
  const char* unit;  ///< "B/s", "FLOP/s", "OP/s"
  Summary rate;      ///< per second; all zeros where it was not measured
  std::string how;   ///< "texel buffers, 256 MiB"; or why it was not measured
  [[nodiscard]] bool measured() const { return rate.n != 0; }
};

struct Roofs {
  std::string device, driver, clock;  ///< clock: Stopwatch::words()
  std::vector<Roof> rows;             ///< by RoofKind

  /// The median rate; 0 where it was not measured.
  [[nodiscard]] double operator[](RoofKind kind) const { return rows[size_t(kind)].rate.median; }
  /// The larger of copy and read, bytes per second.
  [[nodiscard]] double bandwidth() const;
};

struct RoofEffort {
  uint64_t bytes = uint64_t{256} << 20;  ///< to walk through, four times as many on a GPU
  Effort effort{.seconds = 1.0};         ///< per roof
};

/// The device was opened with find_bench_kernel and `timestamps`.
[[nodiscard]] Result<Roofs> measure_roofs(vk::Device& device, Stopwatch& stopwatch,
                                          const RoofEffort& effort = {});

/// Opens a device as `options` say (its kernels and timestamps are set here), measures and closes.
[[nodiscard]] Result<Roofs> measure_roofs(vk::DeviceOptions options, const RoofEffort& effort = {});

/// One line per roof: "copy 12.3 GB/s (+-1.2 %), storage buffers, 256 MiB".
[[nodiscard]] std::string describe(const Roofs& roofs);

/// "12.3 G", "1.21 T": a rate in the unit's thousands.
[[nodiscard]] std::string rate_text(double per_second, const char* unit);

}  // namespace pumice::bench
