// The number that another program says.
#pragma once

#include <optional>
#include <string_view>

namespace pumice::command {

/// The last number of a text that stands by itself ("12.5", "3e4"; not the 4 of "q4_0", nor that of
/// a colour code).
[[nodiscard]] std::optional<double> last_number(std::string_view text);

}  // namespace pumice::command
