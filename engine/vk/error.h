// Vulkan results in words.
#pragma once

#include "engine/base/result.h"
#include "engine/vk/vulkan_library.h"

namespace pumice::vk {

/// "VK_ERROR_DEVICE_LOST"; "VkResult -1000" style for results we do not know.
[[nodiscard]] std::string result_name(VkResult result);

/// The call, the result's name and what to do.
[[nodiscard]] Error vk_error(const char* call, VkResult result);

}  // namespace pumice::vk
