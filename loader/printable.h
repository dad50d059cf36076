// Text from a file made safe to print and to compare: no control bytes, no broken UTF-8, no
// megabytes.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace pumice {

/// Valid UTF-8 (no surrogates, no overlong forms) without control characters.
[[nodiscard]] bool is_clean_utf8(std::string_view text);

/// For messages: control and broken bytes become \xNN, and what exceeds `max_bytes` becomes "...".
[[nodiscard]] std::string printable(std::string_view text, size_t max_bytes = 64);

}  // namespace pumice
