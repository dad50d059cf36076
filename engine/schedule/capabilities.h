// What a device can do, as plain data: taken once from Vulkan by engine/vk, invented freely by
// tests. Every policy decision is a pure function of this snapshot.
#pragma once

#include <array>
#include <cstdint>
#include <string>

namespace pumice {

enum class DriverKind : uint8_t {
  Other,
  Lavapipe,
  SwiftShader,
  Nvidia,
  Radv,
  AmdProprietary,
  IntelMesa
};

struct Capabilities {
  std::string device_name;  ///< "llvmpipe (LLVM 15.0.6, 256 bits)"
  std::string driver_name;  ///< name and version in words, for reports and cache keys
  DriverKind driver = DriverKind::Other;
  uint32_t vendor_id = 0, device_id = 0, driver_version = 0, api_version = 0;
  std::array<uint8_t, 16> device_uuid{}, driver_uuid{}, pipeline_cache_uuid{};
  bool is_cpu = false;          ///< a software driver: dispatches are dear, loads are loops
  bool unified_memory = false;  ///< device-local memory is also host visible

  uint32_t subgroup_size = 0, min_subgroup_size = 0, max_subgroup_size = 0;
  bool subgroup_basic = false;    ///< basic, vote, arithmetic in compute
  bool subgroup_shuffle = false;  ///< shuffle and shuffle-xor in compute
  bool subgroup_size_control = false;

  bool fp16 = false;       ///< shaderFloat16
  bool storage16 = false;  ///< 16-bit storage buffers
  bool int8 = false;       ///< shaderInt8
  bool dot8 = false;       ///< VK_KHR_shader_integer_dot_product, enabled
  bool coopmat = false;    ///< VK_KHR_cooperative_matrix, enabled
  bool timeline = false;   ///< timeline semaphores
  bool timestamps = false;
  bool pipeline_statistics = false;  ///< VK_KHR_pipeline_executable_properties, enabled
  float timestamp_period_ns = 1.0f;

  uint32_t max_workgroup_invocations = 128;
  std::array<uint32_t, 3> max_workgroup_size{}, max_workgroup_count{};
  uint32_t max_shared_bytes = 16384, max_push_bytes = 128;
  uint64_t max_storage_range = 0;                           ///< bytes per storage-buffer binding
  uint64_t max_texel_elements = 0;                          ///< texels per texel buffer
  uint32_t storage_alignment = 256, texel_alignment = 256;  ///< of binding offsets, bytes
  uint64_t max_allocation = 0;                              ///< bytes per vkAllocateMemory
  uint64_t device_memory = 0;       ///< bytes in the largest device-local heap
  uint64_t device_memory_free = 0;  ///< budget where the driver reports one, else = device_memory
};

/// Capabilities a user may take away to run a lower tier on any driver (`--without fp16,dot8`).
struct CapabilityMask {
  bool fp16 = false;  ///< true = pretend that it is absent (16-bit arithmetic and storage)
  bool dot8 = false;
  bool subgroup = false;  ///< no subgroup operations beyond the baseline's shared memory
  bool coopmat = false;
  bool texel = false;  ///< no texel-buffer kernels
};

[[nodiscard]] Capabilities masked(Capabilities caps, const CapabilityMask& mask);

}  // namespace pumice
