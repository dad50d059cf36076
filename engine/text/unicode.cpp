// Character classes from utf8proc's tables; ASCII from a table made at compile time.
#include "engine/text/unicode.h"

#include <utf8proc.h>

#include <array>

namespace pumice::text {
namespace {

using namespace char_class;

constexpr uint16_t ascii_class(unsigned c) {
  if ((c >= 9 && c <= 13) || c == ' ') return kSpace;
  if (c < 32 || c == 127) return kOther;
  if (c >= 'A' && c <= 'Z') return kUpper;
  if (c >= 'a' && c <= 'z') return kLower;
  if (c >= '0' && c <= '9') return kNumber;
  for (const char symbol : {'$', '+', '<', '=', '>', '^', '`', '|', '~'})
    if (c == unsigned(symbol)) return kSymbol;
  return kPunctuation;
}

constexpr auto kAscii = [] {
  std::array<uint16_t, 128> table{};
  for (unsigned c = 0; c < 128; ++c) table[c] = ascii_class(c);
  return table;
}();

uint16_t class_of(uint32_t code) {
  if (code == 0x85) return kSpace;
  switch (utf8proc_category(utf8proc_int32_t(code))) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LT:
      return kUpper;
    case UTF8PROC_CATEGORY_LL:
      return kLower;
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
      return kCaseless;
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_MC:
    case UTF8PROC_CATEGORY_ME:
      return kMark;
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_NO:
      return kNumber;
    case UTF8PROC_CATEGORY_PC:
    case UTF8PROC_CATEGORY_PD:
    case UTF8PROC_CATEGORY_PS:
    case UTF8PROC_CATEGORY_PE:
    case UTF8PROC_CATEGORY_PI:
    case UTF8PROC_CATEGORY_PF:
    case UTF8PROC_CATEGORY_PO:
      return kPunctuation;
    case UTF8PROC_CATEGORY_SM:
    case UTF8PROC_CATEGORY_SC:
    case UTF8PROC_CATEGORY_SK:
    case UTF8PROC_CATEGORY_SO:
      return kSymbol;
    case UTF8PROC_CATEGORY_ZS:
    case UTF8PROC_CATEGORY_ZL:
    case UTF8PROC_CATEGORY_ZP:
      return kSpace;
    default:
      return kOther;
  }
}

struct Decoded {
  uint32_t code = 0;
  size_t bytes = 0;
};

/// Rejects overlong forms, surrogates and codes past U+10FFFF (Unicode 15, table 3-7).
Decoded decode(std::string_view text, size_t at) {
  const auto byte = [&](size_t i) { return uint8_t(text[at + i]); };
  const size_t left = text.size() - at;
  const uint8_t lead = byte(0);
  if (lead < 0x80) return {lead, 1};
  const size_t bytes = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
  if (lead < 0xC2 || lead > 0xF4 || left < bytes) return {};
  uint32_t code = lead & (0x7Fu >> bytes);
  for (size_t i = 1; i < bytes; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return {};
    code = code << 6 | (byte(i) & 0x3Fu);
  }
  const bool overlong = (bytes == 3 && code < 0x800) || (bytes == 4 && code < 0x10000);
  if (overlong || (code >= 0xD800 && code < 0xE000) || code > 0x10FFFF) return {};
  return {code, bytes};
}

}  // namespace

size_t utf8_length(std::string_view text, size_t at) {
  return at < text.size() ? decode(text, at).bytes : 0;
}

size_t valid_utf8(std::string_view text) {
  size_t at = 0;
  while (const size_t bytes = utf8_length(text, at)) at += bytes;
  return at;
}

std::string fold_case(std::string_view text) {
  std::string folded;
  folded.reserve(text.size());
  for (size_t at = 0; at < text.size();) {
    const Decoded decoded = decode(text, at);
    if (decoded.bytes == 0) {
      folded.push_back(text[at++]);
      continue;
    }
    // Through the upper case: some letters, such as the final sigma, have two lower ones.
    const auto upper = utf8proc_toupper(utf8proc_int32_t(decoded.code));
    utf8proc_uint8_t bytes[4];
    const auto length = utf8proc_encode_char(utf8proc_tolower(upper), bytes);
    folded.append(reinterpret_cast<const char*>(bytes), size_t(length));
    at += decoded.bytes;
  }
  return folded;
}

Char char_at(std::string_view text, size_t at) {
  if (at >= text.size()) return {};
  const auto lead = uint8_t(text[at]);
  if (lead < 0x80) return {lead, kAscii[lead], 1, true};
  const Decoded decoded = decode(text, at);
  if (decoded.bytes == 0) return {0xFFFD, kSymbol, 1, false};
  return {decoded.code, class_of(decoded.code), uint8_t(decoded.bytes), true};
}

}  // namespace pumice::text
