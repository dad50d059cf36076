// Maximal-subpart decoding with a tail that is kept for the next call.
#include "engine/text/stream_decoder.h"

#include "engine/text/unicode.h"

namespace pumice {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";

struct Start {
  size_t bytes = 1;         ///< of the longest prefix that could begin a character, at least 1
  bool complete = false;    ///< that prefix is a whole character
  bool wants_more = false;  ///< the text ends inside of it
};

/// What stands at `at`: Unicode 15, table 3-7.
Start start_at(std::string_view text, size_t at) {
  if (const size_t n = text::utf8_length(text, at)) return {n, true, false};
  const auto lead = uint8_t(text[at]);
  if (lead < 0xC2 || lead > 0xF4) return {};
  const size_t wanted = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
  size_t n = 1;
  for (; n < wanted && at + n < text.size(); ++n) {
    const auto byte = uint8_t(text[at + n]);
    uint8_t low = 0x80, high = 0xBF;
    if (n == 1) {
      if (lead == 0xE0) low = 0xA0;
      if (lead == 0xED) high = 0x9F;
      if (lead == 0xF0) low = 0x90;
      if (lead == 0xF4) high = 0x8F;
    }
    if (byte < low || byte > high) return {n, false, false};
  }
  return {n, false, true};
}

}  // namespace

std::string Utf8Stream::push(std::string_view bytes) {
  tail_.append(bytes);
  std::string out;
  size_t at = 0;
  while (at < tail_.size()) {
    const Start start = start_at(tail_, at);
    if (start.wants_more) break;
    out.append(start.complete ? std::string_view(tail_).substr(at, start.bytes) : kReplacement);
    at += start.bytes;
  }
  tail_.erase(0, at);
  return out;
}

std::string Utf8Stream::flush() {
  const bool incomplete = !tail_.empty();
  tail_.clear();
  return std::string(incomplete ? kReplacement : "");
}

}  // namespace pumice
