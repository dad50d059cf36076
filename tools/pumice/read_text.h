// Texts that a command is given as files.
#pragma once

#include <string>

#include "engine/base/result.h"

namespace pumice::command {

/// All of a file, or of standard input for "-". An empty file, or one of more than 1 GiB, is an
/// error.
[[nodiscard]] Result<std::string> read_text(const std::string& path);

}  // namespace pumice::command
