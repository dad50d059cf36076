#include "built_in_model.h"

#include <array>
#include <filesystem>

#include "engine/base/platform.h"

namespace pumice::command {

std::string built_in_model() {
  namespace fs = std::filesystem;
  std::error_code ignored;
  const fs::path program = program_file();
  // An installation first, so that it never depends on a source folder that is still there.
  const std::array places = {
      program.empty() ? fs::path() : program.parent_path() / PUMICE_MODEL_INSTALLED,
      fs::path(PUMICE_MODEL_IN_SOURCE)};
  for (const fs::path& place : places)
    if (fs::is_regular_file(place, ignored)) return place.lexically_normal().string();
  return {};
}

}  // namespace pumice::command
