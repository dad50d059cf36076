// The window's swapchain: one frame in flight, made anew when the window changes its size, and a
// frame as pixels for a screenshot.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "painter.h"

namespace pumice::chat {

class Screen {
 public:
  [[nodiscard]] static Outcome<std::unique_ptr<Screen>> create(GLFWwindow* window,
                                                               std::string_view device);
  ~Screen();
  Screen(const Screen&) = delete;
  Screen& operator=(const Screen&) = delete;

  /// Shows one frame; nothing happens while the window has no area.
  [[nodiscard]] Outcome<void> show(const ImDrawData& draw, GlyphAtlas& atlas, ImVec4 background);
  /// Waits until the device has drawn it.
  [[nodiscard]] Outcome<void> finish();
  /// Writes the same frame as a PNG file.
  [[nodiscard]] Outcome<void> save(const std::string& path, const ImDrawData& draw,
                                   GlyphAtlas& atlas, ImVec4 background);
  [[nodiscard]] const char* device_name() const { return gpu_->properties.deviceName; }
  /// Gpu::host.
  [[nodiscard]] std::optional<pm_vulkan_host> host() { return gpu_->host(); }

 private:
  struct Target {
    VkImageView view = VK_NULL_HANDLE;
    VkFramebuffer framebuffer = VK_NULL_HANDLE;
    VkSemaphore drawn = VK_NULL_HANDLE;
  };

  Screen() = default;
  Outcome<void> choose_format();
  Outcome<void> create_frame();
  Outcome<void> create_swapchain();
  Outcome<void> create_targets();
  void destroy_targets();
  Outcome<void> begin();
  Outcome<void> submit(VkSemaphore wait, VkSemaphore signal);
  VkResult present_locked(const VkPresentInfoKHR& present);
  void wait_idle();

  GLFWwindow* window_ = nullptr;
  std::unique_ptr<Gpu> gpu_;
  std::unique_ptr<Painter> painter_;
  VkSurfaceFormatKHR format_ = {};
  VkExtent2D extent_ = {};
  VkSwapchainKHR swapchain_ = VK_NULL_HANDLE;
  std::vector<Target> targets_;
  VkCommandPool pool_ = VK_NULL_HANDLE;
  VkCommandBuffer commands_ = VK_NULL_HANDLE;
  VkFence done_ = VK_NULL_HANDLE;  ///< of the frame before
  VkSemaphore acquired_ = VK_NULL_HANDLE;
  bool stale_ = true;  ///< the swapchain does not fit the window any more
};

}  // namespace pumice::chat
