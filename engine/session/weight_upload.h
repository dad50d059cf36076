// Brings a model's weights to the device: reads rows from the file, lays them out as tiles, writes
// them into mapped memory or the staging ring. On all cores; a progress callback can cancel.
#pragma once

#include <functional>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/result.h"
#include "engine/schedule/model_plan.h"
#include "engine/vk/device.h"
#include "loader/gguf.h"

namespace pumice {

/// Called with bytes done and in all, from one thread; returning false cancels the load.
using LoadProgress = std::function<bool(uint64_t done, uint64_t total)>;

/// Device buffers by BufferId of the plan.
struct PlannedBuffers {
  std::vector<BufferId> ids;
  [[nodiscard]] BufferSlice on_device(BufferSlice slice) const {
    return {ids[slice.buffer], slice.offset, slice.bytes};
  }
};

/// Matrices that the plan holds as f32 are decoded from whatever type the file has.
[[nodiscard]] Result<void> upload_weights(const GgufFile& file, const ModelPlan& plan,
                                          const PlannedBuffers& buffers, vk::Device& device,
                                          const LoadProgress& progress);

/// Norm weights, biases and rope factors that were replaced, by tensor: the device holds some of
/// them joined to others.
using VectorValues = std::map<std::string, std::vector<float>, std::less<>>;

/// See Engine::set_weight. `vectors` remembers what earlier calls replaced.
[[nodiscard]] Result<void> replace_tensor(const GgufFile& file, const ModelPlan& plan,
                                          const PlannedBuffers& buffers, vk::Device& device,
                                          std::string_view name, std::span<const float> values,
                                          VectorValues& vectors);

}  // namespace pumice
