// The scale search on a Vulkan device: the CPU's search (fit.h) as a compute shader, slice by
// slice.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <tuple>

#include "engine/base/result.h"
#include "engine/quant/fit_plan.h"
#include "engine/schedule/dispatch.h"
#include "engine/vk/device.h"
#include "loader/quant_type.h"

namespace pumice::quant {

/// The kernel that searches with a plan, and its constants; no bindings, no push constants.
[[nodiscard]] Dispatch fit_dispatch(const FitPlan& plan);

/// Buffers for one slice and the commands that search it. Belongs to one thread at a time; several
/// may share a device.
///
/// A device whose additions and multiplications round to nearest gives the bits of the CPU's
/// search: divisions are corrected there, and blocks whose sums may become subnormal, which a
/// device may flush to zero, are left to the CPU (weights 2^26 below the largest of their block).
class DeviceFit {
 public:
  static constexpr size_t kMostWeights = size_t{1} << 18;  ///< per call

  /// Takes about 2 MiB of the device's memory. The device outlives the object.
  [[nodiscard]] static Result<std::unique_ptr<DeviceFit>> create(vk::Device& device);
  ~DeviceFit();
  DeviceFit(const DeviceFit&) = delete;
  DeviceFit& operator=(const DeviceFit&) = delete;

  /// Chooses the scales of `out.size()` blocks that lie one after the other in `weights`, as fit()
  /// does. `importance`: one number per column of the rows that the weights begin, whole blocks of
  /// them, or empty. The type has a plan. The first call of a type compiles its kernel. Errors:
  /// those of the device; nothing of `out` counts then.
  [[nodiscard]] Result<void> fit(QuantType type, std::span<const float> weights,
                                 std::span<const float> importance, std::span<BlockFit> out);

  /// Blocks that were left to the CPU so far.
  [[nodiscard]] uint64_t left_to_cpu() const { return left_to_cpu_; }

 private:
  using Key = std::tuple<QuantType, uint32_t, uint32_t>;  ///< type, blocks, quads of importance

  explicit DeviceFit(vk::Device& device) : device_(device) {}
  [[nodiscard]] Result<vk::CommandId> command(const Key& key);
  void forget_commands();
  [[nodiscard]] Result<void> run(const Key& key);
  void read(QuantType type, std::span<const float> weights, std::span<const float> importance,
            std::span<BlockFit> out);

  vk::Device& device_;
  BufferId weights_ = kNoBuffer, importance_ = kNoBuffer, fits_ = kNoBuffer;
  std::map<Key, vk::CommandId> commands_;
  uint64_t left_to_cpu_ = 0;
};

}  // namespace pumice::quant
