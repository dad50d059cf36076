// Where files of this user and of this program lie. Nothing is created; an empty name means that
// the environment names no place.
#pragma once

#include <string>

namespace pumice::chat {

/// $XDG_DATA_HOME/pumice/history.db, below ~/.local/share, or below %LOCALAPPDATA%.
[[nodiscard]] std::string history_file();

/// Compiled pipelines, which the command line uses too: $XDG_CACHE_HOME/pumice/pipelines.bin, below
/// ~/.cache, or below %LOCALAPPDATA%.
[[nodiscard]] std::string pipelines_file();

/// pumice-mini.gguf of the installation that this program belongs to, or else of the source that it
/// was built from; empty = it is in neither place.
[[nodiscard]] std::string built_in_model();

}  // namespace pumice::chat
