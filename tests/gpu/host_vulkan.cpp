// The host's set-up and its frames.
#include "tests/gpu/host_vulkan.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>
#include <stdexcept>

#include "engine/vk/vulkan_library.h"

namespace pumice::test {
namespace {

constexpr uint32_t kSide = 64;  // of the picture, in pixels
constexpr VkFormat kFormat = VK_FORMAT_R8G8B8A8_UNORM;

/// In front of every block that the memory callbacks give out.
struct Header {
  void* base;
  size_t size;
};

void* host_allocate(void* user, size_t size, size_t alignment, VkSystemAllocationScope) {
  const size_t room = std::max(alignment, alignof(Header));  // also for 0 bytes: lavapipe asks so
  auto* base = static_cast<std::byte*>(std::malloc(size + room + sizeof(Header)));
  if (base == nullptr) return nullptr;
  auto address = reinterpret_cast<uintptr_t>(base + sizeof(Header));
  address = (address + room - 1) / room * room;
  auto* block = reinterpret_cast<std::byte*>(address);
  new (block - sizeof(Header)) Header{base, size};
  auto& host = *static_cast<HostVulkan*>(user);
  ++host.live_allocations;
  ++host.allocations;
  return block;
}

void host_free(void* user, void* memory) {
  if (memory == nullptr) return;
  std::free(reinterpret_cast<Header*>(static_cast<std::byte*>(memory) - sizeof(Header))->base);
  --static_cast<HostVulkan*>(user)->live_allocations;
}

void* host_reallocate(void* user, void* memory, size_t size, size_t alignment,
                      VkSystemAllocationScope scope) {
  void* fresh = host_allocate(user, size, alignment, scope);
  if (memory != nullptr && (fresh != nullptr || size == 0)) {
    const auto* header =
        reinterpret_cast<Header*>(static_cast<std::byte*>(memory) - sizeof(Header));
    if (fresh != nullptr) std::memcpy(fresh, memory, std::min(size, header->size));
    host_free(user, memory);
  }
  return fresh;
}

void lock_queue(void* user) {
  auto& host = *static_cast<HostVulkan*>(user);
  EXPECT_FALSE(host.locked.exchange(true));
  ++host.locks;
}

void unlock_queue(void* user) {
  EXPECT_TRUE(static_cast<HostVulkan*>(user)->locked.exchange(false));
}

void check(VkResult result, const char* what) {
  if (result != VK_SUCCESS) throw std::runtime_error(std::string(what) + " failed in the host");
}

float shade(uint32_t number) {
  return float(number % 256) / 255.0f;
}

}  // namespace

void HostVulkan::create(bool features) {
  allocator_.pUserData = this;
  allocator_.pfnAllocation = host_allocate;
  allocator_.pfnReallocation = host_reallocate;
  allocator_.pfnFree = host_free;
  auto entry = vk::vulkan_entry_point();
  ASSERT_TRUE(entry) << entry.error().text;
  get_ = *entry;
  create_instance();
  create_device(features);
  create_render_pass();
  for (Frame& frame : frames_) create_frame(frame);
}

void HostVulkan::create_instance() {
  VkApplicationInfo application{VK_STRUCTURE_TYPE_APPLICATION_INFO};
  application.apiVersion = VK_API_VERSION_1_2;
  VkInstanceCreateInfo info{VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO};
  info.pApplicationInfo = &application;
  VkDebugUtilsMessengerCreateInfoEXT messenger = log_.messenger_info();
  const VkValidationFeatureEnableEXT synchronization =
      VK_VALIDATION_FEATURE_ENABLE_SYNCHRONIZATION_VALIDATION_EXT;
  VkValidationFeaturesEXT validation{VK_STRUCTURE_TYPE_VALIDATION_FEATURES_EXT};
  validation.enabledValidationFeatureCount = 1;
  validation.pEnabledValidationFeatures = &synchronization;
  const char* layers[] = {vk::kValidationLayer};
  const char* extensions[] = {VK_EXT_DEBUG_UTILS_EXTENSION_NAME,
                              VK_EXT_VALIDATION_FEATURES_EXTENSION_NAME};
  if (validation_) {
    info.pNext = &messenger;
    messenger.pNext = &validation;
    info.enabledLayerCount = 1;
    info.ppEnabledLayerNames = layers;
    info.enabledExtensionCount = 2;
    info.ppEnabledExtensionNames = extensions;
  }
  const auto create =
      reinterpret_cast<PFN_vkCreateInstance>(get_(VK_NULL_HANDLE, "vkCreateInstance"));
  check(create(&info, nullptr, &instance_), "vkCreateInstance");
#define PUMICE_HOST_LOAD(name) \
  fn_.name = reinterpret_cast<PFN_vk##name>(get_(instance_, "vk" #name));
  PUMICE_HOST_INSTANCE(PUMICE_HOST_LOAD)
#undef PUMICE_HOST_LOAD
  if (!validation_) return;
  messenger.pNext = nullptr;
  check(fn_.CreateDebugUtilsMessengerEXT(instance_, &messenger, nullptr, &messenger_), "messenger");
}

void HostVulkan::create_device(bool features) {
  features_ = features;
  uint32_t count = 1;
  (void)fn_.EnumeratePhysicalDevices(instance_, &count, &physical_);
  ASSERT_EQ(count, 1u);
  auto asked = vk::host_requirements(get_, instance_, physical_, VK_API_VERSION_1_2);
  ASSERT_TRUE(asked) << asked.error().text;
  requirements_ = std::move(*asked);
  ASSERT_EQ(requirements_.summary.unusable, "");
  const vk::HostFeatures wanted = features ? requirements_.wanted : vk::HostFeatures{};

  VkPhysicalDeviceVulkan12Features v12{VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES};
  v12.storageBuffer8BitAccess = wanted.storage_8bit;
  v12.shaderFloat16 = wanted.shader_float16;
  v12.shaderInt8 = wanted.shader_int8;
  v12.timelineSemaphore = wanted.timeline_semaphore;
  VkPhysicalDeviceVulkan11Features v11{VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_FEATURES, &v12};
  v11.storageBuffer16BitAccess = wanted.storage_16bit;
  VkPhysicalDeviceSubgroupSizeControlFeatures subgroup{
      VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_FEATURES, &v11};
  subgroup.subgroupSizeControl = wanted.subgroup_size_control;
  subgroup.computeFullSubgroups = wanted.compute_full_subgroups;
  VkPhysicalDeviceShaderIntegerDotProductFeatures dot{
      VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_INTEGER_DOT_PRODUCT_FEATURES};
  dot.shaderIntegerDotProduct = wanted.integer_dot_product;
  dot.pNext = wanted.subgroup_size_control ? static_cast<void*>(&subgroup) : &v11;
  VkPhysicalDeviceFeatures2 all{VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2};
  all.pNext = wanted.integer_dot_product ? static_cast<void*>(&dot) : dot.pNext;
  all.features.robustBufferAccess = wanted.robust_buffer_access;
  all.features.shaderInt16 = wanted.shader_int16;
  all.features.shaderInt64 = wanted.shader_int64;

  const float priority = 1;
  VkDeviceQueueCreateInfo queue{VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO};
  queue.queueCount = 1;  // of family 0, which draws and computes on every driver of these tests
  queue.pQueuePriorities = &priority;
  VkDeviceCreateInfo info{VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO, &all};
  info.queueCreateInfoCount = 1;
  info.pQueueCreateInfos = &queue;
  if (features) {
    info.enabledExtensionCount = uint32_t(requirements_.extensions.size());
    info.ppEnabledExtensionNames = requirements_.extensions.data();
  }
  check(fn_.CreateDevice(physical_, &info, &allocator_, &device_), "vkCreateDevice");
#define PUMICE_HOST_LOAD(name) \
  fn_.name = reinterpret_cast<PFN_vk##name>(fn_.GetDeviceProcAddr(device_, "vk" #name));
  PUMICE_HOST_DEVICE(PUMICE_HOST_LOAD)
#undef PUMICE_HOST_LOAD
  fn_.GetDeviceQueue(device_, 0, 0, &queue_);
  VkCommandPoolCreateInfo pool{VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO};
  pool.flags = VK_COMMAND_POOL_CREATE_RESET_COMMAND_BUFFER_BIT;
  check(fn_.CreateCommandPool(device_, &pool, &allocator_, &pool_), "vkCreateCommandPool");
}

vk::HostDevice HostVulkan::lend() {
  vk::HostDevice host;
  host.get_instance_proc_addr = get_;
  host.instance = instance_;
  host.physical_device = physical_;
  host.device = device_;
  host.queue = queue_;
  host.api_version = VK_API_VERSION_1_2;
  if (features_) host.enabled = requirements_.wanted;
  host.debug_utils = validation_;
  host.allocator = &allocator_;
  host.lock_queue = lock_queue;
  host.unlock_queue = unlock_queue;
  host.user = this;
  return host;
}

void HostVulkan::create_render_pass() {
  VkAttachmentDescription picture{};
  picture.format = kFormat;
  picture.samples = VK_SAMPLE_COUNT_1_BIT;
  picture.loadOp = VK_ATTACHMENT_LOAD_OP_CLEAR;
  picture.storeOp = VK_ATTACHMENT_STORE_OP_STORE;
  picture.stencilLoadOp = VK_ATTACHMENT_LOAD_OP_DONT_CARE;
  picture.stencilStoreOp = VK_ATTACHMENT_STORE_OP_DONT_CARE;
  picture.finalLayout = VK_IMAGE_LAYOUT_TRANSFER_SRC_OPTIMAL;
  const VkAttachmentReference reference{0, VK_IMAGE_LAYOUT_COLOR_ATTACHMENT_OPTIMAL};
  VkSubpassDescription subpass{};
  subpass.pipelineBindPoint = VK_PIPELINE_BIND_POINT_GRAPHICS;
  subpass.colorAttachmentCount = 1;
  subpass.pColorAttachments = &reference;
  // The copy out of the picture comes after the pass.
  const VkSubpassDependency after{0,
                                  VK_SUBPASS_EXTERNAL,
                                  VK_PIPELINE_STAGE_COLOR_ATTACHMENT_OUTPUT_BIT,
                                  VK_PIPELINE_STAGE_TRANSFER_BIT,
                                  VK_ACCESS_COLOR_ATTACHMENT_WRITE_BIT,
                                  VK_ACCESS_TRANSFER_READ_BIT,
                                  0};
  VkRenderPassCreateInfo info{VK_STRUCTURE_TYPE_RENDER_PASS_CREATE_INFO};
  info.attachmentCount = 1;
  info.pAttachments = &picture;
  info.subpassCount = 1;
  info.pSubpasses = &subpass;
  info.dependencyCount = 1;
  info.pDependencies = &after;
  check(fn_.CreateRenderPass(device_, &info, nullptr, &pass_), "vkCreateRenderPass");
}

VkDeviceMemory HostVulkan::allocate(const VkMemoryRequirements& needed,
                                    VkMemoryPropertyFlags flags) {
  VkPhysicalDeviceMemoryProperties memory;
  fn_.GetPhysicalDeviceMemoryProperties(physical_, &memory);
  VkMemoryAllocateInfo info{VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO};
  info.allocationSize = needed.size;
  for (uint32_t type = memory.memoryTypeCount; type-- > 0;)
    if ((needed.memoryTypeBits & (1u << type)) &&
        (memory.memoryTypes[type].propertyFlags & flags) == flags)
      info.memoryTypeIndex = type;
  VkDeviceMemory allocated = VK_NULL_HANDLE;
  check(fn_.AllocateMemory(device_, &info, nullptr, &allocated), "vkAllocateMemory");
  return allocated;
}

void HostVulkan::create_frame(Frame& frame) {
  VkCommandBufferAllocateInfo commands{VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO};
  commands.commandPool = pool_;
  commands.commandBufferCount = 1;
  check(fn_.AllocateCommandBuffers(device_, &commands, &frame.commands), "command buffer");
  const VkFenceCreateInfo fence{VK_STRUCTURE_TYPE_FENCE_CREATE_INFO};
  check(fn_.CreateFence(device_, &fence, nullptr, &frame.fence), "vkCreateFence");

  VkImageCreateInfo image{VK_STRUCTURE_TYPE_IMAGE_CREATE_INFO};
  image.imageType = VK_IMAGE_TYPE_2D;
  image.format = kFormat;
  image.extent = {kSide, kSide, 1};
  image.mipLevels = image.arrayLayers = 1;
  image.samples = VK_SAMPLE_COUNT_1_BIT;
  image.usage = VK_IMAGE_USAGE_COLOR_ATTACHMENT_BIT | VK_IMAGE_USAGE_TRANSFER_SRC_BIT;
  check(fn_.CreateImage(device_, &image, nullptr, &frame.image), "vkCreateImage");
  VkMemoryRequirements needed;
  fn_.GetImageMemoryRequirements(device_, frame.image, &needed);
  frame.image_memory = allocate(needed, 0);
  check(fn_.BindImageMemory(device_, frame.image, frame.image_memory, 0), "vkBindImageMemory");
  VkImageViewCreateInfo view{VK_STRUCTURE_TYPE_IMAGE_VIEW_CREATE_INFO};
  view.image = frame.image;
  view.viewType = VK_IMAGE_VIEW_TYPE_2D;
  view.format = kFormat;
  view.subresourceRange = {VK_IMAGE_ASPECT_COLOR_BIT, 0, 1, 0, 1};
  check(fn_.CreateImageView(device_, &view, nullptr, &frame.view), "vkCreateImageView");
  VkFramebufferCreateInfo framebuffer{VK_STRUCTURE_TYPE_FRAMEBUFFER_CREATE_INFO};
  framebuffer.renderPass = pass_;
  framebuffer.attachmentCount = 1;
  framebuffer.pAttachments = &frame.view;
  framebuffer.width = framebuffer.height = kSide;
  framebuffer.layers = 1;
  check(fn_.CreateFramebuffer(device_, &framebuffer, nullptr, &frame.framebuffer), "framebuffer");

  VkBufferCreateInfo pixels{VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO};
  pixels.size = kSide * kSide * 4;
  pixels.usage = VK_BUFFER_USAGE_TRANSFER_DST_BIT;
  check(fn_.CreateBuffer(device_, &pixels, nullptr, &frame.pixels), "vkCreateBuffer");
  fn_.GetBufferMemoryRequirements(device_, frame.pixels, &needed);
  frame.pixel_memory =
      allocate(needed, VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT | VK_MEMORY_PROPERTY_HOST_COHERENT_BIT);
  check(fn_.BindBufferMemory(device_, frame.pixels, frame.pixel_memory, 0), "vkBindBufferMemory");
  void* address = nullptr;
  check(fn_.MapMemory(device_, frame.pixel_memory, 0, VK_WHOLE_SIZE, 0, &address), "vkMapMemory");
  frame.mapped = static_cast<const uint8_t*>(address);
}

void HostVulkan::finish(Frame& frame) {
  if (!frame.pending) return;
  check(fn_.WaitForFences(device_, 1, &frame.fence, VK_TRUE, UINT64_MAX), "vkWaitForFences");
  check(fn_.ResetFences(device_, 1, &frame.fence), "vkResetFences");
  frame.pending = false;
  EXPECT_EQ(frame.mapped[0], frame.number % 256) << "the picture of frame " << frame.number;
  EXPECT_EQ(frame.mapped[kSide * kSide * 4 - 1], 255);
}

VkCommandBuffer HostVulkan::begin_frame() {
  Frame& frame = frames_[next_frame()];
  finish(frame);
  frame.number = frame_;
  const VkCommandBufferBeginInfo info{VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO};
  check(fn_.BeginCommandBuffer(frame.commands, &info), "vkBeginCommandBuffer");
  draw(frame);
  return frame.commands;
}

void HostVulkan::draw(Frame& frame) {
  VkClearValue clear{};
  clear.color.float32[0] = shade(frame.number);
  clear.color.float32[3] = 1;
  VkRenderPassBeginInfo pass{VK_STRUCTURE_TYPE_RENDER_PASS_BEGIN_INFO};
  pass.renderPass = pass_;
  pass.framebuffer = frame.framebuffer;
  pass.renderArea.extent = {kSide, kSide};
  pass.clearValueCount = 1;
  pass.pClearValues = &clear;
  fn_.CmdBeginRenderPass(frame.commands, &pass, VK_SUBPASS_CONTENTS_INLINE);
  fn_.CmdEndRenderPass(frame.commands);
  VkBufferImageCopy region{};
  region.imageSubresource = {VK_IMAGE_ASPECT_COLOR_BIT, 0, 0, 1};
  region.imageExtent = {kSide, kSide, 1};
  fn_.CmdCopyImageToBuffer(frame.commands, frame.image, VK_IMAGE_LAYOUT_TRANSFER_SRC_OPTIMAL,
                           frame.pixels, 1, &region);
  VkMemoryBarrier barrier{VK_STRUCTURE_TYPE_MEMORY_BARRIER};
  barrier.srcAccessMask = VK_ACCESS_TRANSFER_WRITE_BIT;
  barrier.dstAccessMask = VK_ACCESS_HOST_READ_BIT;
  fn_.CmdPipelineBarrier(frame.commands, VK_PIPELINE_STAGE_TRANSFER_BIT, VK_PIPELINE_STAGE_HOST_BIT,
                         0, 1, &barrier, 0, nullptr, 0, nullptr);
}

void HostVulkan::end_frame(bool submit) {
  Frame& frame = frames_[next_frame()];
  ++frame_;
  check(fn_.EndCommandBuffer(frame.commands), "vkEndCommandBuffer");
  if (!submit) {
    check(fn_.ResetCommandBuffer(frame.commands, 0), "vkResetCommandBuffer");
    return;
  }
  VkSubmitInfo info{VK_STRUCTURE_TYPE_SUBMIT_INFO};
  info.commandBufferCount = 1;
  info.pCommandBuffers = &frame.commands;
  EXPECT_FALSE(locked.load());
  check(fn_.QueueSubmit(queue_, 1, &info, frame.fence), "vkQueueSubmit");
  frame.pending = true;
}

void HostVulkan::wait_for_all() {
  for (Frame& frame : frames_) finish(frame);
}

HostVulkan::~HostVulkan() {
  if (device_ != VK_NULL_HANDLE && fn_.DestroyDevice != nullptr) {
    (void)fn_.DeviceWaitIdle(device_);
    for (Frame& frame : frames_) {
      fn_.DestroyFence(device_, frame.fence, nullptr);
      fn_.DestroyFramebuffer(device_, frame.framebuffer, nullptr);
      fn_.DestroyImageView(device_, frame.view, nullptr);
      fn_.DestroyImage(device_, frame.image, nullptr);
      fn_.DestroyBuffer(device_, frame.pixels, nullptr);
      fn_.FreeMemory(device_, frame.image_memory, nullptr);
      fn_.FreeMemory(device_, frame.pixel_memory, nullptr);
    }
    fn_.DestroyRenderPass(device_, pass_, nullptr);
    fn_.DestroyCommandPool(device_, pool_, &allocator_);
    fn_.DestroyDevice(device_, &allocator_);
    EXPECT_EQ(live_allocations.load(), 0) << "blocks of the host's memory callbacks";
  }
  if (instance_ == VK_NULL_HANDLE) return;
  if (messenger_ != VK_NULL_HANDLE)
    fn_.DestroyDebugUtilsMessengerEXT(instance_, messenger_, nullptr);
  fn_.DestroyInstance(instance_, nullptr);
}

}  // namespace pumice::test
