// The queue: submissions get ascending tickets, and tickets can be waited for.
#pragma once

#include <chrono>
#include <deque>
#include <mutex>
#include <vector>

#include "engine/vk/context.h"

namespace pumice::vk {

/// One timeline semaphore where the device has them, else a fence per submission. Safe to use
/// from several threads: one lock around the queue.
class Timeline {
 public:
  explicit Timeline(Context& context) : context_(context) {}

  [[nodiscard]] Result<Ticket> submit(VkCommandBuffer commands);
  [[nodiscard]] Result<void> wait(Ticket ticket, std::chrono::milliseconds limit);
  /// Without waiting.
  [[nodiscard]] Result<bool> finished(Ticket ticket);
  /// Of the newest submission; 0 before the first.
  [[nodiscard]] Ticket last() const { return submitted_; }

 private:
  struct Pending {
    Ticket ticket = 0;
    OwnedFence fence;
  };

  [[nodiscard]] Result<void> create_semaphore();
  [[nodiscard]] Result<OwnedFence> take_fence();
  [[nodiscard]] VkResult wait_for_fences(Ticket ticket, uint64_t nanoseconds, const char*& call);
  [[nodiscard]] VkResult wait_for_semaphore(Ticket ticket, uint64_t nanoseconds, const char*& call);
  void complete(Ticket ticket);

  Context& context_;
  std::mutex mutex_;
  OwnedSemaphore semaphore_;
  std::atomic<Ticket> submitted_ = 0, completed_ = 0;
  std::deque<Pending> pending_;          ///< without a timeline semaphore, in ticket order
  std::vector<OwnedFence> free_fences_;  ///< unsignalled
};

}  // namespace pumice::vk
