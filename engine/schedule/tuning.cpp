// Lines of "key value"; the last one holds the checksum of all before it.
#include "engine/schedule/tuning.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <span>

#include "engine/base/fnv.h"

namespace pumice {
namespace {

constexpr std::string_view kHeader = "# pumice device profile, version 1";
constexpr std::string_view kAnyHeader = "# pumice device profile, version ";
constexpr std::string_view kCheck = "check ";

std::string hexadecimal(std::span<const uint8_t> bytes) {
  std::string text;
  for (const uint8_t byte : bytes) text += fmt::format("{:02x}", byte);
  return text;
}

std::string driver_key(const Capabilities& caps) {
  return fmt::format("{} {:08x}", hexadecimal(caps.driver_uuid), caps.driver_version);
}

std::string check_line(std::string_view text) {
  return fmt::format("{}{:016x}\n", kCheck, Fnv().add(text).value());
}

/// In the order of ActivationType.
constexpr std::array<std::string_view, 3> kActivations = {"auto", "f32", "q8"};

struct NumberRow {
  std::string_view key;
  uint32_t Tuning::*field;
  std::array<uint32_t, 8> allowed;  ///< 0 is, always
};

constexpr std::array kNumbers = {
    NumberRow{"tiles", &Tuning::tiles, {1, 2, 4}},
    NumberRow{"columns", &Tuning::columns, {1, 2, 4, 8}},
    NumberRow{"tiled_from", &Tuning::tiled_from, {8, 16, 32, 64, 128, 256, 512, 4096}},
};

Result<void> set_field(std::string_view key, std::string_view value, size_t line, Tuning& tuning) {
  if (key == "activations") {
    const auto found = std::find(kActivations.begin(), kActivations.end(), value);
    if (found == kActivations.end())
      return fail(ErrorCode::BadFile, "line {}: activations are auto, f32 or q8", line);
    tuning.activations = ActivationType(found - kActivations.begin());
    return {};
  }
  for (const NumberRow& row : kNumbers) {
    if (row.key != key) continue;
    uint32_t number = 0;
    const char* end = value.data() + value.size();
    const auto [stop, error] = std::from_chars(value.data(), end, number);
    if (error != std::errc() || stop != end ||
        (number != 0 &&
         std::find(row.allowed.begin(), row.allowed.end(), number) == row.allowed.end()))
      return fail(ErrorCode::BadFile, "line {}: no kernel has such {}", line, key);
    tuning.*row.field = number;
    return {};
  }
  return fail(ErrorCode::BadFile, "line {}: unknown key", line);
}

/// The text without its checksum, which is right.
Result<std::string_view> checked(std::string_view text) {
  const size_t at = text.rfind("\n" + std::string(kCheck));
  if (at == std::string_view::npos)
    return fail(ErrorCode::BadFile, "it has no checksum: it is not whole");
  const std::string_view body = text.substr(0, at + 1);
  if (text.substr(at + 1) == check_line(body)) return body;
  return fail(ErrorCode::BadFile, "its checksum is wrong: it is damaged");
}

}  // namespace

std::string profile_name(const Capabilities& caps) {
  return fmt::format("profile-{}.txt", hexadecimal(caps.device_uuid));
}

std::string profile_text(const Capabilities& caps, const Tuning& tuning) {
  std::string name = caps.device_name;
  std::replace_if(
      name.begin(), name.end(), [](char c) { return c == '\n' || c == '\r'; }, ' ');
  std::string text = fmt::format("{}\n# {}\ndevice {}\ndriver {}\nactivations {}\n", kHeader, name,
                                 hexadecimal(caps.device_uuid), driver_key(caps),
                                 kActivations[size_t(tuning.activations)]);
  for (const NumberRow& row : kNumbers) text += fmt::format("{} {}\n", row.key, tuning.*row.field);
  return text + check_line(text);
}

Result<Tuning> parse_profile(std::string_view text, const Capabilities& caps) {
  if (!text.starts_with(kAnyHeader))
    return fail(ErrorCode::BadFile, "line 1: no device profile of pumice");
  if (!text.starts_with(std::string(kHeader) + "\n"))
    return fail(ErrorCode::Unsupported, "line 1: a profile of another version of the format");
  PUMICE_TRY_ASSIGN(std::string_view rest, checked(text));
  Tuning tuning;
  bool device = false, driver = false;
  for (size_t line = 1; !rest.empty(); ++line) {
    const size_t end = rest.find('\n');  // the checked text ends with one
    const std::string_view row = rest.substr(0, end);
    rest.remove_prefix(end + 1);
    if (row.starts_with('#')) continue;
    const size_t space = std::min(row.find(' '), row.size());
    const std::string_view key = row.substr(0, space);
    const std::string_view value = row.substr(std::min(space + 1, row.size()));
    if (key == "device") {
      device = value == hexadecimal(caps.device_uuid);
    } else if (key == "driver") {
      driver = value == driver_key(caps);
    } else {
      PUMICE_TRY(set_field(key, value, line, tuning));
    }
  }
  if (!device || !driver)
    return fail(ErrorCode::Unsupported, "it is of another {}", device ? "driver" : "device");
  return tuning;
}

}  // namespace pumice
