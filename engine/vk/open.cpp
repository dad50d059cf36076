// The public doors: the kernels of this build and those the caller brings, no planned faults.
#include "engine/vk/hooks.h"

namespace pumice::vk {

Result<std::vector<DeviceSummary>> list_devices() {
  return list_devices(DeviceHooks{});
}

Result<std::unique_ptr<Device>> Device::open(const DeviceOptions& options) {
  DeviceHooks hooks;
  hooks.find = [more = options.kernels](const std::string& name) {
    const KernelModule* own = more ? more(name) : nullptr;
    return own != nullptr ? own : find_kernel(name);
  };
  return open_device(options, hooks);
}

}  // namespace pumice::vk
