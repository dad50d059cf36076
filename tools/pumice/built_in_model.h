// The model that comes with pumice, and that commands use without -m.
#pragma once

#include <string>

namespace pumice::command {

/// pumice-mini.gguf of the installation that this program belongs to, or else of the source that it
/// was built from; empty = it is in neither place.
[[nodiscard]] std::string built_in_model();

}  // namespace pumice::command
