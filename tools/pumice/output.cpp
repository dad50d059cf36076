#include "output.h"

#include <array>
#include <cerrno>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <system_error>

namespace pumice::command {

Outcome write_text(std::string_view text) {
  errno = 0;
  const bool written = std::fwrite(text.data(), 1, text.size(), stdout) == text.size();
  if (written && std::fflush(stdout) == 0) return {};
  if (errno == EPIPE) return tl::unexpected<Failure>(Failure(kDone, ""));
  return tl::unexpected<Failure>(Failure(
      kFailed,
      fmt::format("cannot write to standard output: {}", std::system_category().message(errno))));
}

std::string json_line(const nlohmann::ordered_json& document) {
  return document.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

Outcome write_json(const nlohmann::ordered_json& document) {
  return write_text(document.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) +
                    "\n");
}

std::string printable(std::string_view text, size_t longest) {
  std::string safe(text.substr(0, longest));
  for (char& c : safe)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) c = '?';
  while (safe.size() < text.size() && !safe.empty() &&
         (static_cast<unsigned char>(safe.back()) & 0xC0) == 0x80)
    safe.pop_back();  // a cut character
  if (safe.size() < text.size()) safe += "...";
  return safe;
}

std::string bytes_text(uint64_t bytes) {
  constexpr std::array units = {"B", "KiB", "MiB", "GiB", "TiB"};
  double value = double(bytes);
  size_t unit = 0;
  while (value >= 1024.0 && unit + 1 < units.size()) {
    value /= 1024.0;
    ++unit;
  }
  return unit == 0 ? fmt::format("{} B", bytes) : fmt::format("{:.1f} {}", value, units[unit]);
}

void complain(std::string_view text) {
  std::fflush(stdout);
  std::fprintf(stderr, "pumice: %s\n", printable(text, 4000).c_str());
}

}  // namespace pumice::command
