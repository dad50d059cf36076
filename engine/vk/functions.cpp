// Fills the function tables.
#include "engine/vk/functions.h"

namespace pumice::vk {
namespace {

/// `get(name)` answers a plain function pointer or null.
template <class Get, class Pointer>
bool load(const Get& get, Function<Pointer>& function, const char* name, FaultPlan* faults) {
  function.pointer = reinterpret_cast<Pointer>(get(name));
  function.name = name;
  function.faults = faults;
  return function.pointer != nullptr;
}

tl::unexpected<Error> missing(const char* name) {
  return fail(ErrorCode::Driver, "the Vulkan driver lacks the function {}; update the driver",
              name);
}

}  // namespace

#define PUMICE_VK_REQUIRE(name) \
  if (!load(find, table.name, "vk" #name, faults)) return missing("vk" #name);
#define PUMICE_VK_TAKE(name) (void)load(find, table.name, "vk" #name, faults);

Result<GlobalFunctions> load_global_functions(FaultPlan* faults) {
  GlobalFunctions table;
  PUMICE_TRY_ASSIGN(table.get, vulkan_entry_point());
  const auto find = [&](const char* name) { return table.get(VK_NULL_HANDLE, name); };
  PUMICE_VK_GLOBAL(PUMICE_VK_REQUIRE)
  return table;
}

Result<InstanceFunctions> load_instance_functions(PFN_vkGetInstanceProcAddr get,
                                                  VkInstance instance, FaultPlan* faults) {
  InstanceFunctions table;
  const auto find = [&](const char* name) { return get(instance, name); };
  // A caller must be able to destroy the instance, so this one is loaded before any can fail.
  PUMICE_VK_INSTANCE(PUMICE_VK_REQUIRE)
  PUMICE_VK_INSTANCE_OPTIONAL(PUMICE_VK_TAKE)
  return table;
}

Result<DeviceFunctions> load_device_functions(PFN_vkGetDeviceProcAddr get, VkDevice device,
                                              FaultPlan* faults) {
  DeviceFunctions table;
  const auto find = [&](const char* name) { return get(device, name); };
  PUMICE_VK_DEVICE(PUMICE_VK_REQUIRE)
  PUMICE_VK_DEVICE_OPTIONAL(PUMICE_VK_TAKE)
  return table;
}

}  // namespace pumice::vk
