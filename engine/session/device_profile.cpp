#include "engine/session/device_profile.h"

#include <array>
#include <atomic>
#include <filesystem>
#include <fstream>
#include <span>

#include "engine/base/log.h"
#include "engine/base/platform.h"

namespace pumice {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMostBytes = 4096;  // of a file that holds ten short lines

Result<std::string> read_small(const fs::path& path) {
  std::array<char, kMostBytes + 1> bytes;
  std::ifstream file(path, std::ios::binary);
  file.read(bytes.data(), bytes.size());
  const auto count = size_t(file.gcount());
  if (file.bad() || count == 0) return fail(ErrorCode::Io, "it cannot be read");
  if (count > kMostBytes) return fail(ErrorCode::BadFile, "it is no profile: it is too long");
  return std::string(bytes.data(), count);
}

Result<Tuning> read(const fs::path& path, const Capabilities& caps) {
  PUMICE_TRY_ASSIGN(const std::string text, read_small(path));
  return parse_profile(text, caps);
}

}  // namespace

Tuning read_profile(const std::string& folder, const Capabilities& caps) {
  if (folder.empty()) return {};
  const fs::path path = fs::path(folder) / profile_name(caps);
  std::error_code ignored;
  if (!fs::is_regular_file(path, ignored)) return {};
  const Result<Tuning> tuning = read(path, caps);
  if (tuning) return *tuning;
  static std::atomic<bool> said = false;  // programs load engines again and again
  if (said.exchange(true)) return {};
  log_warning("{}: {}; measure again with pumice bench tune. Defaults are used", path.string(),
              tuning.error().text);
  return {};
}

Result<std::string> write_profile(const std::string& folder, const Capabilities& caps,
                                  const Tuning& tuning) {
  const fs::path path = fs::path(folder) / profile_name(caps);
  const std::string text = profile_text(caps, tuning);
  PUMICE_TRY(write_file_whole(path, std::as_bytes(std::span(text))));
  return path.string();
}

}  // namespace pumice
