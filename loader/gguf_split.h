// The naming of split models: NAME-00001-of-00005.gguf.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace pumice {

struct SplitPath {
  std::string prefix;   ///< everything before "-00001-of-00005.gguf"
  uint32_t number = 0;  ///< from 1, as in the name
  uint32_t count = 0;
};

/// What the path says, if it has the form of a part.
[[nodiscard]] std::optional<SplitPath> parse_split_path(std::string_view path);

/// The path of part `number` (from 1). Always in the folder of the part that was opened.
[[nodiscard]] std::string split_path(const SplitPath& split, uint32_t number);

}  // namespace pumice
