// What platform_file.h asks of every operating system alike, through the standard library.
#include "engine/base/platform_file.h"

#include <system_error>

namespace pumice {

namespace fs = std::filesystem;

Result<fs::path> final_target(const fs::path& target) {
  std::error_code ignored;
  const fs::file_status status = fs::status(target, ignored);
  if (fs::is_directory(status))
    return fail(ErrorCode::BadArgument, "{}: is a folder; name a file in it", target.string());
  if (fs::exists(status) && !fs::is_regular_file(status))
    return fail(ErrorCode::BadArgument, "{}: is not a regular file", target.string());
  const fs::path followed = fs::canonical(target, ignored);
  return followed.empty() ? target : followed;
}

fs::path part_path(const fs::path& target) {
  fs::path part = target;
  part += ".part";
  return part;
}

uint64_t free_bytes(const fs::path& folder) {
  std::error_code error;
  const fs::space_info space = fs::space(folder.empty() ? fs::path(".") : folder, error);
  return error ? UINT64_MAX : uint64_t(space.available);
}

bool same_file(const fs::path& a, const fs::path& b) {
  std::error_code error;
  return fs::equivalent(a, b, error) && !error;
}

}  // namespace pumice
