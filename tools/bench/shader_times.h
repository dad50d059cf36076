// A user's own compute shader on buffers of given sizes, timed.
#pragma once

#include <array>
#include <deque>
#include <string>
#include <vector>

#include "tools/bench/isa.h"
#include "tools/bench/stopwatch.h"

namespace pumice::bench {

/// Modules that come while a device is open, and the door through which it finds them. Outlives it.
class ShaderStore {
 public:
  /// The name that `find` knows it by.
  std::string add(std::vector<uint32_t> spirv);
  /// Those added, then the bench's own. Goes into DeviceOptions::kernels.
  [[nodiscard]] const KernelModule* find(const std::string& name) const;

 private:
  struct Module {
    std::string name;
    std::vector<uint32_t> words;
    KernelModule module;
  };
  std::deque<Module> modules_;  ///< never moved: the device keeps pointers into it
};

struct ShaderBuffer {
  uint64_t bytes = 0;
  bool random = false;  ///< f32 in [0, 1), the same each time; else zeros
};

struct ShaderJob {
  std::string kernel;                 ///< of a ShaderStore
  std::vector<ShaderBuffer> buffers;  ///< by binding number
  std::vector<uint32_t> push, constants;
  std::array<uint32_t, 3> groups{1, 1, 1};
  Effort effort;
  uint64_t walk = uint64_t{256} << 20;  ///< bytes of buffers to go through before any is used again
  double watchdog = kWatchdogSeconds;
};

struct ShaderTimes {
  std::vector<double> seconds;           ///< of a dispatch
  bool settled = false, cached = false;  ///< as KernelTimes
  KernelStatistics statistics;
};

/// Refuses, with its estimate, what would outlast the watchdog, and says what does not fit the
/// shader: bindings, push constants, workgroups.
[[nodiscard]] Result<ShaderTimes> time_shader(vk::Device& device, Stopwatch& stopwatch,
                                              const ShaderJob& job);

/// How many buffers a module binds: its highest binding and one.
[[nodiscard]] Result<uint32_t> bindings_of(std::span<const uint32_t> spirv);

}  // namespace pumice::bench
