#include "gpu.h"

#define GLFW_INCLUDE_NONE
#include <GLFW/glfw3.h>

#include <algorithm>
#include <cstring>

namespace pumice::chat {

Outcome<void> checked(VkResult result, const char* call) {
  if (result == VK_SUCCESS) return {};
  if (result == VK_ERROR_DEVICE_LOST)
    return tl::unexpected<Trouble>(
        Trouble{"the window's graphics device was lost; the chat is saved, open it again", true});
  if (result == VK_ERROR_OUT_OF_DEVICE_MEMORY || result == VK_ERROR_OUT_OF_HOST_MEMORY)
    return trouble("the window ran out of memory in {}", call);
  return trouble("the window's graphics driver failed: {} returned {}", call,
                 static_cast<int>(result));
}

Outcome<std::unique_ptr<Gpu>> Gpu::create(GLFWwindow* window, std::string_view name) {
  std::unique_ptr<Gpu> gpu(new Gpu());
  if (auto made = gpu->create_instance(); !made) return trouble_of(made);
  auto surface = checked(glfwCreateWindowSurface(gpu->instance, window, nullptr, &gpu->surface),
                         "creating a surface");
  if (!surface) return trouble_of(surface);
  if (auto chosen = gpu->choose(name); !chosen) return trouble_of(chosen);
  if (auto made = gpu->create_device(); !made) return trouble_of(made);
  return gpu;
}

Outcome<void> Gpu::create_instance() {
  uint32_t count = 0;
  const char** extensions = glfwGetRequiredInstanceExtensions(&count);
  if (!extensions)
    return trouble("no Vulkan driver here can draw into a window; install mesa-vulkan-drivers");
  VkApplicationInfo application = {VK_STRUCTURE_TYPE_APPLICATION_INFO};
  application.pApplicationName = "pumice-chat";
  application.apiVersion = VK_API_VERSION_1_2;
  VkInstanceCreateInfo info = {VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO};
  info.pApplicationInfo = &application;
  info.enabledExtensionCount = count;
  info.ppEnabledExtensionNames = extensions;
  return checked(vkCreateInstance(&info, nullptr, &instance), "vkCreateInstance");
}

/// The family that draws, presents and, for the engine, computes; -1 = none.
static int present_family(VkPhysicalDevice device, VkSurfaceKHR surface) {
  uint32_t count = 0;
  vkGetPhysicalDeviceQueueFamilyProperties(device, &count, nullptr);
  std::vector<VkQueueFamilyProperties> families(count);
  vkGetPhysicalDeviceQueueFamilyProperties(device, &count, families.data());
  for (uint32_t i = 0; i < count; ++i) {
    VkBool32 presents = VK_FALSE;
    vkGetPhysicalDeviceSurfaceSupportKHR(device, i, surface, &presents);
    constexpr VkQueueFlags kBoth = VK_QUEUE_GRAPHICS_BIT | VK_QUEUE_COMPUTE_BIT;
    if (presents && (families[i].queueFlags & kBoth) == kBoth) return static_cast<int>(i);
  }
  return -1;
}

static int rank(VkPhysicalDeviceType type) {
  switch (type) {
    case VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU:
      return 3;
    case VK_PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU:
      return 2;
    case VK_PHYSICAL_DEVICE_TYPE_VIRTUAL_GPU:
      return 1;
    default:
      return 0;
  }
}

Outcome<void> Gpu::choose(std::string_view name) {
  uint32_t count = 0;
  vkEnumeratePhysicalDevices(instance, &count, nullptr);
  std::vector<VkPhysicalDevice> devices(count);
  vkEnumeratePhysicalDevices(instance, &count, devices.data());
  int best = -1;
  // a number is the engine's index of a device, and no part of a name
  const bool part = name.find_first_not_of("0123456789") != std::string_view::npos;
  for (VkPhysicalDevice each : devices) {
    VkPhysicalDeviceProperties found;
    vkGetPhysicalDeviceProperties(each, &found);
    const int drawing = present_family(each, surface);
    const bool named =
        part && std::string_view(found.deviceName).find(name) != std::string_view::npos;
    const int score = rank(found.deviceType) + (named ? 10 : 0);
    if (drawing < 0 || score <= best) continue;
    best = score;
    physical = each;
    properties = found;
    family = static_cast<uint32_t>(drawing);
  }
  if (!physical)
    return trouble("no Vulkan device here can draw into this window (of {})", devices.size());
  return {};
}

Outcome<void> Gpu::create_device() {
  const float priority = 1.0f;
  VkDeviceQueueCreateInfo queues = {VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO};
  queues.queueFamilyIndex = family;
  queues.queueCount = 1;
  queues.pQueuePriorities = &priority;
  lent_ = std::make_unique<LentFeatures>(instance, physical);
  std::vector<const char*> extensions = {VK_KHR_SWAPCHAIN_EXTENSION_NAME};
  extensions.insert(extensions.end(), lent_->extensions(),
                    lent_->extensions() + lent_->extension_count());
  VkDeviceCreateInfo info = {VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO};
  info.pNext = lent_->chain();
  info.queueCreateInfoCount = 1;
  info.pQueueCreateInfos = &queues;
  info.enabledExtensionCount = static_cast<uint32_t>(extensions.size());
  info.ppEnabledExtensionNames = extensions.data();
  if (auto made = checked(vkCreateDevice(physical, &info, nullptr, &device), "vkCreateDevice");
      !made)
    return made;
  vkGetDeviceQueue(device, family, 0, &queue);
  return {};
}

std::optional<pm_vulkan_host> Gpu::host() {
  if (!lent_->lendable()) return std::nullopt;
  pm_vulkan_host host = {};
  host.struct_size = sizeof host;
  host.api_version = VK_API_VERSION_1_2;
  host.get_instance_proc_addr = vkGetInstanceProcAddr;
  host.instance = instance;
  host.physical_device = physical;
  host.device = device;
  host.queue = queue;
  host.queue_family = family;
  host.features = lent_->bits();
  host.time_kernels = 1;
  host.lock_queue = [](void* user) { static_cast<Gpu*>(user)->queue_mutex.lock(); };
  host.unlock_queue = [](void* user) { static_cast<Gpu*>(user)->queue_mutex.unlock(); };
  host.user = this;
  return host;
}

Gpu::~Gpu() {
  if (device) vkDestroyDevice(device, nullptr);
  if (surface) vkDestroySurfaceKHR(instance, surface, nullptr);
  if (instance) vkDestroyInstance(instance, nullptr);
}

int Gpu::memory_type(uint32_t allowed, VkMemoryPropertyFlags wanted) const {
  VkPhysicalDeviceMemoryProperties memory;
  vkGetPhysicalDeviceMemoryProperties(physical, &memory);
  for (uint32_t i = 0; i < memory.memoryTypeCount; ++i)
    if ((allowed >> i & 1) && (memory.memoryTypes[i].propertyFlags & wanted) == wanted)
      return static_cast<int>(i);
  return -1;
}

/// Memory for `needs`, of the first kind in `wanted` that there is.
static Outcome<VkDeviceMemory> allocate(const Gpu& gpu, const VkMemoryRequirements& needs,
                                        std::initializer_list<VkMemoryPropertyFlags> wanted) {
  int type = -1;
  for (VkMemoryPropertyFlags flags : wanted)
    if (type < 0) type = gpu.memory_type(needs.memoryTypeBits, flags);
  if (type < 0) return trouble("the window's graphics device has no memory of the kind needed");
  VkMemoryAllocateInfo info = {VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO};
  info.allocationSize = needs.size;
  info.memoryTypeIndex = static_cast<uint32_t>(type);
  VkDeviceMemory memory = VK_NULL_HANDLE;
  auto made = checked(vkAllocateMemory(gpu.device, &info, nullptr, &memory), "vkAllocateMemory");
  if (!made) return trouble_of(made);
  return memory;
}

Outcome<void> HostBuffer::reserve(VkDeviceSize bytes) {
  if (bytes <= size_) return {};
  release();
  VkBufferCreateInfo info = {VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO};
  info.size = std::max<VkDeviceSize>(64 << 10, bytes + bytes / 2);
  info.usage = usage_;
  auto made = checked(vkCreateBuffer(gpu_.device, &info, nullptr, &buffer_), "vkCreateBuffer");
  if (!made) return made;
  VkMemoryRequirements needs;
  vkGetBufferMemoryRequirements(gpu_.device, buffer_, &needs);
  auto memory = allocate(
      gpu_, needs, {VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT | VK_MEMORY_PROPERTY_HOST_COHERENT_BIT});
  if (!memory) return trouble_of(memory);
  memory_ = *memory;
  void* mapped = nullptr;
  for (VkResult result : {vkBindBufferMemory(gpu_.device, buffer_, memory_, 0),
                          vkMapMemory(gpu_.device, memory_, 0, VK_WHOLE_SIZE, 0, &mapped)})
    if (auto done = checked(result, "mapping a buffer"); !done) return done;
  data_ = static_cast<uint8_t*>(mapped);
  size_ = info.size;
  return {};
}

void HostBuffer::release() {
  if (buffer_) vkDestroyBuffer(gpu_.device, buffer_, nullptr);
  if (memory_) vkFreeMemory(gpu_.device, memory_, nullptr);
  buffer_ = VK_NULL_HANDLE, memory_ = VK_NULL_HANDLE, data_ = nullptr, size_ = 0;
}

Outcome<void> Image::create(VkFormat format, VkExtent2D extent, VkImageUsageFlags usage) {
  release();
  VkImageCreateInfo info = {VK_STRUCTURE_TYPE_IMAGE_CREATE_INFO};
  info.imageType = VK_IMAGE_TYPE_2D;
  info.format = format;
  info.extent = {extent.width, extent.height, 1};
  info.mipLevels = info.arrayLayers = 1;
  info.samples = VK_SAMPLE_COUNT_1_BIT;
  info.usage = usage;
  auto made = checked(vkCreateImage(gpu_.device, &info, nullptr, &image_), "vkCreateImage");
  if (!made) return made;
  VkMemoryRequirements needs;
  vkGetImageMemoryRequirements(gpu_.device, image_, &needs);
  auto memory = allocate(gpu_, needs, {VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT, 0});
  if (!memory) return trouble_of(memory);
  memory_ = *memory;
  auto bound = checked(vkBindImageMemory(gpu_.device, image_, memory_, 0), "vkBindImageMemory");
  if (!bound) return bound;
  VkImageViewCreateInfo view = {VK_STRUCTURE_TYPE_IMAGE_VIEW_CREATE_INFO};
  view.image = image_;
  view.viewType = VK_IMAGE_VIEW_TYPE_2D;
  view.format = format;
  view.subresourceRange = {VK_IMAGE_ASPECT_COLOR_BIT, 0, 1, 0, 1};
  extent_ = extent;
  return checked(vkCreateImageView(gpu_.device, &view, nullptr, &view_), "vkCreateImageView");
}

void Image::release() {
  if (view_) vkDestroyImageView(gpu_.device, view_, nullptr);
  if (image_) vkDestroyImage(gpu_.device, image_, nullptr);
  if (memory_) vkFreeMemory(gpu_.device, memory_, nullptr);
  view_ = VK_NULL_HANDLE, image_ = VK_NULL_HANDLE, memory_ = VK_NULL_HANDLE;
}

void transition(VkCommandBuffer commands, VkImage image, VkImageLayout from, VkImageLayout to,
                VkPipelineStageFlags before, VkAccessFlags wrote, VkPipelineStageFlags after,
                VkAccessFlags reads) {
  VkImageMemoryBarrier barrier = {VK_STRUCTURE_TYPE_IMAGE_MEMORY_BARRIER};
  barrier.srcAccessMask = wrote;
  barrier.dstAccessMask = reads;
  barrier.oldLayout = from;
  barrier.newLayout = to;
  barrier.srcQueueFamilyIndex = barrier.dstQueueFamilyIndex = VK_QUEUE_FAMILY_IGNORED;
  barrier.image = image;
  barrier.subresourceRange = {VK_IMAGE_ASPECT_COLOR_BIT, 0, 1, 0, 1};
  vkCmdPipelineBarrier(commands, before, after, 0, 0, nullptr, 0, nullptr, 1, &barrier);
}

}  // namespace pumice::chat
