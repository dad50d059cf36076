// The window's Vulkan instance, device and queue, which it lends to the engine, and the few helpers
// that its drawing needs.
#pragma once

#include <vulkan/vulkan.h>

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lend.h"
#include "outcome.h"

struct GLFWwindow;

namespace pumice::chat {

/// A failed call by its name, or nothing.
[[nodiscard]] Outcome<void> checked(VkResult result, const char* call);

class Gpu {
 public:
  /// For a device that can draw into `window`; a GPU before a software driver, unless a part of
  /// its name is given.
  [[nodiscard]] static Outcome<std::unique_ptr<Gpu>> create(GLFWwindow* window,
                                                            std::string_view name);
  ~Gpu();
  Gpu(const Gpu&) = delete;
  Gpu& operator=(const Gpu&) = delete;

  VkInstance instance = VK_NULL_HANDLE;
  VkSurfaceKHR surface = VK_NULL_HANDLE;
  VkPhysicalDevice physical = VK_NULL_HANDLE;
  VkPhysicalDeviceProperties properties = {};
  uint32_t family = 0;  ///< of the queue, which draws and presents
  VkDevice device = VK_NULL_HANDLE;
  VkQueue queue = VK_NULL_HANDLE;
  /// Held by whoever submits to the queue, presents on it or waits for all of it.
  std::mutex queue_mutex;

  /// The device for the engine, as long as this lives; nothing where the engine cannot use it.
  [[nodiscard]] std::optional<pm_vulkan_host> host();
  /// A memory type with all of `wanted` among `allowed` bits; -1 = none.
  [[nodiscard]] int memory_type(uint32_t allowed, VkMemoryPropertyFlags wanted) const;

 private:
  Gpu() = default;
  Outcome<void> create_instance();
  Outcome<void> choose(std::string_view name);
  Outcome<void> create_device();

  std::unique_ptr<LentFeatures> lent_;
};

/// A buffer that stays mapped, for vertices, uploads and reading back.
class HostBuffer {
 public:
  explicit HostBuffer(const Gpu& gpu, VkBufferUsageFlags usage) : gpu_(gpu), usage_(usage) {}
  ~HostBuffer() { release(); }
  HostBuffer(const HostBuffer&) = delete;
  HostBuffer& operator=(const HostBuffer&) = delete;

  /// At least `bytes`; what it held is lost when it grows. The device must not be using it.
  [[nodiscard]] Outcome<void> reserve(VkDeviceSize bytes);
  [[nodiscard]] VkBuffer handle() const { return buffer_; }
  [[nodiscard]] uint8_t* data() const { return data_; }

 private:
  void release();

  const Gpu& gpu_;
  VkBufferUsageFlags usage_;
  VkBuffer buffer_ = VK_NULL_HANDLE;
  VkDeviceMemory memory_ = VK_NULL_HANDLE;
  uint8_t* data_ = nullptr;
  VkDeviceSize size_ = 0;
};

/// An image with its memory and view.
class Image {
 public:
  explicit Image(const Gpu& gpu) : gpu_(gpu) {}
  ~Image() { release(); }
  Image(const Image&) = delete;
  Image& operator=(const Image&) = delete;

  [[nodiscard]] Outcome<void> create(VkFormat format, VkExtent2D extent, VkImageUsageFlags usage);
  [[nodiscard]] VkImage handle() const { return image_; }
  [[nodiscard]] VkImageView view() const { return view_; }
  [[nodiscard]] VkExtent2D extent() const { return extent_; }

 private:
  void release();

  const Gpu& gpu_;
  VkImage image_ = VK_NULL_HANDLE;
  VkDeviceMemory memory_ = VK_NULL_HANDLE;
  VkImageView view_ = VK_NULL_HANDLE;
  VkExtent2D extent_ = {};
};

/// A barrier for a whole colour image with one level.
void transition(VkCommandBuffer commands, VkImage image, VkImageLayout from, VkImageLayout to,
                VkPipelineStageFlags before, VkAccessFlags wrote, VkPipelineStageFlags after,
                VkAccessFlags reads);

}  // namespace pumice::chat
