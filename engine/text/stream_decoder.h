// Output as it is produced: token ids in, whole UTF-8 characters out.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "engine/text/tokenizer.h"

namespace pumice {

/// Bytes in any cuts in, valid UTF-8 out. What cannot become a character is U+FFFD, one for each
/// longest start of a character (Unicode 15, section 3.9).
class Utf8Stream {
 public:
  [[nodiscard]] std::string push(std::string_view bytes);
  /// U+FFFD for a character that never completed, or nothing; ready for another text.
  [[nodiscard]] std::string flush();

 private:
  std::string tail_;  ///< at most three bytes of an incomplete character
};

class StreamDecoder {
 public:
  /// `render_special` writes the texts of control tokens. The tokenizer is kept (copies are cheap).
  explicit StreamDecoder(Tokenizer tokenizer, bool render_special = false)
      : tokenizer_(std::move(tokenizer)), render_special_(render_special) {}

  [[nodiscard]] std::string push(int32_t token) {
    if (!render_special_ && tokenizer_.is_control(token)) return {};
    return stream_.push(tokenizer_.piece(token));
  }
  [[nodiscard]] std::string flush() { return stream_.flush(); }

 private:
  Tokenizer tokenizer_;
  bool render_special_;
  Utf8Stream stream_;
};

}  // namespace pumice
