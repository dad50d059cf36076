// Capability snapshots of devices, as their drivers report them, for tests of what follows from
// them alone.
#pragma once

#include <vector>

#include "engine/schedule/capabilities.h"

namespace pumice::test {

inline Capabilities gpu(const char* name, DriverKind driver, uint32_t subgroup) {
  Capabilities caps;
  caps.device_name = name;
  caps.driver = driver;
  caps.subgroup_size = caps.min_subgroup_size = caps.max_subgroup_size = subgroup;
  caps.subgroup_basic = caps.subgroup_shuffle = true;
  caps.fp16 = caps.storage16 = caps.int8 = caps.dot8 = caps.timeline = true;
  caps.max_workgroup_invocations = 1024;
  caps.max_workgroup_size = {1024, 1024, 64};
  caps.max_workgroup_count = {65535, 65535, 65535};
  caps.max_shared_bytes = 32768;
  caps.max_push_bytes = 128;
  caps.max_storage_range = UINT32_MAX;
  caps.max_texel_elements = 1u << 27;
  caps.storage_alignment = 16;
  caps.texel_alignment = 16;
  caps.max_allocation = uint64_t{4} << 30;
  caps.device_memory = caps.device_memory_free = uint64_t{8} << 30;
  return caps;
}

inline Capabilities amd() {
  return gpu("Radeon RX 7900 XTX", DriverKind::Radv, 64);
}
inline Capabilities nvidia() {
  return gpu("GeForce RTX 4070", DriverKind::Nvidia, 32);
}
inline Capabilities intel() {
  Capabilities caps = gpu("Arc A770", DriverKind::IntelMesa, 16);
  caps.min_subgroup_size = 8;
  caps.max_subgroup_size = 32;
  caps.storage_alignment = 64;
  caps.max_storage_range = uint64_t{1} << 30;
  return caps;
}
/// An old part: no 16-bit, no dot product, small bindings.
inline Capabilities baseline() {
  Capabilities caps = gpu("old", DriverKind::Other, 32);
  caps.fp16 = caps.storage16 = caps.int8 = caps.dot8 = false;
  caps.subgroup_basic = caps.subgroup_shuffle = false;
  caps.max_workgroup_invocations = 256;
  caps.max_storage_range = uint64_t{128} << 20;
  caps.max_texel_elements = 65536;
  caps.storage_alignment = 256;
  return caps;
}
inline Capabilities lavapipe() {
  Capabilities caps = gpu("llvmpipe (LLVM 15.0.6, 256 bits)", DriverKind::Lavapipe, 8);
  caps.is_cpu = caps.unified_memory = true;
  caps.max_storage_range = uint64_t{128} << 20;
  caps.max_allocation = uint64_t{2} << 30;
  return caps;
}
inline Capabilities swiftshader() {
  Capabilities caps = gpu("SwiftShader Device (Subzero)", DriverKind::SwiftShader, 4);
  caps.is_cpu = caps.unified_memory = true;
  caps.fp16 = caps.storage16 = caps.int8 = false;
  caps.max_storage_range = uint64_t{1} << 30;
  caps.max_texel_elements = 65536;
  caps.storage_alignment = 256;
  return caps;
}

inline std::vector<Capabilities> devices() {
  return {amd(), nvidia(), intel(), baseline(), lavapipe(), swiftshader()};
}

}  // namespace pumice::test
