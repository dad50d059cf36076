// Tables of Vulkan functions, one per instance and one per device: nothing global, so that two
// devices, or a host with its own loader, do not disturb each other.
#pragma once

#include <type_traits>

#include "engine/base/result.h"
#include "engine/vk/fault.h"
#include "engine/vk/vulkan_library.h"

// Functions that exist before there is an instance.
#define PUMICE_VK_GLOBAL(X)               \
  X(CreateInstance)                       \
  X(EnumerateInstanceExtensionProperties) \
  X(EnumerateInstanceLayerProperties) X(EnumerateInstanceVersion)

#define PUMICE_VK_INSTANCE(X)                                                         \
  X(DestroyInstance)                                                                  \
  X(EnumeratePhysicalDevices)                                                         \
  X(GetPhysicalDeviceProperties)                                                      \
  X(GetPhysicalDeviceProperties2)                                                     \
  X(GetPhysicalDeviceFeatures2) X(GetPhysicalDeviceMemoryProperties2)                 \
      X(GetPhysicalDeviceQueueFamilyProperties) X(EnumerateDeviceExtensionProperties) \
          X(CreateDevice) X(GetDeviceProcAddr)

#define PUMICE_VK_INSTANCE_OPTIONAL(X) \
  X(CreateDebugUtilsMessengerEXT) X(DestroyDebugUtilsMessengerEXT)

#define PUMICE_VK_DEVICE(X)                                                                        \
  X(DestroyDevice)                                                                                 \
  X(GetDeviceQueue)                                                                                \
  X(DeviceWaitIdle)                                                                                \
  X(QueueSubmit)                                                                                   \
  X(AllocateMemory) X(FreeMemory) X(MapMemory) X(CreateBuffer) X(DestroyBuffer) X(                 \
      GetBufferMemoryRequirements) X(BindBufferMemory) X(CreateBufferView) X(DestroyBufferView)    \
      X(CreateShaderModule) X(DestroyShaderModule) X(CreatePipelineCache) X(DestroyPipelineCache)  \
          X(GetPipelineCacheData) X(CreateComputePipelines) X(DestroyPipeline)                     \
              X(CreatePipelineLayout) X(DestroyPipelineLayout) X(CreateDescriptorSetLayout)        \
                  X(DestroyDescriptorSetLayout) X(CreateDescriptorPool) X(DestroyDescriptorPool)   \
                      X(AllocateDescriptorSets) X(UpdateDescriptorSets) X(CreateCommandPool)       \
                          X(DestroyCommandPool) X(AllocateCommandBuffers) X(FreeCommandBuffers)    \
                              X(BeginCommandBuffer) X(EndCommandBuffer) X(ResetCommandBuffer) X(   \
                                  CmdBindPipeline) X(CmdBindDescriptorSets) X(CmdPushConstants)    \
                                  X(CmdDispatch) X(CmdDispatchBase) X(CmdDispatchIndirect) X(      \
                                      CmdPipelineBarrier) X(CmdCopyBuffer) X(CmdFillBuffer)        \
                                      X(CmdResetQueryPool) X(CmdWriteTimestamp) X(CreateQueryPool) \
                                          X(DestroyQueryPool) X(GetQueryPoolResults)               \
                                              X(CreateFence) X(DestroyFence) X(ResetFences)        \
                                                  X(GetFenceStatus) X(WaitForFences)               \
                                                      X(CreateSemaphore) X(DestroySemaphore)       \
                                                          X(WaitSemaphores)                        \
                                                              X(GetSemaphoreCounterValue)

#define PUMICE_VK_DEVICE_OPTIONAL(X) \
  X(SetDebugUtilsObjectNameEXT)      \
  X(CmdBeginDebugUtilsLabelEXT)      \
  X(CmdEndDebugUtilsLabelEXT)        \
  X(GetPipelineExecutablePropertiesKHR) X(GetPipelineExecutableStatisticsKHR)

namespace pumice::vk {

/// One function pointer with its name and the plan that may make it fail.
template <class Pointer>
struct Function;

template <class R, class... Args>
struct Function<R(VKAPI_PTR*)(Args...)> {
  R(VKAPI_PTR* pointer)(Args...) = nullptr;
  const char* name = nullptr;
  FaultPlan* faults = nullptr;

  explicit operator bool() const { return pointer != nullptr; }

  R operator()(Args... args) const {
    if constexpr (std::is_same_v<R, VkResult>) {
      if (faults != nullptr)
        if (const auto planned = faults->next(name)) return *planned;
    }
    return pointer(args...);
  }
};

#define PUMICE_VK_MEMBER(name) Function<PFN_vk##name> name;

struct GlobalFunctions {
  PFN_vkGetInstanceProcAddr get = nullptr;
  PUMICE_VK_GLOBAL(PUMICE_VK_MEMBER)
};

struct InstanceFunctions {
  PUMICE_VK_INSTANCE(PUMICE_VK_MEMBER)
  PUMICE_VK_INSTANCE_OPTIONAL(PUMICE_VK_MEMBER)
};

struct DeviceFunctions {
  PUMICE_VK_DEVICE(PUMICE_VK_MEMBER)
  PUMICE_VK_DEVICE_OPTIONAL(PUMICE_VK_MEMBER)
};

#undef PUMICE_VK_MEMBER

/// Each fails with Driver and the function's name when a required one is missing.
[[nodiscard]] Result<GlobalFunctions> load_global_functions(FaultPlan* faults);
[[nodiscard]] Result<InstanceFunctions> load_instance_functions(PFN_vkGetInstanceProcAddr get,
                                                                VkInstance instance,
                                                                FaultPlan* faults);
[[nodiscard]] Result<DeviceFunctions> load_device_functions(PFN_vkGetDeviceProcAddr get,
                                                            VkDevice device, FaultPlan* faults);

}  // namespace pumice::vk
