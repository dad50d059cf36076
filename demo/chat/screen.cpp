#include "screen.h"

#define GLFW_INCLUDE_NONE
#include <GLFW/glfw3.h>
#include <stb_image_write.h>

#include <algorithm>

namespace pumice::chat {
namespace {

constexpr uint64_t kPatience = 5'000'000'000;  ///< ns that a frame may take before it is an error
constexpr uint64_t kHidden = 1'000'000'000;    ///< ns without an image: nobody sees the window

Outcome<void> make_framebuffer(VkDevice device, VkRenderPass pass, VkImageView view,
                               VkExtent2D extent, VkFramebuffer* out) {
  VkFramebufferCreateInfo info = {VK_STRUCTURE_TYPE_FRAMEBUFFER_CREATE_INFO};
  info.renderPass = pass;
  info.attachmentCount = 1;
  info.pAttachments = &view;
  info.width = extent.width;
  info.height = extent.height;
  info.layers = 1;
  return checked(vkCreateFramebuffer(device, &info, nullptr, out), "vkCreateFramebuffer");
}

}  // namespace

Outcome<std::unique_ptr<Screen>> Screen::create(GLFWwindow* window, std::string_view device) {
  std::unique_ptr<Screen> screen(new Screen());
  screen->window_ = window;
  auto gpu = Gpu::create(window, device);
  if (!gpu) return trouble_of(gpu);
  screen->gpu_ = std::move(*gpu);
  if (auto made = screen->choose_format(); !made) return trouble_of(made);
  auto painter = Painter::create(*screen->gpu_, screen->format_.format);
  if (!painter) return trouble_of(painter);
  screen->painter_ = std::move(*painter);
  if (auto made = screen->create_frame(); !made) return trouble_of(made);
  return screen;
}

Screen::~Screen() {
  if (!gpu_ || !gpu_->device) return;
  wait_idle();
  destroy_targets();
  vkDestroySwapchainKHR(gpu_->device, swapchain_, nullptr);
  vkDestroySemaphore(gpu_->device, acquired_, nullptr);
  vkDestroyFence(gpu_->device, done_, nullptr);
  vkDestroyCommandPool(gpu_->device, pool_, nullptr);
  painter_.reset();
}

void Screen::wait_idle() {
  std::lock_guard lock(gpu_->queue_mutex);
  vkDeviceWaitIdle(gpu_->device);
}

/// Colours are given as they shall appear, so a format that does not convert them.
Outcome<void> Screen::choose_format() {
  uint32_t count = 0;
  vkGetPhysicalDeviceSurfaceFormatsKHR(gpu_->physical, gpu_->surface, &count, nullptr);
  std::vector<VkSurfaceFormatKHR> formats(count);
  vkGetPhysicalDeviceSurfaceFormatsKHR(gpu_->physical, gpu_->surface, &count, formats.data());
  for (VkFormat wanted : {VK_FORMAT_B8G8R8A8_UNORM, VK_FORMAT_R8G8B8A8_UNORM})
    for (const VkSurfaceFormatKHR& each : formats)
      if (each.format == wanted) {
        format_ = each;
        return {};
      }
  return trouble("the window's surface has no 8-bit format (of {})", formats.size());
}

Outcome<void> Screen::create_frame() {
  VkCommandPoolCreateInfo pool = {VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO};
  pool.flags = VK_COMMAND_POOL_CREATE_RESET_COMMAND_BUFFER_BIT;
  pool.queueFamilyIndex = gpu_->family;
  VkFenceCreateInfo fence = {VK_STRUCTURE_TYPE_FENCE_CREATE_INFO};
  fence.flags = VK_FENCE_CREATE_SIGNALED_BIT;
  VkSemaphoreCreateInfo semaphore = {VK_STRUCTURE_TYPE_SEMAPHORE_CREATE_INFO};
  for (VkResult result : {vkCreateCommandPool(gpu_->device, &pool, nullptr, &pool_),
                          vkCreateFence(gpu_->device, &fence, nullptr, &done_),
                          vkCreateSemaphore(gpu_->device, &semaphore, nullptr, &acquired_)})
    if (auto made = checked(result, "preparing frames"); !made) return made;
  VkCommandBufferAllocateInfo info = {VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO};
  info.commandPool = pool_;
  info.commandBufferCount = 1;
  return checked(vkAllocateCommandBuffers(gpu_->device, &info, &commands_),
                 "vkAllocateCommandBuffers");
}

void Screen::destroy_targets() {
  for (const Target& target : targets_) {
    vkDestroySemaphore(gpu_->device, target.drawn, nullptr);
    vkDestroyFramebuffer(gpu_->device, target.framebuffer, nullptr);
    vkDestroyImageView(gpu_->device, target.view, nullptr);
  }
  targets_.clear();
}

Outcome<void> Screen::create_swapchain() {
  wait_idle();  // only where the window changes its size
  destroy_targets();
  VkSurfaceCapabilitiesKHR surface;
  auto asked =
      checked(vkGetPhysicalDeviceSurfaceCapabilitiesKHR(gpu_->physical, gpu_->surface, &surface),
              "asking the surface");
  if (!asked) return asked;
  int width = 0, height = 0;
  glfwGetFramebufferSize(window_, &width, &height);
  extent_ = surface.currentExtent;
  if (extent_.width == UINT32_MAX)
    extent_ = {std::clamp(static_cast<uint32_t>(width), surface.minImageExtent.width,
                          surface.maxImageExtent.width),
               std::clamp(static_cast<uint32_t>(height), surface.minImageExtent.height,
                          surface.maxImageExtent.height)};
  if (extent_.width == 0 || extent_.height == 0) return {};
  VkSwapchainCreateInfoKHR info = {VK_STRUCTURE_TYPE_SWAPCHAIN_CREATE_INFO_KHR};
  info.surface = gpu_->surface;
  info.minImageCount = surface.maxImageCount > 0
                           ? std::min(surface.minImageCount + 1, surface.maxImageCount)
                           : surface.minImageCount + 1;
  info.imageFormat = format_.format;
  info.imageColorSpace = format_.colorSpace;
  info.imageExtent = extent_;
  info.imageArrayLayers = 1;
  info.imageUsage = VK_IMAGE_USAGE_COLOR_ATTACHMENT_BIT;
  info.preTransform = surface.currentTransform;
  info.compositeAlpha = (surface.supportedCompositeAlpha & VK_COMPOSITE_ALPHA_OPAQUE_BIT_KHR)
                            ? VK_COMPOSITE_ALPHA_OPAQUE_BIT_KHR
                            : VK_COMPOSITE_ALPHA_INHERIT_BIT_KHR;
  info.presentMode = VK_PRESENT_MODE_FIFO_KHR;
  info.clipped = VK_TRUE;
  info.oldSwapchain = swapchain_;
  VkSwapchainKHR made = VK_NULL_HANDLE;
  auto done =
      checked(vkCreateSwapchainKHR(gpu_->device, &info, nullptr, &made), "vkCreateSwapchainKHR");
  vkDestroySwapchainKHR(gpu_->device, swapchain_, nullptr);
  swapchain_ = made;
  if (!done) return done;
  return create_targets();
}

Outcome<void> Screen::create_targets() {
  uint32_t count = 0;
  vkGetSwapchainImagesKHR(gpu_->device, swapchain_, &count, nullptr);
  std::vector<VkImage> images(count);
  vkGetSwapchainImagesKHR(gpu_->device, swapchain_, &count, images.data());
  for (VkImage image : images) {
    Target& target = targets_.emplace_back();
    VkImageViewCreateInfo view = {VK_STRUCTURE_TYPE_IMAGE_VIEW_CREATE_INFO};
    view.image = image;
    view.viewType = VK_IMAGE_VIEW_TYPE_2D;
    view.format = format_.format;
    view.subresourceRange = {VK_IMAGE_ASPECT_COLOR_BIT, 0, 1, 0, 1};
    auto viewed =
        checked(vkCreateImageView(gpu_->device, &view, nullptr, &target.view), "vkCreateImageView");
    if (!viewed) return viewed;
    auto framed = make_framebuffer(gpu_->device, painter_->render_pass(Painter::End::Present),
                                   target.view, extent_, &target.framebuffer);
    if (!framed) return framed;
    VkSemaphoreCreateInfo semaphore = {VK_STRUCTURE_TYPE_SEMAPHORE_CREATE_INFO};
    auto signalled = checked(vkCreateSemaphore(gpu_->device, &semaphore, nullptr, &target.drawn),
                             "vkCreateSemaphore");
    if (!signalled) return signalled;
  }
  stale_ = false;
  return {};
}

Outcome<void> Screen::finish() {
  return checked(vkWaitForFences(gpu_->device, 1, &done_, VK_TRUE, kPatience),
                 "waiting for a frame");
}

/// Waits for the frame before and opens the command buffer.
Outcome<void> Screen::begin() {
  if (auto waited = finish(); !waited) return waited;
  VkCommandBufferBeginInfo info = {VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO};
  info.flags = VK_COMMAND_BUFFER_USAGE_ONE_TIME_SUBMIT_BIT;
  return checked(vkBeginCommandBuffer(commands_, &info), "vkBeginCommandBuffer");
}

Outcome<void> Screen::submit(VkSemaphore wait, VkSemaphore signal) {
  if (auto ended = checked(vkEndCommandBuffer(commands_), "vkEndCommandBuffer"); !ended)
    return ended;
  vkResetFences(gpu_->device, 1, &done_);
  const VkPipelineStageFlags stage = VK_PIPELINE_STAGE_COLOR_ATTACHMENT_OUTPUT_BIT;
  VkSubmitInfo info = {VK_STRUCTURE_TYPE_SUBMIT_INFO};
  info.waitSemaphoreCount = wait ? 1 : 0;
  info.pWaitSemaphores = &wait;
  info.pWaitDstStageMask = &stage;
  info.commandBufferCount = 1;
  info.pCommandBuffers = &commands_;
  info.signalSemaphoreCount = signal ? 1 : 0;
  info.pSignalSemaphores = &signal;
  std::lock_guard lock(gpu_->queue_mutex);
  return checked(vkQueueSubmit(gpu_->queue, 1, &info, done_), "vkQueueSubmit");
}

VkResult Screen::present_locked(const VkPresentInfoKHR& present) {
  std::lock_guard lock(gpu_->queue_mutex);
  return vkQueuePresentKHR(gpu_->queue, &present);
}

Outcome<void> Screen::show(const ImDrawData& draw, GlyphAtlas& atlas, ImVec4 background) {
  int width = 0, height = 0;
  glfwGetFramebufferSize(window_, &width, &height);
  if (width == 0 || height == 0) return {};
  if (stale_ || static_cast<uint32_t>(width) != extent_.width ||
      static_cast<uint32_t>(height) != extent_.height)
    if (auto made = create_swapchain(); !made) return made;
  if (targets_.empty()) return {};
  if (auto waited = finish(); !waited) return waited;  // its semaphore is free again
  uint32_t index = 0;
  const VkResult acquired =
      vkAcquireNextImageKHR(gpu_->device, swapchain_, kHidden, acquired_, VK_NULL_HANDLE, &index);
  if (acquired == VK_TIMEOUT || acquired == VK_NOT_READY) return {};
  stale_ = acquired == VK_ERROR_OUT_OF_DATE_KHR || acquired == VK_SUBOPTIMAL_KHR;
  if (acquired == VK_ERROR_OUT_OF_DATE_KHR) return {};  // the next frame makes a new one
  if (acquired != VK_SUBOPTIMAL_KHR)
    if (auto got = checked(acquired, "vkAcquireNextImageKHR"); !got) return got;
  if (auto begun = begin(); !begun) return begun;
  if (auto ready = painter_->prepare(draw, atlas); !ready) return ready;
  painter_->record_uploads(commands_);
  const Target& target = targets_[index];
  painter_->record(commands_, draw, target.framebuffer, extent_, Painter::End::Present, background);
  if (auto sent = submit(acquired_, target.drawn); !sent) return sent;
  VkPresentInfoKHR present = {VK_STRUCTURE_TYPE_PRESENT_INFO_KHR};
  present.waitSemaphoreCount = 1;
  present.pWaitSemaphores = &target.drawn;
  present.swapchainCount = 1;
  present.pSwapchains = &swapchain_;
  present.pImageIndices = &index;
  const VkResult shown = present_locked(present);
  stale_ = stale_ || shown == VK_ERROR_OUT_OF_DATE_KHR || shown == VK_SUBOPTIMAL_KHR;
  if (shown == VK_ERROR_OUT_OF_DATE_KHR || shown == VK_SUBOPTIMAL_KHR) return {};
  return checked(shown, "vkQueuePresentKHR");
}

Outcome<void> Screen::save(const std::string& path, const ImDrawData& draw, GlyphAtlas& atlas,
                           ImVec4 background) {
  const VkExtent2D extent = {static_cast<uint32_t>(draw.DisplaySize.x * draw.FramebufferScale.x),
                             static_cast<uint32_t>(draw.DisplaySize.y * draw.FramebufferScale.y)};
  Image image(*gpu_);
  HostBuffer pixels(*gpu_, VK_BUFFER_USAGE_TRANSFER_DST_BIT);
  auto made = image.create(format_.format, extent,
                           VK_IMAGE_USAGE_COLOR_ATTACHMENT_BIT | VK_IMAGE_USAGE_TRANSFER_SRC_BIT);
  if (!made) return made;
  const size_t bytes = size_t{extent.width} * extent.height * 4;
  if (auto room = pixels.reserve(bytes); !room) return room;
  VkFramebuffer framebuffer = VK_NULL_HANDLE;
  auto framed = make_framebuffer(gpu_->device, painter_->render_pass(Painter::End::Copy),
                                 image.view(), extent, &framebuffer);
  if (!framed) return framed;
  Outcome<void> done = begin();
  if (done) done = painter_->prepare(draw, atlas);
  if (done) {
    painter_->record_uploads(commands_);
    painter_->record(commands_, draw, framebuffer, extent, Painter::End::Copy, background);
    VkBufferImageCopy region = {};
    region.imageSubresource = {VK_IMAGE_ASPECT_COLOR_BIT, 0, 0, 1};
    region.imageExtent = {extent.width, extent.height, 1};
    vkCmdCopyImageToBuffer(commands_, image.handle(), VK_IMAGE_LAYOUT_TRANSFER_SRC_OPTIMAL,
                           pixels.handle(), 1, &region);
    done = submit(VK_NULL_HANDLE, VK_NULL_HANDLE);
  }
  wait_idle();
  vkDestroyFramebuffer(gpu_->device, framebuffer, nullptr);
  if (!done) return done;
  for (size_t i = 0; i < bytes; i += 4) {
    if (format_.format == VK_FORMAT_B8G8R8A8_UNORM)
      std::swap(pixels.data()[i], pixels.data()[i + 2]);
    pixels.data()[i + 3] = 255;
  }
  if (stbi_write_png(path.c_str(), static_cast<int>(extent.width), static_cast<int>(extent.height),
                     4, pixels.data(), static_cast<int>(extent.width * 4)) == 0)
    return trouble("{}: the picture could not be written there", path);
  return {};
}

}  // namespace pumice::chat
