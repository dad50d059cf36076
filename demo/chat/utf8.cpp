#include "utf8.h"

#include <array>

namespace pumice::chat {

uint32_t next_code_point(std::string_view& text) {
  const auto byte = [&](size_t at) { return static_cast<unsigned char>(text[at]); };
  const uint32_t lead = byte(0);
  const size_t more = lead < 0x80   ? 0
                      : lead < 0xC2 ? 9
                      : lead < 0xE0 ? 1
                      : lead < 0xF0 ? 2
                      : lead < 0xF5 ? 3
                                    : 9;
  uint32_t code = more == 0 ? lead : lead & (0x3Fu >> more);
  for (size_t i = 1; more < 9 && i <= more; ++i) {
    if (i >= text.size() || (byte(i) & 0xC0) != 0x80) {
      text.remove_prefix(i);
      return 0xFFFD;
    }
    code = code << 6 | (byte(i) & 0x3Fu);
  }
  text.remove_prefix(more == 9 ? 1 : more + 1);
  return more == 9 ? 0xFFFD : code;
}

void append_utf8(std::string& out, uint32_t code) {
  if (code < 0x80) {
    out += static_cast<char>(code);
    return;
  }
  const int more = code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
  constexpr std::array<int, 4> kLead = {0, 0xC0, 0xE0, 0xF0};
  out += static_cast<char>(kLead[static_cast<size_t>(more)] | static_cast<int>(code >> (6 * more)));
  for (int i = more - 1; i >= 0; --i)
    out += static_cast<char>(0x80 | static_cast<int>((code >> (6 * i)) & 0x3F));
}

}  // namespace pumice::chat
