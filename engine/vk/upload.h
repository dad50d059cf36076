// Copies to buffers that the host cannot see, through two staging buffers used in turn.
#pragma once

#include <array>
#include <mutex>

#include "engine/vk/buffer.h"
#include "engine/vk/timeline.h"

namespace pumice::vk {

/// Safe to use from several threads. The staging buffers are made on first use.
class Uploader {
 public:
  Uploader(Context& context, Timeline& timeline) : context_(context), timeline_(timeline) {}

  [[nodiscard]] Result<void> copy(const Buffer& target, uint64_t offset,
                                  std::span<const std::byte> data);
  [[nodiscard]] Result<void> fill_with_zeros(const Buffer& target);
  [[nodiscard]] Result<void> finish();

 private:
  struct Slot {
    Buffer staging;
    VkCommandBuffer commands = VK_NULL_HANDLE;
    Ticket ticket = 0;  ///< of its last submission
  };

  [[nodiscard]] Result<void> create();
  /// The next slot, free and with its command buffer begun.
  [[nodiscard]] Result<Slot*> begin();
  [[nodiscard]] Result<void> submit(Slot& slot);

  Context& context_;
  Timeline& timeline_;
  std::mutex mutex_;
  OwnedCommandPool pool_;
  std::array<Slot, 2> slots_;
  size_t next_ = 0;
  bool created_ = false;
};

}  // namespace pumice::vk
