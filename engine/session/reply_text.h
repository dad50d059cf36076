// The visible text of a reply as its tokens come: whole characters, nothing of a stop text.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "engine/text/stop_matcher.h"
#include "engine/text/stream_decoder.h"

namespace pumice {

class ReplyText {
 public:
  /// `trims_front`: formats differ in the white space before an answer, and a reader needs none.
  ReplyText(const Tokenizer& tokenizer, const std::vector<std::string>& stops, bool trims_front)
      : decoder_(tokenizer), matcher_(stops), trims_(trims_front) {}

  /// What became certain with this token.
  [[nodiscard]] std::string push(int32_t token) {
    return trimmed(matcher_.push(decoder_.push(token)));
  }
  /// What was held back, now that nothing follows.
  [[nodiscard]] std::string flush() {
    const std::string rest = matcher_.push(decoder_.flush());
    return trimmed(rest + matcher_.flush());
  }
  [[nodiscard]] bool stopped() const { return matcher_.stopped(); }  ///< by a stop text

 private:
  std::string trimmed(std::string text) {
    if (!trims_ || text.empty()) return text;
    text.erase(0, std::min(text.find_first_not_of(" \n"), text.size()));
    trims_ = text.empty();
    return text;
  }

  StreamDecoder decoder_;
  StopMatcher matcher_;
  bool trims_;
};

}  // namespace pumice
