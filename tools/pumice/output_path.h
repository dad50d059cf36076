// Where a command writes, looked at before the work and not after it.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "engine/base/result.h"

namespace pumice::command {

/// An error where `path`, the value of `flag`, lies in no folder or is one of `inputs`. Empty paths
/// are none.
[[nodiscard]] Result<void> check_output_path(std::string_view flag, const std::string& path,
                                             std::span<const std::string> inputs);

}  // namespace pumice::command
