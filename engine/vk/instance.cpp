// Creates and destroys the instance.
#include "engine/vk/instance.h"

#include <algorithm>
#include <cstring>
#include <vector>

namespace pumice::vk {
namespace {

constexpr const char* kNoDriver =
    "no Vulkan driver is installed; install the one of your graphics card, or a software driver "
    "(on Debian: apt install mesa-vulkan-drivers)";

bool has_extension(const GlobalFunctions& fn, const char* layer, const char* name) {
  std::vector<VkExtensionProperties> rows;
  const VkResult result = enumerate(rows, [&](uint32_t* count, VkExtensionProperties* out) {
    return fn.EnumerateInstanceExtensionProperties(layer, count, out);
  });
  return result == VK_SUCCESS && std::any_of(rows.begin(), rows.end(), [&](const auto& row) {
           return std::strcmp(row.extensionName, name) == 0;
         });
}

Result<void> require_validation(const GlobalFunctions& fn) {
  std::vector<VkLayerProperties> rows;
  const VkResult result = enumerate(rows, [&](uint32_t* count, VkLayerProperties* out) {
    return fn.EnumerateInstanceLayerProperties(count, out);
  });
  if (result != VK_SUCCESS)
    return tl::unexpected(vk_error("vkEnumerateInstanceLayerProperties", result));
  for (const auto& row : rows)
    if (std::strcmp(row.layerName, kValidationLayer) == 0) return {};
  return fail(ErrorCode::NotFound,
              "validation was asked for, but {} is not installed; on Debian: "
              "apt install vulkan-validationlayers",
              kValidationLayer);
}

/// 1.2 is needed, 1.3 is used where the loader has it.
Result<uint32_t> choose_api_version(const GlobalFunctions& fn) {
  uint32_t version = 0;
  const VkResult result = fn.EnumerateInstanceVersion(&version);
  if (result != VK_SUCCESS) return tl::unexpected(vk_error("vkEnumerateInstanceVersion", result));
  if (version < VK_API_VERSION_1_2)
    return fail(ErrorCode::NoDevice,
                "the Vulkan loader has version {}.{}, and 1.2 is needed; update it",
                VK_API_VERSION_MAJOR(version), VK_API_VERSION_MINOR(version));
  return version >= VK_API_VERSION_1_3 ? VK_API_VERSION_1_3 : VK_API_VERSION_1_2;
}

/// What vkCreateInstance is given; holds the structures that point at each other.
struct InstanceRequest {
  VkApplicationInfo application{VK_STRUCTURE_TYPE_APPLICATION_INFO};
  VkInstanceCreateInfo create{VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO};
  VkDebugUtilsMessengerCreateInfoEXT messenger{};
  VkValidationFeaturesEXT features{VK_STRUCTURE_TYPE_VALIDATION_FEATURES_EXT};
  VkValidationFeatureEnableEXT synchronization =
      VK_VALIDATION_FEATURE_ENABLE_SYNCHRONIZATION_VALIDATION_EXT;
  std::vector<const char*> extensions, layers;
};

void fill_request(InstanceRequest& request, const GlobalFunctions& fn, Instance& instance,
                  bool validation) {
  request.application.pApplicationName = request.application.pEngineName = "pumice";
  request.application.apiVersion = instance.api_version;
  request.create.pApplicationInfo = &request.application;
  instance.debug_utils = has_extension(fn, nullptr, VK_EXT_DEBUG_UTILS_EXTENSION_NAME);
  if (validation) {
    instance.debug_utils = true;  // the layer brings it
    request.layers.push_back(kValidationLayer);
    request.messenger = instance.validation->messenger_info();
    request.create.pNext = &request.messenger;
    if (has_extension(fn, kValidationLayer, VK_EXT_VALIDATION_FEATURES_EXTENSION_NAME)) {
      request.extensions.push_back(VK_EXT_VALIDATION_FEATURES_EXTENSION_NAME);
      request.features.enabledValidationFeatureCount = 1;
      request.features.pEnabledValidationFeatures = &request.synchronization;
      request.messenger.pNext = &request.features;
    }
  }
  if (instance.debug_utils) request.extensions.push_back(VK_EXT_DEBUG_UTILS_EXTENSION_NAME);
  request.create.enabledExtensionCount = uint32_t(request.extensions.size());
  request.create.ppEnabledExtensionNames = request.extensions.data();
  request.create.enabledLayerCount = uint32_t(request.layers.size());
  request.create.ppEnabledLayerNames = request.layers.data();
}

}  // namespace

Result<std::unique_ptr<Instance>> create_instance(const InstanceOptions& options) {
  PUMICE_TRY_ASSIGN(const GlobalFunctions fn, load_global_functions(options.faults));
  auto instance = std::make_unique<Instance>();
  instance->validation = std::make_unique<ValidationLog>(options.validation_sink);
  PUMICE_TRY_ASSIGN(instance->api_version, choose_api_version(fn));
  if (options.validation) PUMICE_TRY(require_validation(fn));
  InstanceRequest request;
  fill_request(request, fn, *instance, options.validation);

  VkInstance handle = VK_NULL_HANDLE;
  const VkResult result = fn.CreateInstance(&request.create, nullptr, &handle);
  if (result == VK_ERROR_INCOMPATIBLE_DRIVER) return fail(ErrorCode::NoDevice, "{}", kNoDriver);
  if (result != VK_SUCCESS) return tl::unexpected(vk_error("vkCreateInstance", result));
  auto table = load_instance_functions(fn.get, handle, options.faults);
  if (!table) {
    if (const auto destroy =
            reinterpret_cast<PFN_vkDestroyInstance>(fn.get(handle, "vkDestroyInstance")))
      destroy(handle, nullptr);
    return tl::unexpected(std::move(table.error()));
  }
  instance->fn = *table;
  instance->handle = handle;
  if (options.validation && instance->fn.CreateDebugUtilsMessengerEXT) {
    const auto info = instance->validation->messenger_info();
    const VkResult created =
        instance->fn.CreateDebugUtilsMessengerEXT(handle, &info, nullptr, &instance->messenger);
    if (created != VK_SUCCESS)
      return tl::unexpected(vk_error("vkCreateDebugUtilsMessengerEXT", created));
  }
  return instance;
}

Instance::~Instance() {
  if (handle == VK_NULL_HANDLE || borrowed) return;
  if (messenger != VK_NULL_HANDLE) fn.DestroyDebugUtilsMessengerEXT(handle, messenger, nullptr);
  fn.DestroyInstance(handle, nullptr);
}

}  // namespace pumice::vk
