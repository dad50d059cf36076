// Asks a driver what it can do.
#include "engine/vk/physical_device.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cstring>

namespace pumice::vk {
namespace {

constexpr uint32_t kMinInvocations = 256, kMinSharedBytes = 16384, kMinPushBytes = 128;

/// Chains Vulkan structures through pNext as they are added.
class Chain {
 public:
  explicit Chain(void** head) : tail_(head) {}
  template <class T>
  void add(T& row, VkStructureType type, bool present = true) {
    row.sType = type;
    if (!present) return;
    *tail_ = &row;
    tail_ = &row.pNext;
  }

 private:
  void** tail_;
};

struct Properties {
  VkPhysicalDeviceProperties2 base{VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2};
  VkPhysicalDeviceVulkan11Properties v11{};
  VkPhysicalDeviceVulkan12Properties v12{};
  VkPhysicalDeviceSubgroupSizeControlProperties subgroup{};
  VkPhysicalDeviceMaintenance4Properties maintenance4{};
};

struct FeatureQuery {
  VkPhysicalDeviceFeatures2 base{VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2};
  VkPhysicalDeviceVulkan11Features v11{};
  VkPhysicalDeviceVulkan12Features v12{};
  VkPhysicalDeviceSubgroupSizeControlFeatures subgroup{};
  VkPhysicalDeviceShaderIntegerDotProductFeatures dot{};
  VkPhysicalDevicePipelineExecutablePropertiesFeaturesKHR executable{};
};

/// Extensions of one device, by name.
class Extensions {
 public:
  VkResult load(const InstanceFunctions& fn, VkPhysicalDevice device) {
    return enumerate(rows_, [&](uint32_t* count, VkExtensionProperties* out) {
      return fn.EnumerateDeviceExtensionProperties(device, nullptr, count, out);
    });
  }
  [[nodiscard]] bool has(const char* name) const {
    return std::any_of(rows_.begin(), rows_.end(),
                       [&](const auto& row) { return std::strcmp(row.extensionName, name) == 0; });
  }

 private:
  std::vector<VkExtensionProperties> rows_;
};

DriverKind driver_kind(VkDriverId id) {
  switch (id) {
    case VK_DRIVER_ID_MESA_LLVMPIPE:
      return DriverKind::Lavapipe;
    case VK_DRIVER_ID_GOOGLE_SWIFTSHADER:
      return DriverKind::SwiftShader;
    case VK_DRIVER_ID_NVIDIA_PROPRIETARY:
      return DriverKind::Nvidia;
    case VK_DRIVER_ID_MESA_RADV:
      return DriverKind::Radv;
    case VK_DRIVER_ID_AMD_PROPRIETARY:
    case VK_DRIVER_ID_AMD_OPEN_SOURCE:
      return DriverKind::AmdProprietary;
    case VK_DRIVER_ID_INTEL_OPEN_SOURCE_MESA:
      return DriverKind::IntelMesa;
    default:
      return DriverKind::Other;
  }
}

void take_limits(Capabilities& caps, const VkPhysicalDeviceLimits& limits) {
  caps.timestamp_period_ns = limits.timestampPeriod;
  caps.max_workgroup_invocations = limits.maxComputeWorkGroupInvocations;
  for (size_t axis = 0; axis < 3; ++axis) {
    caps.max_workgroup_size[axis] = limits.maxComputeWorkGroupSize[axis];
    caps.max_workgroup_count[axis] = limits.maxComputeWorkGroupCount[axis];
  }
  caps.max_shared_bytes = limits.maxComputeSharedMemorySize;
  caps.max_push_bytes = limits.maxPushConstantsSize;
  caps.max_storage_range = limits.maxStorageBufferRange;
  caps.max_texel_elements = limits.maxTexelBufferElements;
  caps.storage_alignment = uint32_t(limits.minStorageBufferOffsetAlignment);
  caps.texel_alignment = uint32_t(limits.minTexelBufferOffsetAlignment);
}

void take_properties(const InstanceFunctions& fn, PhysicalDevice& device,
                     const Extensions& extensions) {
  Properties p;
  const bool v13 = device.caps.api_version >= VK_API_VERSION_1_3;
  Chain chain(&p.base.pNext);
  chain.add(p.v11, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_PROPERTIES);
  chain.add(p.v12, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_PROPERTIES);
  chain.add(p.subgroup, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_PROPERTIES,
            v13 || extensions.has(VK_EXT_SUBGROUP_SIZE_CONTROL_EXTENSION_NAME));
  chain.add(p.maintenance4, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MAINTENANCE_4_PROPERTIES,
            v13 || extensions.has(VK_KHR_MAINTENANCE_4_EXTENSION_NAME));
  fn.GetPhysicalDeviceProperties2(device.handle, &p.base);

  Capabilities& caps = device.caps;
  caps.driver = driver_kind(p.v12.driverID);
  caps.driver_name = fmt::format("{} {}", p.v12.driverName, p.v12.driverInfo);
  std::memcpy(caps.device_uuid.data(), p.v11.deviceUUID, 16);
  std::memcpy(caps.driver_uuid.data(), p.v11.driverUUID, 16);
  caps.subgroup_size = p.v11.subgroupSize;
  caps.min_subgroup_size =
      p.subgroup.minSubgroupSize ? p.subgroup.minSubgroupSize : caps.subgroup_size;
  caps.max_subgroup_size =
      p.subgroup.maxSubgroupSize ? p.subgroup.maxSubgroupSize : caps.subgroup_size;
  if (p.v11.subgroupSupportedStages & VK_SHADER_STAGE_COMPUTE_BIT)
    device.features.subgroup_operations = p.v11.subgroupSupportedOperations;
  const auto supports = [&](VkSubgroupFeatureFlags all) {
    return (device.features.subgroup_operations & all) == all;
  };
  caps.subgroup_basic =
      supports(VK_SUBGROUP_FEATURE_BASIC_BIT | VK_SUBGROUP_FEATURE_VOTE_BIT |
               VK_SUBGROUP_FEATURE_ARITHMETIC_BIT | VK_SUBGROUP_FEATURE_BALLOT_BIT);
  caps.subgroup_shuffle = supports(VK_SUBGROUP_FEATURE_SHUFFLE_BIT);
  caps.max_allocation = p.v11.maxMemoryAllocationSize;
  if (p.maintenance4.maxBufferSize != 0) device.max_buffer_size = p.maintenance4.maxBufferSize;
}

void take_features(const InstanceFunctions& fn, PhysicalDevice& device,
                   const Extensions& extensions) {
  FeatureQuery f;
  const bool v13 = device.caps.api_version >= VK_API_VERSION_1_3;
  const bool dot_extension = extensions.has(VK_KHR_SHADER_INTEGER_DOT_PRODUCT_EXTENSION_NAME);
  const bool size_extension = extensions.has(VK_EXT_SUBGROUP_SIZE_CONTROL_EXTENSION_NAME);
  Chain chain(&f.base.pNext);
  chain.add(f.v11, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_FEATURES);
  chain.add(f.v12, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES);
  chain.add(f.subgroup, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_FEATURES,
            v13 || size_extension);
  chain.add(f.dot, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_INTEGER_DOT_PRODUCT_FEATURES,
            v13 || dot_extension);
  chain.add(f.executable,
            VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PIPELINE_EXECUTABLE_PROPERTIES_FEATURES_KHR,
            extensions.has(VK_KHR_PIPELINE_EXECUTABLE_PROPERTIES_EXTENSION_NAME));
  fn.GetPhysicalDeviceFeatures2(device.handle, &f.base);

  Capabilities& caps = device.caps;
  caps.fp16 = f.v12.shaderFloat16;
  caps.int8 = f.v12.shaderInt8;
  caps.storage16 = f.v11.storageBuffer16BitAccess;
  caps.dot8 = f.dot.shaderIntegerDotProduct;
  caps.subgroup_size_control = f.subgroup.subgroupSizeControl;
  caps.timeline = f.v12.timelineSemaphore;
  caps.pipeline_statistics = f.executable.pipelineExecutableInfo;
  // caps.coopmat stays false: these Vulkan headers do not know VK_KHR_cooperative_matrix.
  Features& features = device.features;
  features.int16 = f.base.features.shaderInt16;
  features.int64 = f.base.features.shaderInt64;
  features.storage8 = f.v12.storageBuffer8BitAccess;
  features.robust_buffers = f.base.features.robustBufferAccess;
  features.memory_budget = extensions.has(VK_EXT_MEMORY_BUDGET_EXTENSION_NAME);
  features.dot8_extension = !v13 && dot_extension;
  features.subgroup_size_extension = !v13 && size_extension;
  features.compute_full_subgroups = f.subgroup.computeFullSubgroups;
}

/// Heap sizes and what of them is free; some drivers report budgets above the heap.
void take_memory(const InstanceFunctions& fn, PhysicalDevice& device) {
  VkPhysicalDeviceMemoryBudgetPropertiesEXT budget{
      VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_BUDGET_PROPERTIES_EXT};
  VkPhysicalDeviceMemoryProperties2 query{VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_PROPERTIES_2};
  if (device.features.memory_budget) query.pNext = &budget;
  fn.GetPhysicalDeviceMemoryProperties2(device.handle, &query);
  device.memory = query.memoryProperties;

  Capabilities& caps = device.caps;
  for (uint32_t heap = 0; heap < device.memory.memoryHeapCount; ++heap) {
    const auto& row = device.memory.memoryHeaps[heap];
    if (!(row.flags & VK_MEMORY_HEAP_DEVICE_LOCAL_BIT) || row.size <= caps.device_memory) continue;
    caps.device_memory = caps.device_memory_free = row.size;
    if (!device.features.memory_budget) continue;
    const uint64_t total = std::min<uint64_t>(budget.heapBudget[heap], row.size);
    caps.device_memory_free = total - std::min<uint64_t>(budget.heapUsage[heap], total);
  }
  const bool shares_memory = device.type == VK_PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU || caps.is_cpu;
  constexpr VkMemoryPropertyFlags kUnified = VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT |
                                             VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT |
                                             VK_MEMORY_PROPERTY_HOST_COHERENT_BIT;
  for (uint32_t type = 0; type < device.memory.memoryTypeCount; ++type)
    if (shares_memory && (device.memory.memoryTypes[type].propertyFlags & kUnified) == kUnified)
      caps.unified_memory = true;
}

std::vector<VkQueueFamilyProperties> queue_families(const InstanceFunctions& fn,
                                                    VkPhysicalDevice device) {
  uint32_t count = 0;
  fn.GetPhysicalDeviceQueueFamilyProperties(device, &count, nullptr);
  std::vector<VkQueueFamilyProperties> rows(count);
  fn.GetPhysicalDeviceQueueFamilyProperties(device, &count, rows.data());
  rows.resize(count);
  return rows;
}

void use_queue_family(PhysicalDevice& device, uint32_t family, const VkQueueFamilyProperties& row) {
  device.queue_family = family;
  device.timestamp_bits = row.timestampValidBits;
  device.caps.timestamps = device.timestamp_bits != 0 && device.caps.timestamp_period_ns > 0;
}

/// A queue for compute alone leaves the screen's queue undisturbed; any with compute will do.
void choose_queue(const InstanceFunctions& fn, PhysicalDevice& device) {
  const std::vector<VkQueueFamilyProperties> rows = queue_families(fn, device.handle);
  int best = -1;
  for (uint32_t family = 0; family < rows.size(); ++family) {
    const auto& row = rows[family];
    if (row.queueCount == 0 || !(row.queueFlags & VK_QUEUE_COMPUTE_BIT)) continue;
    const int score =
        (row.timestampValidBits != 0 ? 2 : 0) + (row.queueFlags & VK_QUEUE_GRAPHICS_BIT ? 0 : 1);
    if (score <= best) continue;
    best = score;
    use_queue_family(device, family, row);
  }
}

void require(PhysicalDevice& device, bool fine, std::string reason) {
  if (fine) return;
  if (!device.unusable.empty()) device.unusable += "; ";
  device.unusable += reason;
}

void check_baseline(PhysicalDevice& device) {
  const Capabilities& caps = device.caps;
  require(device, device.queue_family != UINT32_MAX, "it has no compute queue");
  require(device, caps.max_workgroup_invocations >= kMinInvocations,
          fmt::format("work groups hold {} invocations, {} are needed",
                      caps.max_workgroup_invocations, kMinInvocations));
  require(device, caps.max_shared_bytes >= kMinSharedBytes,
          fmt::format("{} bytes of shared memory, {} are needed", caps.max_shared_bytes,
                      kMinSharedBytes));
  require(
      device, caps.max_push_bytes >= kMinPushBytes,
      fmt::format("{} bytes of push constants, {} are needed", caps.max_push_bytes, kMinPushBytes));
}

int rank(VkPhysicalDeviceType type) {
  switch (type) {
    case VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU:
      return 0;
    case VK_PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU:
      return 1;
    case VK_PHYSICAL_DEVICE_TYPE_VIRTUAL_GPU:
      return 2;
    case VK_PHYSICAL_DEVICE_TYPE_CPU:
      return 4;
    default:
      return 3;
  }
}

std::string lower(std::string text) {
  for (char& c : text) c = char(std::tolower(static_cast<unsigned char>(c)));
  return text;
}

std::string names(const std::vector<PhysicalDevice>& devices) {
  std::string text;
  for (size_t i = 0; i < devices.size(); ++i)
    text += fmt::format("{}{} = {}", i == 0 ? "" : ", ", i, devices[i].caps.device_name);
  return text;
}

/// The position that `wanted` names, or devices.size().
size_t find_wanted(const std::vector<PhysicalDevice>& devices, const std::string& wanted) {
  size_t index = 0;
  const char* end = wanted.data() + wanted.size();
  const auto parsed = std::from_chars(wanted.data(), end, index);
  if (parsed.ec == std::errc() && parsed.ptr == end) return std::min(index, devices.size());
  for (size_t i = 0; i < devices.size(); ++i)
    if (lower(devices[i].caps.device_name).find(lower(wanted)) != std::string::npos) return i;
  return devices.size();
}

}  // namespace

Result<PhysicalDevice> describe_physical_device(const Instance& instance, VkPhysicalDevice handle) {
  PhysicalDevice device;
  device.handle = handle;
  VkPhysicalDeviceProperties properties{};
  instance.fn.GetPhysicalDeviceProperties(handle, &properties);
  Capabilities& caps = device.caps;
  device.type = properties.deviceType;
  caps.device_name = properties.deviceName;
  caps.vendor_id = properties.vendorID;
  caps.device_id = properties.deviceID;
  caps.driver_version = properties.driverVersion;
  caps.api_version = std::min(properties.apiVersion, instance.api_version);
  caps.is_cpu = properties.deviceType == VK_PHYSICAL_DEVICE_TYPE_CPU;
  std::memcpy(caps.pipeline_cache_uuid.data(), properties.pipelineCacheUUID, 16);
  take_limits(caps, properties.limits);
  device.features.max_storage_bindings = properties.limits.maxPerStageDescriptorStorageBuffers;
  device.features.max_texel_bindings = properties.limits.maxPerStageDescriptorSampledImages;
  device.features.max_image_bindings = properties.limits.maxPerStageDescriptorStorageImages;
  require(device, properties.apiVersion >= VK_API_VERSION_1_2,
          fmt::format("its driver has Vulkan {}.{}, 1.2 is needed",
                      VK_API_VERSION_MAJOR(properties.apiVersion),
                      VK_API_VERSION_MINOR(properties.apiVersion)));
  if (!device.unusable.empty()) return device;

  Extensions extensions;
  const VkResult result = extensions.load(instance.fn, handle);
  if (result != VK_SUCCESS)
    return tl::unexpected(vk_error("vkEnumerateDeviceExtensionProperties", result));
  take_properties(instance.fn, device, extensions);
  take_features(instance.fn, device, extensions);
  take_memory(instance.fn, device);
  choose_queue(instance.fn, device);
  check_baseline(device);
  return device;
}

Result<void> take_queue_family(const Instance& instance, PhysicalDevice& device, uint32_t family) {
  const std::vector<VkQueueFamilyProperties> rows = queue_families(instance.fn, device.handle);
  if (family >= rows.size() || !(rows[family].queueFlags & VK_QUEUE_COMPUTE_BIT))
    return fail(ErrorCode::BadArgument,
                "queue family {} of {} has no compute, or does not exist; there are {}", family,
                device.caps.device_name, rows.size());
  use_queue_family(device, family, rows[family]);
  return {};
}

Result<std::vector<PhysicalDevice>> find_physical_devices(const Instance& instance) {
  std::vector<VkPhysicalDevice> handles;
  const VkResult result = enumerate(handles, [&](uint32_t* count, VkPhysicalDevice* out) {
    return instance.fn.EnumeratePhysicalDevices(instance.handle, count, out);
  });
  if (result != VK_SUCCESS && result != VK_ERROR_INITIALIZATION_FAILED)
    return tl::unexpected(vk_error("vkEnumeratePhysicalDevices", result));
  if (handles.empty())
    return fail(ErrorCode::NoDevice,
                "no Vulkan device was found; install the driver of your graphics card, or a "
                "software driver (on Debian: apt install mesa-vulkan-drivers)");
  std::vector<PhysicalDevice> devices;
  for (const VkPhysicalDevice handle : handles) {
    PUMICE_TRY_ASSIGN(PhysicalDevice device, describe_physical_device(instance, handle));
    devices.push_back(std::move(device));
  }
  std::stable_sort(devices.begin(), devices.end(),
                   [](const auto& a, const auto& b) { return rank(a.type) < rank(b.type); });
  return devices;
}

Result<PhysicalDevice> select_device(const std::vector<PhysicalDevice>& devices,
                                     const std::string& wanted) {
  if (!wanted.empty()) {
    const size_t index = find_wanted(devices, wanted);
    if (index == devices.size())
      return fail(ErrorCode::NotFound, "no Vulkan device matches '{}'; there are: {}", wanted,
                  names(devices));
    if (!devices[index].unusable.empty())
      return fail(ErrorCode::NoDevice, "the device {} cannot be used: {}; choose another of: {}",
                  devices[index].caps.device_name, devices[index].unusable, names(devices));
    return devices[index];
  }
  std::string reasons;
  for (const auto& device : devices) {
    if (device.unusable.empty()) return device;
    reasons += fmt::format(" {} ({})", device.caps.device_name, device.unusable);
  }
  return fail(ErrorCode::NoDevice, "no usable Vulkan device:{}; update the driver", reasons);
}

}  // namespace pumice::vk
