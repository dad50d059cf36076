// Owns the syntax of recipes and of --tensor-type.
#include "engine/quant/recipe.h"

#include <utility>

#include "loader/mapped_file.h"
#include "loader/printable.h"

namespace pumice::quant {
namespace {

constexpr uint64_t kLongestRecipe = 1u << 20;  // bytes
constexpr size_t kMostWishes = 4096;
constexpr std::string_view kBlank = " \t\r";

std::string_view trimmed(std::string_view text) {
  const size_t first = text.find_first_not_of(kBlank);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kBlank) - first + 1);
}

/// What a line says without its comment.
std::string_view without_comment(std::string_view line) {
  for (size_t at = line.find('#'); at != std::string_view::npos; at = line.find('#', at + 1))
    if (at == 0 || kBlank.find(line[at - 1]) != std::string_view::npos) return line.substr(0, at);
  return line;
}

/// A pattern and a type with one of `separators` between them; the last one counts.
Result<TypeWish> wish_of(std::string_view text, std::string_view separators, std::string place) {
  const size_t at = text.find_last_of(separators);
  const std::string_view pattern = at == std::string_view::npos ? "" : trimmed(text.substr(0, at));
  if (pattern.empty())
    return fail(ErrorCode::BadArgument, "{}: expected a pattern and a type, found \"{}\"", place,
                printable(text, 100));
  auto type = parse_type(trimmed(text.substr(at + 1)));
  if (!type) return fail_in(place, std::move(type.error()));
  auto compiled = Pattern::compile(pattern);
  if (!compiled) return fail_in(place, std::move(compiled.error()));
  return TypeWish{std::move(*compiled), *type, std::move(place)};
}

}  // namespace

Result<QuantType> parse_type(std::string_view name) {
  if (const QuantTypeInfo* row = find_type(name)) return row->type;
  return fail(ErrorCode::BadArgument, "\"{}\" is no type; there are {}", printable(name, 40),
              supported_quant_types());
}

Result<TypeWish> parse_wish(std::string_view text, std::string place) {
  return wish_of(text, "=", std::move(place));
}

Result<std::vector<TypeWish>> parse_recipe(std::string_view text, const std::string& name) {
  std::vector<TypeWish> wishes;
  for (size_t number = 1; !text.empty(); ++number) {
    const size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = trimmed(without_comment(text.substr(0, end)));
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.empty()) continue;
    const bool spaced = line.find_first_of(kBlank) != std::string_view::npos;
    PUMICE_TRY_ASSIGN(TypeWish wish, wish_of(line, spaced ? kBlank : "=",
                                             fmt::format("{}, line {}", name, number)));
    wishes.push_back(std::move(wish));
    if (wishes.size() > kMostWishes)
      return fail(ErrorCode::BadArgument, "{}: more than {} lines", name, kMostWishes);
  }
  if (wishes.empty()) return fail(ErrorCode::BadArgument, "{}: the recipe has no line", name);
  return wishes;
}

Result<std::vector<TypeWish>> read_recipe(const std::string& path) {
  PUMICE_TRY_ASSIGN(const auto source, map_file(path));
  if (source->size() > kLongestRecipe)
    return fail(ErrorCode::BadArgument, "{}: has {} bytes; a recipe has at most {}", source->name(),
                source->size(), kLongestRecipe);
  std::string text(size_t(source->size()), '\0');
  PUMICE_TRY(source->read(0, std::as_writable_bytes(std::span(text))));
  return parse_recipe(text, source->name());
}

}  // namespace pumice::quant
