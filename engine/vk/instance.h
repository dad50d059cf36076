// A Vulkan instance with its function table and, when asked for, the validation layer.
#pragma once

#include <memory>

#include "engine/vk/error.h"
#include "engine/vk/functions.h"
#include "engine/vk/validation.h"

namespace pumice::vk {

struct Instance {
  InstanceFunctions fn;
  VkInstance handle = VK_NULL_HANDLE;
  uint32_t api_version = 0;  ///< the highest version its devices may be used with
  bool debug_utils = false;  ///< labels and names may be set
  bool borrowed = false;     ///< a host's: not destroyed
  VkDebugUtilsMessengerEXT messenger = VK_NULL_HANDLE;
  std::unique_ptr<ValidationLog> validation;  ///< never null

  Instance() = default;
  Instance(const Instance&) = delete;
  Instance& operator=(const Instance&) = delete;
  ~Instance();
};

struct InstanceOptions {
  bool validation = false;
  FaultPlan* faults = nullptr;
  std::vector<std::string>* validation_sink = nullptr;
};

[[nodiscard]] Result<std::unique_ptr<Instance>> create_instance(const InstanceOptions& options);

/// Both calls of an enumeration: asks for the count, then for the rows, again while it grows.
/// There are no rows unless it returns VK_SUCCESS.
template <class Row, class Call>
[[nodiscard]] VkResult enumerate(std::vector<Row>& rows, const Call& call) {
  VkResult result = VK_INCOMPLETE;
  for (int attempt = 0; attempt < 8 && result == VK_INCOMPLETE; ++attempt) {
    uint32_t count = 0;
    rows.clear();
    result = call(&count, static_cast<Row*>(nullptr));
    if (result != VK_SUCCESS) return result;
    rows.assign(count, Row{});
    result = count == 0 ? VK_SUCCESS : call(&count, rows.data());
    rows.resize(result == VK_SUCCESS ? count : 0);
  }
  return result;
}

}  // namespace pumice::vk
