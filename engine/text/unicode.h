// UTF-8 decoding and the few character classes that pre-tokenizers ask for. Invalid bytes decode as
// one-byte symbols, so every byte string is a sequence of characters whose lengths add up to it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace pumice::text {

/// One bit per class; a character has exactly one, so that sets of classes are masks.
namespace char_class {
// clang-format off
inline constexpr uint16_t kOther       = 1 << 0;  ///< controls, unassigned, private use
inline constexpr uint16_t kUpper       = 1 << 1;  ///< Lu, Lt
inline constexpr uint16_t kLower       = 1 << 2;  ///< Ll
inline constexpr uint16_t kCaseless    = 1 << 3;  ///< Lm, Lo
inline constexpr uint16_t kMark        = 1 << 4;  ///< M*
inline constexpr uint16_t kNumber      = 1 << 5;  ///< N*
inline constexpr uint16_t kPunctuation = 1 << 6;  ///< P*
inline constexpr uint16_t kSymbol      = 1 << 7;  ///< S*
inline constexpr uint16_t kSpace       = 1 << 8;  ///< the property White_Space
// clang-format on
inline constexpr uint16_t kLetter = kUpper | kLower | kCaseless;
}  // namespace char_class

struct Char {
  uint32_t code = 0;     ///< U+FFFD where the byte is not valid UTF-8
  uint16_t classes = 0;  ///< one bit of char_class; 0 past the end
  uint8_t bytes = 0;     ///< 0 past the end
  bool valid = false;

  [[nodiscard]] bool is(uint16_t mask) const { return (classes & mask) != 0; }
};

/// Length of the valid UTF-8 character at `at` (1..4), or 0 if there is none.
[[nodiscard]] size_t utf8_length(std::string_view text, size_t at);

/// Bytes in front of the first that is no part of a valid character; text.size() if all are.
[[nodiscard]] size_t valid_utf8(std::string_view text);

/// Text in which letters of both cases are one: simple case folding, characters of invalid bytes as
/// they are.
[[nodiscard]] std::string fold_case(std::string_view text);

/// The character at `at`; past the end one with no class, no code and no bytes.
[[nodiscard]] Char char_at(std::string_view text, size_t at);

}  // namespace pumice::text
