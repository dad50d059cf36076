// Creates the logical device with every feature that exists and is not masked.
#include "engine/vk/context.h"

#include <vector>

namespace pumice::vk {
namespace {

/// What vkCreateDevice is given; holds the structures that point at each other.
struct DeviceRequest {
  VkPhysicalDeviceFeatures2 features{VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2};
  VkPhysicalDeviceVulkan11Features v11{VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_FEATURES};
  VkPhysicalDeviceVulkan12Features v12{VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES};
  VkPhysicalDeviceSubgroupSizeControlFeatures subgroup{
      VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_FEATURES};
  VkPhysicalDeviceShaderIntegerDotProductFeatures dot{
      VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_INTEGER_DOT_PRODUCT_FEATURES};
  VkPhysicalDevicePipelineExecutablePropertiesFeaturesKHR executable{
      VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PIPELINE_EXECUTABLE_PROPERTIES_FEATURES_KHR};
  std::vector<const char*> extensions;
  float priority = 1.0f;
  VkDeviceQueueCreateInfo queue{VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO};
  VkDeviceCreateInfo create{VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO};
};

/// Puts an optional structure in the chain, with its extension where it is not core yet.
template <class T>
void enable(DeviceRequest& request, T& row, const char* extension) {
  row.pNext = const_cast<void*>(request.create.pNext);
  request.create.pNext = &row;
  if (extension != nullptr) request.extensions.push_back(extension);
}

void fill_request(DeviceRequest& request, const PhysicalDevice& physical) {
  const Capabilities& caps = physical.caps;
  const Features& features = physical.features;
  request.features.features.robustBufferAccess = features.robust_buffers;
  request.features.features.shaderInt16 = features.int16;
  request.features.features.shaderInt64 = features.int64;
  request.v11.storageBuffer16BitAccess = caps.storage16;
  request.v12.storageBuffer8BitAccess = features.storage8;
  request.v12.shaderFloat16 = caps.fp16;
  request.v12.shaderInt8 = caps.int8;
  request.v12.timelineSemaphore = caps.timeline;
  request.features.pNext = &request.v11;
  request.v11.pNext = &request.v12;
  request.create.pNext = &request.features;
  if (caps.subgroup_size_control) {
    request.subgroup.subgroupSizeControl = VK_TRUE;
    request.subgroup.computeFullSubgroups = features.compute_full_subgroups;
    enable(
        request, request.subgroup,
        features.subgroup_size_extension ? VK_EXT_SUBGROUP_SIZE_CONTROL_EXTENSION_NAME : nullptr);
  }
  if (caps.dot8) {
    request.dot.shaderIntegerDotProduct = VK_TRUE;
    enable(request, request.dot,
           features.dot8_extension ? VK_KHR_SHADER_INTEGER_DOT_PRODUCT_EXTENSION_NAME : nullptr);
  }
  if (caps.pipeline_statistics) {
    request.executable.pipelineExecutableInfo = VK_TRUE;
    enable(request, request.executable, VK_KHR_PIPELINE_EXECUTABLE_PROPERTIES_EXTENSION_NAME);
  }
  request.queue.queueFamilyIndex = physical.queue_family;
  request.queue.queueCount = 1;
  request.queue.pQueuePriorities = &request.priority;
  request.create.queueCreateInfoCount = 1;
  request.create.pQueueCreateInfos = &request.queue;
  request.create.enabledExtensionCount = uint32_t(request.extensions.size());
  request.create.ppEnabledExtensionNames = request.extensions.data();
}

Result<void> create_device(Context& context) {
  DeviceRequest request;
  fill_request(request, context.physical);
  const InstanceFunctions& fn = context.instance->fn;
  VkDevice device = VK_NULL_HANDLE;
  const VkResult result =
      fn.CreateDevice(context.physical.handle, &request.create, nullptr, &device);
  if (result != VK_SUCCESS) return context.failed("vkCreateDevice", result);
  auto table = load_device_functions(fn.GetDeviceProcAddr.pointer, device, context.hooks.faults);
  if (!table) {
    if (const auto destroy =
            reinterpret_cast<PFN_vkDestroyDevice>(fn.GetDeviceProcAddr(device, "vkDestroyDevice")))
      destroy(device, nullptr);
    return tl::unexpected(std::move(table.error()));
  }
  context.fn = *table;
  context.device = device;
  context.fn.GetDeviceQueue(device, context.physical.queue_family, 0, &context.queue);
  return {};
}

}  // namespace

void apply_mask(PhysicalDevice& physical, const DeviceOptions& options, const DeviceHooks& hooks) {
  Features& features = physical.features;
  physical.caps = masked(physical.caps, options.without);
  if (hooks.adjust) hooks.adjust(physical.caps);
  if (!physical.caps.fp16 && !physical.caps.storage16) features.int16 = false;
  if (!physical.caps.int8) features.storage8 = false;
  if (!physical.caps.subgroup_basic) features.subgroup_operations = 0;
  if (!physical.caps.subgroup_shuffle)
    features.subgroup_operations &= ~VkSubgroupFeatureFlags(
        VK_SUBGROUP_FEATURE_SHUFFLE_BIT | VK_SUBGROUP_FEATURE_SHUFFLE_RELATIVE_BIT);
  if (hooks.staged_memory) physical.caps.unified_memory = false;
}

Result<std::unique_ptr<Context>> create_context(const DeviceOptions& options,
                                                const DeviceHooks& hooks) {
  auto context = std::make_unique<Context>();
  context->hooks = hooks;
  InstanceOptions instance;
  instance.validation = options.validation;
  instance.faults = hooks.faults;
  instance.validation_sink = hooks.validation_sink;
  PUMICE_TRY_ASSIGN(context->instance, create_instance(instance));
  PUMICE_TRY_ASSIGN(const auto devices, find_physical_devices(*context->instance));
  PUMICE_TRY_ASSIGN(context->physical, select_device(devices, options.select));
  apply_mask(context->physical, options, hooks);
  context->capture_statistics = options.pipeline_statistics && context->caps().pipeline_statistics;
  PUMICE_TRY(create_device(*context));
  if (hooks.faults != nullptr)
    hooks.faults->before_loss = [fn = context->fn.DeviceWaitIdle.pointer,
                                 device = context->device] { fn(device); };
  return context;
}

Context::~Context() {
  if (hooks.faults != nullptr) hooks.faults->before_loss = nullptr;
  if (device != VK_NULL_HANDLE && !borrowed()) fn.DestroyDevice(device, nullptr);
}

tl::unexpected<Error> Context::failed(const char* call, VkResult result) {
  if (result == VK_ERROR_DEVICE_LOST) lost = true;
  return tl::unexpected(vk_error(call, result));
}

Result<void> Context::check_alive() const {
  if (!lost) return {};
  return fail(ErrorCode::DeviceLost,
              "the device {} was lost earlier and does no more work; load the model again",
              caps().device_name);
}

void Context::wait_idle() {
  for (int attempt = 0; attempt < 3; ++attempt) {
    const VkResult result = fn.DeviceWaitIdle(device);
    if (result == VK_ERROR_DEVICE_LOST) lost = true;
    if (result == VK_SUCCESS || result == VK_ERROR_DEVICE_LOST) return;
  }
}

void Context::name_object(VkObjectType type, uint64_t handle, const std::string& name) const {
  if (!fn.SetDebugUtilsObjectNameEXT || name.empty()) return;
  VkDebugUtilsObjectNameInfoEXT info{VK_STRUCTURE_TYPE_DEBUG_UTILS_OBJECT_NAME_INFO_EXT};
  info.objectType = type;
  info.objectHandle = handle;
  info.pObjectName = name.c_str();
  (void)fn.SetDebugUtilsObjectNameEXT(device, &info);  // a name less changes nothing
}

}  // namespace pumice::vk
