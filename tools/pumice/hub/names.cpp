// Owns the rules for names; everything that a hub or a user says passes here before it is a path
// or part of an address.
#include "tools/pumice/hub/names.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <iterator>

#include "loader/printable.h"

namespace pumice::hub {
namespace {

constexpr size_t kLongestName = 96;   // the hub's own limit
constexpr size_t kLongestPart = 200;  // bytes; file systems take 255, and we append endings
constexpr size_t kLongestPath = 1000;

bool is_digit_or_letter(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

bool is_word(std::string_view text) {
  const auto allowed = [](char c) {
    return is_digit_or_letter(c) || c == '.' || c == '_' || c == '-';
  };
  return !text.empty() && text.size() <= kLongestName && is_digit_or_letter(text[0]) &&
         text.back() != '.' && std::all_of(text.begin(), text.end(), allowed) &&
         text.find("..") == std::string_view::npos;
}

/// "nul", "COM1.gguf": Windows opens a device, in whatever folder.
bool is_device_name(std::string_view part) {
  std::string name = lower_case(part.substr(0, part.find('.')));
  while (name.ends_with(' ')) name.pop_back();
  if (name.size() == 4 && name[3] >= '0' && name[3] <= '9') name[3] = '1';
  constexpr std::array kDevices = {"con", "prn", "aux", "nul", "com1", "lpt1"};
  return std::find(kDevices.begin(), kDevices.end(), name) != kDevices.end();
}

bool is_safe_part(std::string_view part) {
  return !part.empty() && part.size() <= kLongestPart && !part.ends_with('.') &&
         !part.ends_with(' ') && !is_device_name(part);
}

}  // namespace

Result<ModelName> parse_model_name(std::string_view text) {
  const auto bad = [&](const char* what) {
    return fail(ErrorCode::BadArgument,
                "\"{}\" is no model of a hub: {}; expected USER/REPO or USER/REPO:QUANT, for "
                "example someone/Model-1B-GGUF:Q4_K_M",
                printable(text, 200), what);
  };
  const size_t colon = text.find(':');
  const std::string_view repository = text.substr(0, colon);
  const size_t slash = repository.find('/');
  if (slash == std::string_view::npos) return bad("there is no '/'");
  ModelName name{std::string(repository.substr(0, slash)),
                 std::string(repository.substr(slash + 1)),
                 colon == std::string_view::npos ? "" : std::string(text.substr(colon + 1))};
  if (!is_word(name.user)) return bad("USER has characters that no user name has");
  if (!is_word(name.repo)) return bad("REPO has characters that no repository name has");
  if (colon != std::string_view::npos && !is_word(name.quant))
    return bad("QUANT is not a name such as Q4_K_M");
  if (!is_safe_path(name.repository())) return bad("it cannot be the name of a folder");
  return name;
}

bool is_safe_path(std::string_view path) {
  if (path.empty() || path.size() > kLongestPath || !is_clean_utf8(path)) return false;
  if (path.find_first_of("\\:*?\"<>|") != std::string_view::npos) return false;
  for (size_t begin = 0; begin <= path.size();) {
    const size_t end = std::min(path.find('/', begin), path.size());
    const std::string_view part = path.substr(begin, end - begin);
    if (!is_safe_part(part)) return false;
    begin = end + 1;
  }
  return true;
}

std::string url_path(std::string_view path) {
  std::string out;
  for (const char c : path) {
    const bool plain =
        is_digit_or_letter(c) || std::string_view("-._~/").find(c) != std::string_view::npos;
    if (plain)
      out += c;
    else
      fmt::format_to(std::back_inserter(out), "%{:02X}", uint8_t(c));
  }
  return out;
}

bool is_gguf_name(std::string_view path) {
  return path.size() > 5 && lower_case(path.substr(path.size() - 5)) == ".gguf";
}

std::string lower_case(std::string_view text) {
  std::string small(text);
  for (char& c : small)
    if (c >= 'A' && c <= 'Z') c = char(c - 'A' + 'a');
  return small;
}

std::string sha256_text(std::string_view text) {
  std::string small = lower_case(text);
  const bool hexadecimal = small.find_first_not_of("0123456789abcdef") == std::string::npos;
  return small.size() == 64 && hexadecimal ? small : std::string();
}

std::optional<uint64_t> byte_count(std::string_view text) {
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

}  // namespace pumice::hub
