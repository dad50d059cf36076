// Collects what the validation layer says.
#pragma once

#include <atomic>
#include <mutex>
#include <string>
#include <vector>

#include "engine/vk/vulkan_library.h"

namespace pumice::vk {

inline constexpr const char* kValidationLayer = "VK_LAYER_KHRONOS_validation";

class ValidationLog {
 public:
  explicit ValidationLog(std::vector<std::string>* sink) : sink_(sink) {}

  void add(std::string message);
  [[nodiscard]] uint64_t count() const { return count_; }
  /// Not to be read while a call that may add to it is running on another thread.
  [[nodiscard]] const std::vector<std::string>& messages() const { return messages_; }

  /// Warnings and errors of the layer go to this log, which must outlive the instance.
  [[nodiscard]] VkDebugUtilsMessengerCreateInfoEXT messenger_info();

 private:
  std::mutex mutex_;
  std::atomic<uint64_t> count_ = 0;
  std::vector<std::string> messages_;
  std::vector<std::string>* sink_;
};

}  // namespace pumice::vk
