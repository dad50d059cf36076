// A device that a host lends. Instance, device and queue stay the host's: nothing of theirs is
// destroyed, and no feature is used that the host did not enable.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "engine/vk/hooks.h"

namespace pumice::vk {

/// Features that kernels and waiting have a use for; none is needed.
struct HostFeatures {
  bool robust_buffer_access = false;
  bool shader_int16 = false, shader_int64 = false;
  bool storage_16bit = false;  ///< storageBuffer16BitAccess
  bool storage_8bit = false;   ///< storageBuffer8BitAccess
  bool shader_float16 = false, shader_int8 = false;
  bool timeline_semaphore = false;
  bool subgroup_size_control = false, compute_full_subgroups = false;
  bool integer_dot_product = false;
};

struct HostDevice {
  PFN_vkGetInstanceProcAddr get_instance_proc_addr = nullptr;
  VkInstance instance = VK_NULL_HANDLE;
  VkPhysicalDevice physical_device = VK_NULL_HANDLE;
  VkDevice device = VK_NULL_HANDLE;
  VkQueue queue = VK_NULL_HANDLE;  ///< of a family with compute
  uint32_t queue_family = 0;
  uint32_t api_version = 0;  ///< that instance and device were made for, at least 1.2
  HostFeatures enabled;
  bool debug_utils = false;  ///< VK_EXT_debug_utils is enabled on the instance: labels and names
  const VkAllocationCallbacks* allocator = nullptr;  ///< copied; null = the driver's own
  /// Called around every use of the queue; null = nobody else uses it at the same time.
  void (*lock_queue)(void* user) = nullptr;
  void (*unlock_queue)(void* user) = nullptr;
  void* user = nullptr;
};

/// What a host should know before its vkCreateDevice.
struct HostRequirements {
  DeviceSummary summary;                ///< unusable: what of the baseline is missing
  HostFeatures wanted;                  ///< the useful features that the device has
  uint32_t queue_family = 0;            ///< the one that suits best; any with compute will do
  std::vector<const char*> extensions;  ///< device extensions that `wanted` needs at this version
};

/// Destroys and creates nothing. BadArgument for null handles.
[[nodiscard]] Result<HostRequirements> host_requirements(PFN_vkGetInstanceProcAddr get,
                                                         VkInstance instance,
                                                         VkPhysicalDevice physical_device,
                                                         uint32_t api_version);

/// What borrow_device would give: its errors, and the capabilities that the device would use.
[[nodiscard]] Result<DeviceSummary> look_at_host(const HostDevice& host,
                                                 const CapabilityMask& without);

/// The host's handles must outlive the device. Of the options `select`, `validation` and
/// `pipeline_statistics` do not apply. BadArgument: null handles, a queue family without compute.
/// NoDevice: the baseline is missing.
[[nodiscard]] Result<std::unique_ptr<Device>> borrow_device(const HostDevice& host,
                                                            const DeviceOptions& options,
                                                            const DeviceHooks& hooks);

}  // namespace pumice::vk
