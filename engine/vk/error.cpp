// Vulkan results in words: one table.
#include "engine/vk/error.h"

namespace pumice::vk {
namespace {

struct ResultRow {
  VkResult result;
  ErrorCode code;
  const char* name;
  const char* advice;
};

constexpr const char* kLessMemory =
    "close other programs, or choose a smaller model or a shorter context";
constexpr const char* kUpdateDriver = "update the Vulkan driver, or choose another device";

constexpr ResultRow kRows[] = {
    {VK_NOT_READY, ErrorCode::Driver, "VK_NOT_READY", kUpdateDriver},
    {VK_TIMEOUT, ErrorCode::DeviceLost, "VK_TIMEOUT", "the device does not answer; load again"},
    {VK_INCOMPLETE, ErrorCode::Driver, "VK_INCOMPLETE", kUpdateDriver},
    {VK_ERROR_OUT_OF_HOST_MEMORY, ErrorCode::OutOfMemory, "VK_ERROR_OUT_OF_HOST_MEMORY",
     kLessMemory},
    {VK_ERROR_OUT_OF_DEVICE_MEMORY, ErrorCode::OutOfMemory, "VK_ERROR_OUT_OF_DEVICE_MEMORY",
     kLessMemory},
    {VK_ERROR_INITIALIZATION_FAILED, ErrorCode::Driver, "VK_ERROR_INITIALIZATION_FAILED",
     kUpdateDriver},
    {VK_ERROR_DEVICE_LOST, ErrorCode::DeviceLost, "VK_ERROR_DEVICE_LOST",
     "the driver reset the device; load the model again, and look at the system log"},
    {VK_ERROR_MEMORY_MAP_FAILED, ErrorCode::OutOfMemory, "VK_ERROR_MEMORY_MAP_FAILED", kLessMemory},
    {VK_ERROR_LAYER_NOT_PRESENT, ErrorCode::NotFound, "VK_ERROR_LAYER_NOT_PRESENT",
     "run without validation, or install the layer (Debian: vulkan-validationlayers)"},
    {VK_ERROR_EXTENSION_NOT_PRESENT, ErrorCode::Driver, "VK_ERROR_EXTENSION_NOT_PRESENT",
     kUpdateDriver},
    {VK_ERROR_FEATURE_NOT_PRESENT, ErrorCode::Driver, "VK_ERROR_FEATURE_NOT_PRESENT",
     kUpdateDriver},
    {VK_ERROR_INCOMPATIBLE_DRIVER, ErrorCode::NoDevice, "VK_ERROR_INCOMPATIBLE_DRIVER",
     "install a Vulkan driver; on Debian: apt install mesa-vulkan-drivers"},
    {VK_ERROR_TOO_MANY_OBJECTS, ErrorCode::OutOfMemory, "VK_ERROR_TOO_MANY_OBJECTS", kLessMemory},
    {VK_ERROR_FRAGMENTED_POOL, ErrorCode::OutOfMemory, "VK_ERROR_FRAGMENTED_POOL", kLessMemory},
    {VK_ERROR_OUT_OF_POOL_MEMORY, ErrorCode::OutOfMemory, "VK_ERROR_OUT_OF_POOL_MEMORY",
     kLessMemory},
    {VK_ERROR_FRAGMENTATION, ErrorCode::OutOfMemory, "VK_ERROR_FRAGMENTATION", kLessMemory},
    {VK_ERROR_INVALID_SHADER_NV, ErrorCode::Driver, "VK_ERROR_INVALID_SHADER_NV", kUpdateDriver},
    {VK_ERROR_UNKNOWN, ErrorCode::Driver, "VK_ERROR_UNKNOWN", kUpdateDriver},
};

}  // namespace

std::string result_name(VkResult result) {
  for (const auto& row : kRows)
    if (row.result == result) return row.name;
  return fmt::format("VkResult {}", int(result));
}

Error vk_error(const char* call, VkResult result) {
  for (const auto& row : kRows)
    if (row.result == result)
      return {row.code, fmt::format("{} failed with {}: {}", call, row.name, row.advice)};
  return {ErrorCode::Driver,
          fmt::format("{} failed with {}: {}", call, result_name(result), kUpdateDriver)};
}

}  // namespace pumice::vk
