#include "output_path.h"

#include <filesystem>

#include "engine/base/platform_file.h"

namespace pumice::command {

Result<void> check_output_path(std::string_view flag, const std::string& path,
                               std::span<const std::string> inputs) {
  namespace fs = std::filesystem;
  if (path.empty()) return {};
  const fs::path folder = fs::path(path).parent_path();
  std::error_code ignored;
  if (!folder.empty() && !fs::is_directory(folder, ignored))
    return fail(ErrorCode::NotFound, "{} {}: there is no such folder", flag, path);
  for (const std::string& input : inputs)
    if (path == input || same_file(path, input))
      return fail(ErrorCode::BadArgument, "{} {}: that is an input of this command", flag, path);
  return {};
}

}  // namespace pumice::command
