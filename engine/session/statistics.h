// What a step's taps gathered, brought to the host: plain data for the quantiser.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/base/result.h"
#include "engine/session/weight_upload.h"

namespace pumice {

/// Sums over the tokens that one input of matrices saw. q, k and v share an input, gate and up too.
struct TapStatistics {
  std::vector<std::string> tensors;  ///< that read this input, in graph order
  uint32_t width = 0;                ///< input channels: shape[0] of the tensors
  uint32_t matrices = 1;             ///< or the number of experts
  std::vector<double> sum_squares;   ///< [matrices][width]: sum of x^2
  std::vector<uint64_t> counts;      ///< [matrices]: tokens; of an expert, those routed to it
  std::vector<float> gram;  ///< [matrices][width][width]: sum of x x^T; empty if not gathered

  void clear();  ///< all sums and counts to zero
};

/// Copies `out.size()` bytes of a planned slice to the host. `through_copy` takes the way through a
/// readback buffer even where the host sees the memory.
[[nodiscard]] Result<void> read_back(const ModelPlan& plan, const PlannedBuffers& buffers,
                                     vk::Device& device, BufferSlice slice,
                                     std::span<std::byte> out, bool through_copy = false);

/// The sums of every tap of the plan. NonFinite, naming the tensor, when one is NaN or infinite.
[[nodiscard]] Result<std::vector<TapStatistics>> read_statistics(const ModelPlan& plan,
                                                                 const PlannedBuffers& buffers,
                                                                 vk::Device& device);

}  // namespace pumice
