// What `pumice imatrix` does beside gathering.
#pragma once

#include <string>

#include "command.h"

namespace pumice::command {

/// A table of an importance matrix, or JSON: per tensor how large its inputs are and how unevenly
/// that is spread over the channels.
[[nodiscard]] Outcome show_importance(const std::string& path, bool json);

}  // namespace pumice::command
