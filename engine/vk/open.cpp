// The public doors: the kernels of this build, no planned faults.
#include "engine/vk/hooks.h"

namespace pumice::vk {

Result<std::vector<DeviceSummary>> list_devices() {
  return list_devices(DeviceHooks{});
}

Result<std::unique_ptr<Device>> Device::open(const DeviceOptions& options) {
  DeviceHooks hooks;
  hooks.find = find_kernel;
  return open_device(options, hooks);
}

}  // namespace pumice::vk
