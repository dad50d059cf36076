// The device's internal door for tests: planned faults, lowered limits, other kernels.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "engine/vk/device.h"
#include "engine/vk/fault.h"

namespace pumice::vk {

struct DeviceHooks {
  std::function<const KernelModule*(const std::string& name)> find;  ///< empty = no kernels
  FaultPlan* faults = nullptr;                                       ///< must outlive the device
  /// Lowers limits and takes features away before anything is created from them.
  std::function<void(Capabilities&)> adjust;
  bool staged_memory = false;  ///< treat device memory as invisible to the host
  /// Gets a copy of every validation message, those of destruction included; outlives the device.
  std::vector<std::string>* validation_sink = nullptr;
  unsigned threads = 0;  ///< for compiling pipelines; 0 = by the machine
};

[[nodiscard]] Result<std::vector<DeviceSummary>> list_devices(const DeviceHooks& hooks);
[[nodiscard]] Result<std::unique_ptr<Device>> open_device(const DeviceOptions& options,
                                                          const DeviceHooks& hooks);

}  // namespace pumice::vk
