// Finds the Vulkan loader library at run time, so that a program linked with us starts without it.
#pragma once

#define VK_NO_PROTOTYPES
#include <vulkan/vulkan_core.h>

#include "engine/base/result.h"

namespace pumice::vk {

/// The loader's one entry point. The library stays loaded until the process ends: drivers keep
/// threads that outlive their instances. Fails with NoDevice when the library is not installed.
[[nodiscard]] Result<PFN_vkGetInstanceProcAddr> vulkan_entry_point();

}  // namespace pumice::vk
