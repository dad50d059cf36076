#include "last_number.h"

#include <charconv>

namespace pumice::command {
namespace {

bool is_word(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

}  // namespace

std::optional<double> last_number(std::string_view text) {
  std::optional<double> last;
  for (size_t i = 0; i < text.size();) {
    if (text[i] < '0' || text[i] > '9' || (i > 0 && (is_word(text[i - 1]) || text[i - 1] == '.'))) {
      ++i;
      continue;
    }
    double value = 0;
    const char* end = text.data() + text.size();
    const auto [after, error] = std::from_chars(text.data() + i, end, value);
    const bool alone = after == end || !is_word(*after);
    const bool negative = i > 0 && text[i - 1] == '-';
    if (error == std::errc() && alone) last = negative ? -value : value;
    i = size_t(after - text.data());
    while (i < text.size() && is_word(text[i])) ++i;
  }
  return last;
}

}  // namespace pumice::command
