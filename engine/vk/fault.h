// Planned failures of Vulkan calls, for tests: the n-th call fails, or the device is lost for good.
// Every call goes through a table entry (functions.h) that asks the plan first.
#pragma once

#define VK_NO_PROTOTYPES
#include <vulkan/vulkan_core.h>

#include <atomic>
#include <functional>
#include <mutex>
#include <optional>
#include <string>

namespace pumice::vk {

class FaultPlan {
 public:
  uint64_t fail_at = 0;  ///< counted from 1 over calls that return a VkResult; 0 = never
  VkResult result = VK_ERROR_OUT_OF_HOST_MEMORY;  ///< DEVICE_LOST is sticky
  std::string only;                               ///< count calls of this name only: "vkMapMemory"

  /// What the call should return instead of being made.
  [[nodiscard]] std::optional<VkResult> next(const char* name);

  [[nodiscard]] uint64_t calls() const { return calls_; }
  /// Name of the call that failed by plan; empty when none did.
  [[nodiscard]] const std::string& failed_call() const { return failed_call_; }

  /// Runs before a planned loss: a really lost device executes nothing any more, so the device
  /// sets this to wait until it is idle.
  std::function<void()> before_loss;

 private:
  std::mutex mutex_;
  std::atomic<uint64_t> calls_ = 0;
  bool lost_ = false;
  std::string failed_call_;
};

}  // namespace pumice::vk
