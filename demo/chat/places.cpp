#include "places.h"

#include <cstdlib>
#include <filesystem>

namespace pumice::chat {
namespace {

namespace fs = std::filesystem;

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value ? value : "";
}

/// `own` is a variable that names the folder itself, `below` where it lies in a home.
std::string user_file(const char* own, const fs::path& below, const char* name) {
  fs::path folder = variable(own);
  if (!folder.is_absolute()) folder = variable("LOCALAPPDATA");
  if (!folder.is_absolute() && !variable("HOME").empty())
    folder = fs::path(variable("HOME")) / below;
  return folder.is_absolute() ? (folder / "pumice" / name).string() : std::string();
}

}  // namespace

std::string history_file() {
  return user_file("XDG_DATA_HOME", fs::path(".local") / "share", "history.db");
}

std::string pipelines_file() {
  return user_file("XDG_CACHE_HOME", ".cache", "pipelines.bin");
}

std::string built_in_model() {
  std::error_code ignored;
  const fs::path program = fs::read_symlink("/proc/self/exe", ignored);
  const fs::path places[] = {
      program.empty() ? fs::path() : program.parent_path() / PUMICE_MODEL_INSTALLED,
      fs::path(PUMICE_MODEL_IN_SOURCE)};
  for (const fs::path& place : places)
    if (fs::is_regular_file(place, ignored)) return place.lexically_normal().string();
  return {};
}

}  // namespace pumice::chat
