// Behind pumice_vulkan.h: checks arguments and translates. No logic.
#include "engine/pumice_vulkan.h"

#include "engine/pumice_border.h"
#include "engine/pumice_objects.h"
#include "engine/session/option_words.h"
#include "engine/vk/borrow.h"

namespace {

using pumice::fail;
using pumice::Result;
using namespace pumice::border;
namespace vk = pumice::vk;

struct FeatureRow {
  pm_vulkan_feature bit;
  bool vk::HostFeatures::*member;
};

constexpr FeatureRow kFeatures[] = {
    {PM_VULKAN_ROBUST_BUFFER_ACCESS, &vk::HostFeatures::robust_buffer_access},
    {PM_VULKAN_SHADER_INT16, &vk::HostFeatures::shader_int16},
    {PM_VULKAN_SHADER_INT64, &vk::HostFeatures::shader_int64},
    {PM_VULKAN_STORAGE_16BIT, &vk::HostFeatures::storage_16bit},
    {PM_VULKAN_STORAGE_8BIT, &vk::HostFeatures::storage_8bit},
    {PM_VULKAN_SHADER_FLOAT16, &vk::HostFeatures::shader_float16},
    {PM_VULKAN_SHADER_INT8, &vk::HostFeatures::shader_int8},
    {PM_VULKAN_TIMELINE_SEMAPHORE, &vk::HostFeatures::timeline_semaphore},
    {PM_VULKAN_SUBGROUP_SIZE_CONTROL, &vk::HostFeatures::subgroup_size_control},
    {PM_VULKAN_FULL_SUBGROUPS, &vk::HostFeatures::compute_full_subgroups},
    {PM_VULKAN_INTEGER_DOT_PRODUCT, &vk::HostFeatures::integer_dot_product},
};

vk::HostDevice host_of(const pm_vulkan_host& given) {
  vk::HostDevice host;
  host.get_instance_proc_addr = given.get_instance_proc_addr;
  host.instance = given.instance;
  host.physical_device = given.physical_device;
  host.device = given.device;
  host.queue = given.queue;
  host.queue_family = given.queue_family;
  host.api_version = given.api_version;
  for (const FeatureRow& row : kFeatures)
    host.enabled.*row.member = (given.features & row.bit) != 0;
  host.debug_utils = given.debug_utils != 0;
  host.allocator = given.allocator;
  host.lock_queue = given.lock_queue;
  host.unlock_queue = given.unlock_queue;
  host.user = given.user;
  return host;
}

pm_status report_ticket(const char* call, pm_session* session, pm_ticket ticket, bool done,
                        pm_error* error) {
  return guarded(error, [&]() -> Result<void> {
    PUMICE_TRY(require(call, {{"session", session}}));
    return session->place->model().report(*session->place, session->session, ticket, done);
  });
}

}  // namespace

pm_status pm_vulkan_query_requirements(PFN_vkGetInstanceProcAddr get_instance_proc_addr,
                                       VkInstance instance, VkPhysicalDevice physical_device,
                                       uint32_t api_version, pm_vulkan_requirements* requirements,
                                       pm_error* error) {
  constexpr const char* kCall = "pm_vulkan_query_requirements";
  return guarded(error, [&]() -> Result<void> {
    PUMICE_TRY(require(kCall, {{"requirements", requirements}}));
    PUMICE_TRY_ASSIGN(const auto found, vk::host_requirements(get_instance_proc_addr, instance,
                                                              physical_device, api_version));
    if (!found.summary.unusable.empty())
      return fail(pumice::ErrorCode::NoDevice, "the device {} cannot be used: {}",
                  found.summary.caps.device_name, found.summary.unusable);
    pm_vulkan_requirements full = {};
    for (const FeatureRow& row : kFeatures)
      if (found.wanted.*row.member) full.features |= row.bit;
    full.queue_family = found.queue_family;
    for (const char* name : found.extensions)
      if (full.extension_count < std::size(full.extensions))
        full.extensions[full.extension_count++] = name;
    return write_struct(kCall, requirements, full);
  });
}

pm_status pm_device_borrow(const pm_vulkan_host* host, pm_device** device, pm_error* error) {
  constexpr const char* kCall = "pm_device_borrow";
  return guarded(error, [&]() -> Result<void> {
    PUMICE_TRY(require(kCall, {{"host", host}, {"device", device}}));
    PUMICE_TRY_ASSIGN(const pm_vulkan_host given, read_struct(kCall, host));
    auto made = std::make_unique<pm_device>();
    vk::DeviceOptions& chosen = made->options;
    chosen.timestamps = given.time_kernels != 0;
    chosen.pipeline_cache = given.pipeline_cache ? given.pipeline_cache : "";
    PUMICE_TRY_ASSIGN(chosen.without,
                      pumice::parse_mask(given.without ? given.without : "", "without"));
    std::shared_ptr<VkAllocationCallbacks> callbacks;
    if (given.allocator != nullptr)
      callbacks = std::make_shared<VkAllocationCallbacks>(*given.allocator);
    vk::HostDevice lent = host_of(given);
    lent.allocator = callbacks.get();
    made->open = [lent, callbacks](const vk::DeviceOptions& options) {
      vk::DeviceHooks hooks;
      hooks.find = pumice::find_kernel;
      return vk::borrow_device(lent, options, hooks);
    };
    made->look = [lent, without = chosen.without] { return vk::look_at_host(lent, without); };
    PUMICE_TRY(made->look());  // says now what would be wrong at a load
    *device = made.release();
    return {};
  });
}

pm_status pm_session_record(pm_session* session, VkCommandBuffer commands, uint32_t budget_us,
                            pm_ticket* ticket, pm_error* error) {
  return guarded(error, [&]() -> Result<void> {
    PUMICE_TRY(require("pm_session_record",
                       {{"session", session}, {"commands", commands}, {"ticket", ticket}}));
    PUMICE_TRY_ASSIGN(const pumice::HostSlice slice,
                      session->place->model().record(*session->place, session->session, {commands},
                                                     double(std::max(budget_us, 1u))));
    *ticket = slice.ticket;
    return {};
  });
}

pm_status pm_ticket_done(pm_session* session, pm_ticket ticket, pm_error* error) {
  return report_ticket("pm_ticket_done", session, ticket, true, error);
}

pm_status pm_ticket_discarded(pm_session* session, pm_ticket ticket, pm_error* error) {
  return report_ticket("pm_ticket_discarded", session, ticket, false, error);
}
