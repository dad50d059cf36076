// Submission and waiting. Nothing here spins.
#include "engine/vk/timeline.h"

namespace pumice::vk {

/// On the first submission: a device that only compiles (RADV without hardware) has none to give.
Result<void> Timeline::create_semaphore() {
  if (!context_.caps().timeline || semaphore_.get() != VK_NULL_HANDLE) return {};
  VkSemaphoreTypeCreateInfo type{VK_STRUCTURE_TYPE_SEMAPHORE_TYPE_CREATE_INFO};
  type.semaphoreType = VK_SEMAPHORE_TYPE_TIMELINE;
  VkSemaphoreCreateInfo info{VK_STRUCTURE_TYPE_SEMAPHORE_CREATE_INFO, &type};
  PUMICE_TRY_ASSIGN(
      semaphore_, make_owned<OwnedSemaphore>(context_, "vkCreateSemaphore", [&](auto* out) {
        return context_.fn.CreateSemaphore(context_.device, &info, context_.allocator, out);
      }));
  return {};
}

Result<OwnedFence> Timeline::take_fence() {
  if (!free_fences_.empty()) {
    OwnedFence fence = std::move(free_fences_.back());
    free_fences_.pop_back();
    return fence;
  }
  const VkFenceCreateInfo info{VK_STRUCTURE_TYPE_FENCE_CREATE_INFO};
  return make_owned<OwnedFence>(context_, "vkCreateFence", [&](auto* out) {
    return context_.fn.CreateFence(context_.device, &info, context_.allocator, out);
  });
}

Result<Ticket> Timeline::submit(VkCommandBuffer commands) {
  PUMICE_TRY(context_.check_alive());
  const std::lock_guard lock(mutex_);
  PUMICE_TRY(create_semaphore());
  const Ticket ticket = submitted_ + 1;
  VkTimelineSemaphoreSubmitInfo values{VK_STRUCTURE_TYPE_TIMELINE_SEMAPHORE_SUBMIT_INFO};
  VkSubmitInfo info{VK_STRUCTURE_TYPE_SUBMIT_INFO};
  info.commandBufferCount = 1;
  info.pCommandBuffers = &commands;
  OwnedFence fence;
  const VkSemaphore semaphore = semaphore_.get();
  if (semaphore != VK_NULL_HANDLE) {
    values.signalSemaphoreValueCount = 1;
    values.pSignalSemaphoreValues = &ticket;
    info.pNext = &values;
    info.signalSemaphoreCount = 1;
    info.pSignalSemaphores = &semaphore;
  } else {
    PUMICE_TRY_ASSIGN(fence, take_fence());
  }
  const QueueLock& queue = context_.queue_lock;
  if (queue.lock != nullptr) queue.lock(queue.user);
  const VkResult result = context_.fn.QueueSubmit(context_.queue, 1, &info, fence.get());
  if (queue.lock != nullptr) queue.unlock(queue.user);
  if (result != VK_SUCCESS) return context_.failed("vkQueueSubmit", result);
  if (fence.get() != VK_NULL_HANDLE) pending_.push_back({ticket, std::move(fence)});
  submitted_ = ticket;
  count(context_.statistics.submissions);
  return ticket;
}

VkResult Timeline::wait_for_semaphore(Ticket ticket, uint64_t nanoseconds, const char*& call) {
  const VkSemaphore semaphore = semaphore_.get();
  VkSemaphoreWaitInfo info{VK_STRUCTURE_TYPE_SEMAPHORE_WAIT_INFO};
  info.semaphoreCount = 1;
  info.pSemaphores = &semaphore;
  info.pValues = &ticket;
  call = "vkWaitSemaphores";
  return context_.fn.WaitSemaphores(context_.device, &info, nanoseconds);
}

/// Waits with the lock held: a fence must not be recycled under another thread's wait.
VkResult Timeline::wait_for_fences(Ticket ticket, uint64_t nanoseconds, const char*& call) {
  const std::lock_guard lock(mutex_);
  std::vector<VkFence> fences;
  for (const Pending& row : pending_)
    if (row.ticket <= ticket) fences.push_back(row.fence.get());
  call = "vkWaitForFences";
  if (fences.empty()) return VK_SUCCESS;
  const auto number = uint32_t(fences.size());
  VkResult result =
      context_.fn.WaitForFences(context_.device, number, fences.data(), VK_TRUE, nanoseconds);
  if (result != VK_SUCCESS) return result;
  result = context_.fn.ResetFences(context_.device, number, fences.data());
  for (uint32_t i = 0; i < number; ++i) {
    // A fence that could not be reset is finished but not reusable: its owner destroys it.
    if (result == VK_SUCCESS) free_fences_.push_back(std::move(pending_.front().fence));
    pending_.pop_front();
  }
  return VK_SUCCESS;
}

void Timeline::complete(Ticket ticket) {
  Ticket known = completed_;
  while (known < ticket && !completed_.compare_exchange_weak(known, ticket)) {
  }
}

Result<void> Timeline::wait(Ticket ticket, std::chrono::milliseconds limit) {
  if (ticket <= completed_) return {};
  if (ticket > submitted_)
    return fail(ErrorCode::BadArgument, "ticket {} was never submitted; the newest is {}", ticket,
                submitted_.load());
  PUMICE_TRY(context_.check_alive());
  const auto nanoseconds =
      uint64_t(std::chrono::duration_cast<std::chrono::nanoseconds>(limit).count());
  const char* call = "";
  const VkResult result = semaphore_.get() != VK_NULL_HANDLE
                              ? wait_for_semaphore(ticket, nanoseconds, call)
                              : wait_for_fences(ticket, nanoseconds, call);
  if (result == VK_TIMEOUT)
    return fail(ErrorCode::DeviceLost,
                "{} did not finish submission {} within {} ms; the device hangs or is overloaded: "
                "load the model again",
                context_.caps().device_name, ticket, limit.count());
  if (result != VK_SUCCESS) return context_.failed(call, result);
  complete(ticket);
  return {};
}

Result<bool> Timeline::finished(Ticket ticket) {
  if (ticket <= completed_) return true;
  if (ticket > submitted_)
    return fail(ErrorCode::BadArgument, "ticket {} was never submitted; the newest is {}", ticket,
                submitted_.load());
  const char* call = "vkGetSemaphoreCounterValue";
  VkResult result = VK_SUCCESS;
  if (semaphore_.get() != VK_NULL_HANDLE) {
    uint64_t value = 0;
    result = context_.fn.GetSemaphoreCounterValue(context_.device, semaphore_.get(), &value);
    if (result == VK_SUCCESS && value < ticket) return false;
  } else {
    result = wait_for_fences(ticket, 0, call);
    if (result == VK_TIMEOUT) return false;
  }
  if (result != VK_SUCCESS) return context_.failed(call, result);
  complete(ticket);
  return true;
}

}  // namespace pumice::vk
