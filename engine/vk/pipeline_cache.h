// The pipeline cache on disk. A driver trusts what it is given, so a file is only passed on when
// our own header says that it is whole and was written by the same driver for the same device.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "engine/base/result.h"
#include "engine/schedule/capabilities.h"

namespace pumice::vk {

/// Header and payload as they lie in the file.
[[nodiscard]] std::vector<std::byte> pack_pipeline_cache(const Capabilities& caps,
                                                         std::span<const std::byte> payload);
/// The payload; or an error that says why the file is not used.
[[nodiscard]] Result<std::span<const std::byte>> unpack_pipeline_cache(
    const Capabilities& caps, std::span<const std::byte> file);

/// Payload of a cache file; empty when there is none or it cannot be used (one log line).
[[nodiscard]] std::vector<std::byte> read_pipeline_cache(const std::string& path,
                                                         const Capabilities& caps);

}  // namespace pumice::vk
