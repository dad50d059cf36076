// Lays the engine's context over a host's device.
#include "engine/vk/borrow.h"

#include "engine/vk/context.h"

namespace pumice::vk {
namespace {

/// A feature by all its names. One of `caps` and `features` is set.
struct FeatureRow {
  bool HostFeatures::*host;
  bool Capabilities::*caps;
  bool Features::*features;
  const char* extension;         ///< that brings it where the version does not
  bool Features::*by_extension;  ///< whether that is so
};

constexpr FeatureRow kFeatures[] = {
    {&HostFeatures::robust_buffer_access, nullptr, &Features::robust_buffers, nullptr, nullptr},
    {&HostFeatures::shader_int16, nullptr, &Features::int16, nullptr, nullptr},
    {&HostFeatures::shader_int64, nullptr, &Features::int64, nullptr, nullptr},
    {&HostFeatures::storage_16bit, &Capabilities::storage16, nullptr, nullptr, nullptr},
    {&HostFeatures::storage_8bit, nullptr, &Features::storage8, nullptr, nullptr},
    {&HostFeatures::shader_float16, &Capabilities::fp16, nullptr, nullptr, nullptr},
    {&HostFeatures::shader_int8, &Capabilities::int8, nullptr, nullptr, nullptr},
    {&HostFeatures::timeline_semaphore, &Capabilities::timeline, nullptr, nullptr, nullptr},
    {&HostFeatures::subgroup_size_control, &Capabilities::subgroup_size_control, nullptr,
     VK_EXT_SUBGROUP_SIZE_CONTROL_EXTENSION_NAME, &Features::subgroup_size_extension},
    {&HostFeatures::compute_full_subgroups, nullptr, &Features::compute_full_subgroups, nullptr,
     nullptr},
    {&HostFeatures::integer_dot_product, &Capabilities::dot8, nullptr,
     VK_KHR_SHADER_INTEGER_DOT_PRODUCT_EXTENSION_NAME, &Features::dot8_extension},
};

bool& of_device(PhysicalDevice& device, const FeatureRow& row) {
  return row.caps != nullptr ? device.caps.*row.caps : device.features.*row.features;
}

Result<std::unique_ptr<Instance>> adopt_instance(PFN_vkGetInstanceProcAddr get, VkInstance handle,
                                                 uint32_t api_version, const DeviceHooks& hooks) {
  if (get == nullptr || handle == VK_NULL_HANDLE)
    return fail(ErrorCode::BadArgument,
                "vkGetInstanceProcAddr and the instance of the host are needed");
  if (api_version < VK_API_VERSION_1_2)
    return fail(ErrorCode::NoDevice,
                "the host's instance was made for Vulkan {}.{}; 1.2 is needed: ask for it in "
                "VkApplicationInfo::apiVersion",
                VK_API_VERSION_MAJOR(api_version), VK_API_VERSION_MINOR(api_version));
  auto instance = std::make_unique<Instance>();
  PUMICE_TRY_ASSIGN(instance->fn, load_instance_functions(get, handle, hooks.faults));
  instance->handle = handle;
  instance->borrowed = true;
  instance->api_version = std::min<uint32_t>(api_version, VK_API_VERSION_1_3);
  instance->validation = std::make_unique<ValidationLog>(hooks.validation_sink);
  return instance;
}

Result<PhysicalDevice> describe_usable(const Instance& instance, VkPhysicalDevice handle) {
  if (handle == VK_NULL_HANDLE)
    return fail(ErrorCode::BadArgument, "the host's physical device is null");
  PUMICE_TRY_ASSIGN(PhysicalDevice device, describe_physical_device(instance, handle));
  if (!device.unusable.empty())
    return fail(ErrorCode::NoDevice, "the device {} cannot be used: {}", device.caps.device_name,
                device.unusable);
  return device;
}

void mask(PhysicalDevice& device, const HostDevice& host) {
  for (const FeatureRow& row : kFeatures) {
    bool& has = of_device(device, row);
    has = has && host.enabled.*row.host;
  }
  device.caps.pipeline_statistics = false;
}

/// Host's names and labels are left alone where their extension is not enabled.
void drop_debug_functions(DeviceFunctions& fn) {
  fn.SetDebugUtilsObjectNameEXT.pointer = nullptr;
  fn.CmdBeginDebugUtilsLabelEXT.pointer = nullptr;
  fn.CmdEndDebugUtilsLabelEXT.pointer = nullptr;
}

Result<void> check_handles(const HostDevice& host) {
  if (host.device == VK_NULL_HANDLE || host.queue == VK_NULL_HANDLE)
    return fail(ErrorCode::BadArgument, "the host's device and queue are needed");
  if ((host.lock_queue == nullptr) != (host.unlock_queue == nullptr))
    return fail(ErrorCode::BadArgument, "lock_queue and unlock_queue come together");
  return {};
}

/// The physical device with nothing but what the host enabled on it.
Result<PhysicalDevice> describe_lent(const Instance& instance, const HostDevice& host) {
  PUMICE_TRY_ASSIGN(PhysicalDevice device, describe_usable(instance, host.physical_device));
  PUMICE_TRY(take_queue_family(instance, device, host.queue_family));
  mask(device, host);
  return device;
}

Result<std::unique_ptr<Context>> borrow_context(const HostDevice& host,
                                                const DeviceOptions& options,
                                                const DeviceHooks& hooks) {
  PUMICE_TRY(check_handles(host));
  auto context = std::make_unique<Context>();
  context->hooks = hooks;
  PUMICE_TRY_ASSIGN(context->instance, adopt_instance(host.get_instance_proc_addr, host.instance,
                                                      host.api_version, hooks));
  PUMICE_TRY_ASSIGN(context->physical, describe_lent(*context->instance, host));
  apply_mask(context->physical, options, hooks);
  if (host.allocator != nullptr) {
    context->host_allocator = *host.allocator;
    context->allocator = &context->host_allocator;
  }
  context->queue_lock = {host.lock_queue, host.unlock_queue, host.user};
  PUMICE_TRY_ASSIGN(context->fn,
                    load_device_functions(context->instance->fn.GetDeviceProcAddr.pointer,
                                          host.device, hooks.faults));
  if (!host.debug_utils) drop_debug_functions(context->fn);
  context->device = host.device;
  context->queue = host.queue;
  return context;
}

}  // namespace

Result<HostRequirements> host_requirements(PFN_vkGetInstanceProcAddr get, VkInstance instance,
                                           VkPhysicalDevice physical_device, uint32_t api_version) {
  PUMICE_TRY_ASSIGN(const auto adopted, adopt_instance(get, instance, api_version, {}));
  if (physical_device == VK_NULL_HANDLE)
    return fail(ErrorCode::BadArgument, "the host's physical device is null");
  PUMICE_TRY_ASSIGN(PhysicalDevice device, describe_physical_device(*adopted, physical_device));
  HostRequirements requirements;
  for (const FeatureRow& row : kFeatures) {
    const bool has = of_device(device, row);
    requirements.wanted.*row.host = has;
    if (has && row.by_extension != nullptr && device.features.*row.by_extension)
      requirements.extensions.push_back(row.extension);
  }
  requirements.queue_family = device.queue_family;
  requirements.summary = {0, std::move(device.caps), std::move(device.unusable)};
  return requirements;
}

Result<DeviceSummary> look_at_host(const HostDevice& host, const CapabilityMask& without) {
  PUMICE_TRY(check_handles(host));
  PUMICE_TRY_ASSIGN(const auto instance, adopt_instance(host.get_instance_proc_addr, host.instance,
                                                        host.api_version, {}));
  PUMICE_TRY_ASSIGN(PhysicalDevice device, describe_lent(*instance, host));
  return DeviceSummary{0, masked(std::move(device.caps), without), {}};
}

Result<std::unique_ptr<Device>> borrow_device(const HostDevice& host, const DeviceOptions& options,
                                              const DeviceHooks& hooks) {
  PUMICE_TRY_ASSIGN(auto context, borrow_context(host, options, hooks));
  return make_device(std::move(context), options);
}

}  // namespace pumice::vk
