// What a compute shader's SPIR-V says about its interface: bindings, push constants, work group
// size, specialization constants, capabilities. Knows no Vulkan.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "engine/base/result.h"

namespace pumice::vk {

enum class BindingKind : uint8_t { StorageBuffer, TexelUint, TexelInt, TexelFloat };

struct ShaderBinding {
  uint32_t binding = 0;
  BindingKind kind = BindingKind::StorageBuffer;
  bool image = false;     ///< a storage texel buffer (imageBuffer) instead of a uniform one
  bool writable = false;  ///< a storage or storage texel buffer without `readonly`
};

struct SpecConstant {
  uint32_t id = 0;  ///< constant_id
  uint32_t default_value = 0;
};

struct ShaderInfo {
  std::string entry_point;
  std::vector<ShaderBinding> bindings;  ///< of descriptor set 0, by rising number
  uint32_t push_bytes = 0;
  std::vector<SpecConstant> constants;  ///< by rising id
  std::vector<uint32_t> capabilities;   ///< SPIR-V capability numbers

  static constexpr uint32_t kFixed = UINT32_MAX;
  std::array<uint32_t, 3> local_size{1, 1, 1};  ///< with default constants
  /// constant_id that sets an axis, or kFixed.
  std::array<uint32_t, 3> local_size_id{kFixed, kFixed, kFixed};

  /// The work group's size when constants[i] is the value of constant_id i.
  [[nodiscard]] std::array<uint32_t, 3> local_size_with(std::span<const uint32_t> constants) const;
};

/// Fails with BadArgument for what is no valid module, with Unsupported for an interface the
/// engine does not bind (images, samplers, other descriptor sets, arrays of bindings).
[[nodiscard]] Result<ShaderInfo> reflect_shader(std::span<const uint32_t> spirv);

}  // namespace pumice::vk
