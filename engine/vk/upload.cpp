// The staging ring.
#include "engine/vk/upload.h"

#include <algorithm>
#include <cstring>

#include "engine/vk/device.h"

namespace pumice::vk {
namespace {

constexpr uint64_t kSlotBytes = kStagingBytes / 2;
constexpr auto kLimit = std::chrono::minutes(2);

}  // namespace

Result<void> Uploader::create() {
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
  for (Slot& slot : slots_) {
    PUMICE_TRY_ASSIGN(slot.staging,
                      make_buffer(context_, {"staging", kSlotBytes, BufferDomain::Upload}));
    const VkResult result =
        context_.fn.AllocateCommandBuffers(context_.device, &info, &slot.commands);
    if (result != VK_SUCCESS) return context_.failed("vkAllocateCommandBuffers", result);
  }
  created_ = true;
  return {};
}

Result<Uploader::Slot*> Uploader::begin() {
  PUMICE_TRY(context_.check_alive());
  PUMICE_TRY(create());
  Slot& slot = slots_[next_];
  PUMICE_TRY(timeline_.wait(slot.ticket, kLimit));
  VkCommandBufferBeginInfo info{VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO};
  info.flags = VK_COMMAND_BUFFER_USAGE_ONE_TIME_SUBMIT_BIT;
  const VkResult result = context_.fn.BeginCommandBuffer(slot.commands, &info);
  if (result != VK_SUCCESS) return context_.failed("vkBeginCommandBuffer", result);
  // Whatever earlier submissions still do with the target comes first.
  VkMemoryBarrier barrier{VK_STRUCTURE_TYPE_MEMORY_BARRIER};
  barrier.srcAccessMask = VK_ACCESS_SHADER_WRITE_BIT | VK_ACCESS_TRANSFER_WRITE_BIT;
  barrier.dstAccessMask = VK_ACCESS_TRANSFER_READ_BIT | VK_ACCESS_TRANSFER_WRITE_BIT;
  context_.fn.CmdPipelineBarrier(
      slot.commands,
      VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT | VK_PIPELINE_STAGE_DRAW_INDIRECT_BIT |
          VK_PIPELINE_STAGE_TRANSFER_BIT,
      VK_PIPELINE_STAGE_TRANSFER_BIT, 0, 1, &barrier, 0, nullptr, 0, nullptr);
  return &slot;
}

Result<void> Uploader::submit(Slot& slot) {
  const VkResult result = context_.fn.EndCommandBuffer(slot.commands);
  if (result != VK_SUCCESS) {
    (void)context_.fn.ResetCommandBuffer(slot.commands, 0);  // the next upload begins it again
    return context_.failed("vkEndCommandBuffer", result);
  }
  PUMICE_TRY_ASSIGN(slot.ticket, timeline_.submit(slot.commands));
  next_ = (next_ + 1) % slots_.size();
  return {};
}

Result<void> Uploader::copy(const Buffer& target, uint64_t offset,
                            std::span<const std::byte> data) {
  const std::lock_guard lock(mutex_);
  while (!data.empty()) {
    PUMICE_TRY_ASSIGN(Slot * slot, begin());
    const size_t bytes = std::min<size_t>(data.size(), kSlotBytes);
    std::memcpy(slot->staging.mapped, data.data(), bytes);
    const VkBufferCopy region{0, offset, bytes};
    context_.fn.CmdCopyBuffer(slot->commands, slot->staging.handle.get(), target.handle.get(), 1,
                              &region);
    PUMICE_TRY(submit(*slot));
    data = data.subspan(bytes);
    offset += bytes;
  }
  return {};
}

Result<void> Uploader::fill_with_zeros(const Buffer& target) {
  const std::lock_guard lock(mutex_);
  PUMICE_TRY_ASSIGN(Slot * slot, begin());
  context_.fn.CmdFillBuffer(slot->commands, target.handle.get(), 0, VK_WHOLE_SIZE, 0);
  return submit(*slot);
}

Result<void> Uploader::finish() {
  const std::lock_guard lock(mutex_);
  for (const Slot& slot : slots_) PUMICE_TRY(timeline_.wait(slot.ticket, kLimit));
  return {};
}

}  // namespace pumice::vk
