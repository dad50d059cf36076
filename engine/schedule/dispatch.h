// The dispatch list: what the scheduler hands to engine/vk. Plain data, no Vulkan types.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace pumice {

using BufferId = uint32_t;
inline constexpr BufferId kNoBuffer = UINT32_MAX;

enum class BufferDomain : uint8_t {
  Device,    ///< device-local; host-visible too on unified memory
  Upload,    ///< written by the host, read by the device
  Readback,  ///< written by the device, read by the host (cached)
};

struct BufferPlan {
  std::string name;
  uint64_t bytes = 0;
  BufferDomain domain = BufferDomain::Device;
  bool fully_written = false;  ///< what is read will have been written: need not start as zeros
};

struct BufferSlice {
  BufferId buffer = kNoBuffer;
  uint64_t offset = 0;  ///< bytes, aligned to the device's storage and texel alignment
  uint64_t bytes = 0;
};

/// One compute dispatch. Binding i of the shader reads or writes bindings[i]; whether it is a
/// storage buffer or a texel buffer of either kind is learnt from the SPIR-V.
struct Dispatch {
  std::string kernel;               ///< module name: "matvec_wide.q4_k.f32"
  std::vector<uint32_t> constants;  ///< specialization constants 0, 1, 2, ...
  std::vector<BufferSlice> bindings;
  std::vector<uint32_t> push;  ///< push constants, at most 32 words
  std::array<uint32_t, 3> groups{1, 1, 1};
  BufferSlice indirect;       ///< when set: three u32 group counts are read from here
  bool barrier = true;        ///< wait for all earlier dispatches of the list
  std::string label;          ///< debug label and timing row
  uint64_t weight_bytes = 0;  ///< bytes of weights that this dispatch reads
};

/// A compiled shader module, embedded at build time.
struct KernelModule {
  const char* name;
  std::span<const uint32_t> spirv;
};

/// All modules in name order; defined by the generated table of shaders/.
[[nodiscard]] std::span<const KernelModule> kernel_modules();
/// Null when this build has no such module.
[[nodiscard]] const KernelModule* find_kernel(const std::string& name);

}  // namespace pumice
