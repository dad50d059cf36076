// UTF-8, one code point at a time.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace pumice::chat {

/// The next code point of `text`, which must not be empty and is shortened; U+FFFD for bytes that
/// are none.
[[nodiscard]] uint32_t next_code_point(std::string_view& text);

void append_utf8(std::string& out, uint32_t code);

}  // namespace pumice::chat
