// GLSL to SPIR-V by the installed compiler, as a program of its own: a shader that crashes it, or
// keeps it busy, takes nothing of ours with it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/base/result.h"

namespace pumice::command {

/// NotFound where there is no such file.
[[nodiscard]] Result<void> check_source(const std::string& file);

/// BadArgument with the compiler's first message, file and line included, and how many more there
/// are. NotFound where glslc is not installed.
[[nodiscard]] Result<std::vector<uint32_t>> compile_glsl(const std::string& file);

/// The file and all that it includes; the file alone when that cannot be known.
[[nodiscard]] std::vector<std::string> sources_of(const std::string& file);

}  // namespace pumice::command
