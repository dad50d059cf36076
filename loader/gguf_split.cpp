// Owns the form of the names of split models.
#include "loader/gguf_split.h"

#include <fmt/format.h>

#include <charconv>

namespace pumice {
namespace {

constexpr size_t kDigits = 5;
constexpr std::string_view kOf = "-of-";
constexpr std::string_view kExtension = ".gguf";

/// The five digits that `text` ends with, taken off it.
std::optional<uint32_t> take_number(std::string_view& text) {
  if (text.size() < kDigits) return std::nullopt;
  const std::string_view digits = text.substr(text.size() - kDigits);
  if (digits.find_first_not_of("0123456789") != std::string_view::npos) return std::nullopt;
  uint32_t value = 0;
  std::from_chars(digits.data(), digits.data() + digits.size(), value);
  text.remove_suffix(kDigits);
  return value;
}

bool take_suffix(std::string_view& text, std::string_view suffix) {
  if (!text.ends_with(suffix)) return false;
  text.remove_suffix(suffix.size());
  return true;
}

}  // namespace

std::optional<SplitPath> parse_split_path(std::string_view path) {
  if (!take_suffix(path, kExtension)) return std::nullopt;
  const auto count = take_number(path);
  if (!count || !take_suffix(path, kOf)) return std::nullopt;
  const auto number = take_number(path);
  if (!number || !take_suffix(path, "-")) return std::nullopt;
  if (*number < 1 || *number > *count) return std::nullopt;
  return SplitPath{std::string(path), *number, *count};
}

std::string split_path(const SplitPath& split, uint32_t number) {
  return fmt::format("{}-{:05}-of-{:05}.gguf", split.prefix, number, split.count);
}

}  // namespace pumice
