// A host that has Vulkan for itself, as a game does: instance, device, queue and memory callbacks
// of its own, and frames that draw off-screen. It lends its device to the engine.
#pragma once

#include <array>
#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "engine/vk/borrow.h"
#include "engine/vk/validation.h"

namespace pumice::test {

#define PUMICE_HOST_INSTANCE(X)        \
  X(DestroyInstance)                   \
  X(EnumeratePhysicalDevices)          \
  X(GetPhysicalDeviceMemoryProperties) \
  X(CreateDevice)                      \
  X(CreateDebugUtilsMessengerEXT) X(DestroyDebugUtilsMessengerEXT) X(GetDeviceProcAddr)
#define PUMICE_HOST_DEVICE(X)    \
  X(DestroyDevice)               \
  X(GetDeviceQueue)              \
  X(DeviceWaitIdle)              \
  X(QueueSubmit)                 \
  X(CreateCommandPool)           \
  X(DestroyCommandPool)          \
  X(AllocateCommandBuffers)      \
  X(BeginCommandBuffer)          \
  X(EndCommandBuffer)            \
  X(ResetCommandBuffer)          \
  X(CreateFence)                 \
  X(DestroyFence)                \
  X(WaitForFences)               \
  X(ResetFences)                 \
  X(CreateImage)                 \
  X(DestroyImage)                \
  X(CreateImageView)             \
  X(DestroyImageView)            \
  X(GetImageMemoryRequirements)  \
  X(BindImageMemory)             \
  X(CreateBuffer)                \
  X(DestroyBuffer)               \
  X(GetBufferMemoryRequirements) \
  X(BindBufferMemory)            \
  X(AllocateMemory)              \
  X(FreeMemory)                  \
  X(MapMemory)                   \
  X(CreateRenderPass)            \
  X(DestroyRenderPass)           \
  X(CreateFramebuffer)           \
  X(DestroyFramebuffer)          \
  X(CmdBeginRenderPass) X(CmdEndRenderPass) X(CmdCopyImageToBuffer) X(CmdPipelineBarrier)

#define PUMICE_HOST_MEMBER(name) PFN_vk##name name = nullptr;
struct HostFunctions {
  PUMICE_HOST_INSTANCE(PUMICE_HOST_MEMBER)
  PUMICE_HOST_DEVICE(PUMICE_HOST_MEMBER)
};
#undef PUMICE_HOST_MEMBER

class HostVulkan {
 public:
  static constexpr uint32_t kFrames = 2;  ///< under way at once

  explicit HostVulkan(bool validation) : validation_(validation) {}
  ~HostVulkan();
  HostVulkan(const HostVulkan&) = delete;
  HostVulkan& operator=(const HostVulkan&) = delete;

  /// Creates everything, with the features that are wanted, or none of them.
  void create(bool features);
  [[nodiscard]] vk::HostDevice lend();
  [[nodiscard]] const vk::HostRequirements& requirements() const { return requirements_; }

  /// The oldest frame: waits until the queue has finished it, checks what it drew, and begins its
  /// commands anew with a pass that clears its picture.
  [[nodiscard]] VkCommandBuffer begin_frame();
  /// Ends the frame and submits it, or throws its commands away.
  void end_frame(bool submit);
  /// Index in 0..kFrames-1 that the next begin_frame() takes.
  [[nodiscard]] uint32_t next_frame() const { return frame_ % kFrames; }
  void wait_for_all();

  /// Of validation, those of destruction included: they stay after the host is gone.
  std::vector<std::string> messages;
  std::atomic<int64_t> live_allocations = 0, allocations = 0, locks = 0;
  std::atomic<bool> locked = false;

 private:
  struct Frame {
    VkCommandBuffer commands = VK_NULL_HANDLE;
    VkFence fence = VK_NULL_HANDLE;
    VkImage image = VK_NULL_HANDLE;
    VkImageView view = VK_NULL_HANDLE;
    VkFramebuffer framebuffer = VK_NULL_HANDLE;
    VkBuffer pixels = VK_NULL_HANDLE;
    VkDeviceMemory image_memory = VK_NULL_HANDLE, pixel_memory = VK_NULL_HANDLE;
    const uint8_t* mapped = nullptr;
    bool pending = false;
    uint32_t number = 0;
  };

  void create_instance();
  void create_device(bool features);
  void create_render_pass();
  void create_frame(Frame& frame);
  [[nodiscard]] VkDeviceMemory allocate(const VkMemoryRequirements& needed,
                                        VkMemoryPropertyFlags flags);
  void finish(Frame& frame);
  void draw(Frame& frame);

  bool validation_;
  vk::ValidationLog log_{&messages};
  PFN_vkGetInstanceProcAddr get_ = nullptr;
  HostFunctions fn_;
  VkInstance instance_ = VK_NULL_HANDLE;
  VkDebugUtilsMessengerEXT messenger_ = VK_NULL_HANDLE;
  VkPhysicalDevice physical_ = VK_NULL_HANDLE;
  VkDevice device_ = VK_NULL_HANDLE;
  VkQueue queue_ = VK_NULL_HANDLE;
  VkCommandPool pool_ = VK_NULL_HANDLE;
  VkRenderPass pass_ = VK_NULL_HANDLE;
  VkAllocationCallbacks allocator_{};
  vk::HostRequirements requirements_;
  bool features_ = false;
  std::array<Frame, kFrames> frames_;
  uint32_t frame_ = 0;
};

}  // namespace pumice::test
