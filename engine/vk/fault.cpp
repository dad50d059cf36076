// Decides which Vulkan call fails by plan.
#include "engine/vk/fault.h"

#include <array>
#include <string_view>

namespace pumice::vk {
namespace {

/// Calls that a lost device refuses; all others go on working, as the specification demands.
constexpr std::array<std::string_view, 7> kRefusedWhenLost = {
    "vkQueueSubmit",    "vkQueueWaitIdle",  "vkDeviceWaitIdle",          "vkWaitForFences",
    "vkGetFenceStatus", "vkWaitSemaphores", "vkGetSemaphoreCounterValue"};

bool refused_when_lost(std::string_view name) {
  for (const auto call : kRefusedWhenLost)
    if (call == name) return true;
  return false;
}

}  // namespace

std::optional<VkResult> FaultPlan::next(const char* name) {
  const std::lock_guard lock(mutex_);
  if (lost_ && refused_when_lost(name)) return VK_ERROR_DEVICE_LOST;
  if (!only.empty() && only != name) return std::nullopt;
  if (++calls_ != fail_at) return std::nullopt;
  failed_call_ = name;
  if (result == VK_ERROR_DEVICE_LOST) {
    if (before_loss) before_loss();
    lost_ = true;
  }
  return result;
}

}  // namespace pumice::vk
