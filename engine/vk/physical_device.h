// The physical devices of an instance: a capability snapshot of each, and whether it can be used.
#pragma once

#include <string>
#include <vector>

#include "engine/schedule/capabilities.h"
#include "engine/vk/instance.h"

namespace pumice::vk {

/// What exists (and will be enabled) beyond the snapshot that policy sees.
struct Features {
  bool int16 = false, int64 = false, storage8 = false;
  bool robust_buffers = false;
  bool memory_budget = false;
  bool dot8_extension = false;  ///< dot8 comes from the extension, not from Vulkan 1.3
  bool subgroup_size_extension = false;
  bool compute_full_subgroups = false;
  VkSubgroupFeatureFlags subgroup_operations = 0;  ///< of compute shaders
  /// Per shader: storage buffers, uniform and storage texel buffers.
  uint32_t max_storage_bindings = 4, max_texel_bindings = 16, max_image_bindings = 4;
};

struct PhysicalDevice {
  VkPhysicalDevice handle = VK_NULL_HANDLE;
  VkPhysicalDeviceType type = VK_PHYSICAL_DEVICE_TYPE_OTHER;
  Capabilities caps;
  Features features;
  VkPhysicalDeviceMemoryProperties memory{};
  uint64_t max_buffer_size = UINT64_MAX;
  uint32_t queue_family = UINT32_MAX;
  uint32_t timestamp_bits = 0;
  std::string unusable;  ///< empty, or every missing part of the baseline, "; " between
};

/// Best first. Fails with NoDevice when there is none at all.
[[nodiscard]] Result<std::vector<PhysicalDevice>> find_physical_devices(const Instance& instance);

/// Of one device of an instance, with why it cannot be used.
[[nodiscard]] Result<PhysicalDevice> describe_physical_device(const Instance& instance,
                                                              VkPhysicalDevice handle);

/// Takes a host's choice of queue family. BadArgument where it is none with compute.
[[nodiscard]] Result<void> take_queue_family(const Instance& instance, PhysicalDevice& device,
                                             uint32_t family);

/// By `DeviceOptions::select`: empty = the first usable one, digits = an index, else a part of the
/// name in any case.
[[nodiscard]] Result<PhysicalDevice> select_device(const std::vector<PhysicalDevice>& devices,
                                                   const std::string& wanted);

}  // namespace pumice::vk
