// A recorded list in the form in which it is written into command buffers: handles and numbers,
// nothing left to look up.
#pragma once

#include <array>
#include <string>
#include <vector>

#include "engine/schedule/slice.h"
#include "engine/vk/context.h"

namespace pumice::vk {

/// One dispatch with everything it is bound to.
struct ReplayRow {
  VkPipeline pipeline = VK_NULL_HANDLE;
  VkPipelineLayout layout = VK_NULL_HANDLE;
  VkDescriptorSet set = VK_NULL_HANDLE;
  std::vector<uint32_t> push;
  std::array<uint32_t, 3> groups{1, 1, 1};
  uint32_t axis = 0;                   ///< along which it may be cut
  uint32_t cuts = 1;                   ///< groups along it
  VkBuffer indirect = VK_NULL_HANDLE;  ///< where the device reads the group counts, or null
  uint64_t indirect_at = 0;
  bool barrier = true;
  std::string label;
};

struct ReplayList {
  std::vector<ReplayRow> rows;
  bool indirect = false;  ///< any row is

  [[nodiscard]] Place end() const { return {uint32_t(rows.size()), 0}; }
};

/// Pieces of the part [from, to): one per dispatch that it touches.
[[nodiscard]] uint32_t pieces_between(Place from, Place to);

/// Writes the part [from, to) of the list: a barrier that waits for everything before, the pieces,
/// a barrier that shows their results to the host and to what comes after. With `queries`: a
/// timestamp in front and one after each piece, into queries 0..pieces.
void replay(const Context& context, VkCommandBuffer commands, const ReplayList& list, Place from,
            Place to, VkQueryPool queries);

/// Microseconds between the `pieces` + 1 timestamps that replay() wrote; false where they are not
/// there yet. `wait` is VK_QUERY_RESULT_WAIT_BIT where the device is known to have passed them.
[[nodiscard]] Result<bool> read_times(Context& context, VkQueryPool queries,
                                      std::span<double> pieces_us, VkQueryResultFlags wait);

}  // namespace pumice::vk
