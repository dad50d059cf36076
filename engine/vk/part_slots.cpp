// Writes, submits and times parts of lists.
#include "engine/vk/part_slots.h"

namespace pumice::vk {

/// On first use: a device that only compiles needs no slots.
Result<void> PartSlots::create() {
  if (created_) return {};
  VkCommandPoolCreateInfo pool{VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO};
  pool.flags = VK_COMMAND_POOL_CREATE_RESET_COMMAND_BUFFER_BIT;
  pool.queueFamilyIndex = context_.physical.queue_family;
  PUMICE_TRY_ASSIGN(
      pool_, make_owned<OwnedCommandPool>(context_, "vkCreateCommandPool", [&](auto* out) {
        return context_.fn.CreateCommandPool(context_.device, &pool, context_.allocator, out);
      }));
  VkCommandBufferAllocateInfo info{VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO};
  info.commandPool = pool_.get();
  info.level = VK_COMMAND_BUFFER_LEVEL_PRIMARY;
  info.commandBufferCount = 1;
  VkQueryPoolCreateInfo queries{VK_STRUCTURE_TYPE_QUERY_POOL_CREATE_INFO};
  queries.queryType = VK_QUERY_TYPE_TIMESTAMP;
  queries.queryCount = kPartPieces + 1;
  for (Slot& slot : slots_) {
    const VkResult result =
        context_.fn.AllocateCommandBuffers(context_.device, &info, &slot.commands);
    if (result != VK_SUCCESS) return context_.failed("vkAllocateCommandBuffers", result);
    slot.pieces_us.resize(kPartPieces);
    if (!context_.caps().timestamps) continue;
    PUMICE_TRY_ASSIGN(
        slot.queries, make_owned<OwnedQueryPool>(context_, "vkCreateQueryPool", [&](auto* out) {
          return context_.fn.CreateQueryPool(context_.device, &queries, context_.allocator, out);
        }));
  }
  created_ = true;
  return {};
}

Result<PartId> PartSlots::take(Place from, Place to) {
  PUMICE_TRY(context_.check_alive());
  const uint32_t pieces = pieces_between(from, to);
  if (pieces > kPartPieces)
    return fail(ErrorCode::BadArgument, "a part of {} pieces; one holds {}", pieces, kPartPieces);
  PUMICE_TRY(create());
  for (PartId id = 0; id < kParts; ++id) {
    if (slots_[id].used) continue;
    // One whose waiting ended with an error may still be running.
    PUMICE_TRY_ASSIGN(const bool idle, timeline_.finished(slots_[id].ticket));
    if (!idle) continue;
    slots_[id].pieces = pieces;
    return id;
  }
  return fail(ErrorCode::OutOfMemory,
              "{} parts are under way, which is the most; report the oldest before the next",
              kParts);
}

Result<void> PartSlots::record(Slot& slot, const ReplayList& list, Place from, Place to) {
  VkCommandBufferBeginInfo info{VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO};
  info.flags = VK_COMMAND_BUFFER_USAGE_ONE_TIME_SUBMIT_BIT;
  VkResult result = context_.fn.BeginCommandBuffer(slot.commands, &info);
  if (result != VK_SUCCESS) return context_.failed("vkBeginCommandBuffer", result);
  replay(context_, slot.commands, list, from, to, slot.queries.get());
  result = context_.fn.EndCommandBuffer(slot.commands);
  if (result == VK_SUCCESS) return {};
  (void)context_.fn.ResetCommandBuffer(slot.commands, 0);  // the next part begins it again
  return context_.failed("vkEndCommandBuffer", result);
}

Result<PartId> PartSlots::submit(const ReplayList& list, Place from, Place to) {
  PUMICE_TRY_ASSIGN(const PartId id, take(from, to));
  Slot& slot = slots_[id];
  PUMICE_TRY(record(slot, list, from, to));
  PUMICE_TRY_ASSIGN(slot.ticket, timeline_.submit(slot.commands));
  slot.host = false;
  slot.used = true;
  return id;
}

Result<PartId> PartSlots::write(HostCommands commands, const ReplayList& list, Place from,
                                Place to) {
  PUMICE_TRY_ASSIGN(const PartId id, take(from, to));
  Slot& slot = slots_[id];
  replay(context_, static_cast<VkCommandBuffer>(commands.handle), list, from, to,
         slot.queries.get());
  slot.host = true;
  slot.used = true;
  return id;
}

Result<PartTimes> PartSlots::wait(PartId id, std::chrono::milliseconds limit) {
  if (id >= kParts || !slots_[id].used)
    return fail(ErrorCode::BadArgument, "there is no part {} under way", id);
  Slot& slot = slots_[id];
  if (!slot.host) PUMICE_TRY(timeline_.wait(slot.ticket, limit));
  if (slot.queries.get() == VK_NULL_HANDLE) return PartTimes{};
  // A host may be wrong: what it says to be finished is not waited for.
  const VkQueryResultFlags wait = slot.host ? 0 : VK_QUERY_RESULT_WAIT_BIT;
  const std::span<double> times(slot.pieces_us.data(), slot.pieces);
  PUMICE_TRY_ASSIGN(const bool there, read_times(context_, slot.queries.get(), times, wait));
  return there ? PartTimes(times) : PartTimes();
}

void PartSlots::end(PartId id) {
  if (id < kParts) slots_[id].used = false;
}

}  // namespace pumice::vk
