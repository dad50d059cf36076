// The text that `pumice lab` runs when it is given none.
#pragma once

#include <string_view>

namespace pumice::command {

/// About 6 KB of plain English of several kinds; the first half calibrates, the second one tests.
[[nodiscard]] std::string_view lab_text();

}  // namespace pumice::command
