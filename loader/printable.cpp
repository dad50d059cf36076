// Owns the one-pass UTF-8 check that names from a file go through, and the escaping for messages.
#include "loader/printable.h"

#include <fmt/format.h>

#include <cstdint>
#include <iterator>

namespace pumice {
namespace {

/// Bytes of the well-formed, non-control character that `text` starts with; 0 if there is none.
size_t clean_character(std::string_view text) {
  const auto byte = [&](size_t i) { return i < text.size() ? uint8_t(text[i]) : uint8_t(0); };
  const auto continues = [&](size_t i, uint8_t low = 0x80, uint8_t high = 0xBF) {
    return byte(i) >= low && byte(i) <= high;
  };
  const uint8_t first = byte(0);
  if (first < 0x80) return first >= 0x20 && first != 0x7F ? 1 : 0;
  if (first >= 0xC2 && first <= 0xDF) {
    const bool is_c1_control = first == 0xC2 && byte(1) < 0xA0;
    return continues(1) && !is_c1_control ? 2 : 0;
  }
  if ((first & 0xF0) == 0xE0) {  // 0xE0 excludes overlong forms, 0xED surrogates
    const uint8_t low = first == 0xE0 ? 0xA0 : 0x80;
    const uint8_t high = first == 0xED ? 0x9F : 0xBF;
    return continues(1, low, high) && continues(2) ? 3 : 0;
  }
  if (first >= 0xF0 && first <= 0xF4) {  // up to U+10FFFF
    const uint8_t low = first == 0xF0 ? 0x90 : 0x80;
    const uint8_t high = first == 0xF4 ? 0x8F : 0xBF;
    return continues(1, low, high) && continues(2) && continues(3) ? 4 : 0;
  }
  return 0;
}

}  // namespace

bool is_clean_utf8(std::string_view text) {
  while (!text.empty()) {
    const size_t n = clean_character(text);
    if (n == 0) return false;
    text.remove_prefix(n);
  }
  return true;
}

std::string printable(std::string_view text, size_t max_bytes) {
  std::string out;
  while (!text.empty()) {
    if (out.size() >= max_bytes) return out + "...";
    const size_t n = clean_character(text);
    if (n == 0)
      fmt::format_to(std::back_inserter(out), "\\x{:02x}", uint8_t(text[0]));
    else
      out += text.substr(0, n);
    text.remove_prefix(n == 0 ? 1 : n);
  }
  return out;
}

}  // namespace pumice
