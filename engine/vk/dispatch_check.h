// Checks a dispatch against its shader, its buffers and the device's limits, before Vulkan sees it.
#pragma once

#include <functional>
#include <optional>

#include "engine/base/result.h"
#include "engine/schedule/capabilities.h"
#include "engine/schedule/dispatch.h"
#include "engine/vk/spirv_reflect.h"

namespace pumice::vk {

inline constexpr uint64_t kTexelBytes = 16;  ///< RGBA32, the format of every texel binding

/// Bytes of a buffer; nothing when there is no such buffer.
using BufferBytes = std::function<std::optional<uint64_t>(BufferId)>;

/// The error names the kernel, the binding, what was asked for and what is allowed.
[[nodiscard]] Result<void> check_dispatch(const Dispatch& dispatch, const ShaderInfo& shader,
                                          const Capabilities& caps, const BufferBytes& bytes_of);

}  // namespace pumice::vk
