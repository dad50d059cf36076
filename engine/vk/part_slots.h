// Where parts of lists are written: a ring of command buffers and timestamps, made once, so that
// running a part allocates nothing.
#pragma once

#include <array>

#include "engine/vk/device.h"
#include "engine/vk/replay.h"
#include "engine/vk/timeline.h"

namespace pumice::vk {

/// The caller holds a lock, except around wait().
class PartSlots {
 public:
  PartSlots(Context& context, Timeline& timeline) : context_(context), timeline_(timeline) {}

  [[nodiscard]] Result<PartId> submit(const ReplayList& list, Place from, Place to);
  [[nodiscard]] Result<PartId> write(HostCommands commands, const ReplayList& list, Place from,
                                     Place to);
  [[nodiscard]] Result<PartTimes> wait(PartId id, std::chrono::milliseconds limit);
  void end(PartId id);

 private:
  struct Slot {
    VkCommandBuffer commands = VK_NULL_HANDLE;
    OwnedQueryPool queries;  ///< null without timestamps
    bool used = false, host = false;
    Ticket ticket = 0;  ///< of its own submission
    uint32_t pieces = 0;
    std::vector<double> pieces_us;  ///< kPartPieces
  };

  [[nodiscard]] Result<void> create();
  [[nodiscard]] Result<PartId> take(Place from, Place to);
  [[nodiscard]] Result<void> record(Slot& slot, const ReplayList& list, Place from, Place to);

  Context& context_;
  Timeline& timeline_;
  OwnedCommandPool pool_;
  std::array<Slot, kParts> slots_;
  bool created_ = false;
};

}  // namespace pumice::vk
