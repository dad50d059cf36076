#include "engine/quant/budget.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <cmath>
#include <string>

#include "loader/printable.h"

namespace pumice::quant {
namespace {

struct Unit {
  std::string_view name;  ///< lower case
  double bytes;
};

constexpr std::array kUnits = {
    Unit{"b", 1},        Unit{"kb", 1e3},     Unit{"mb", 1e6},     Unit{"gb", 1e9},
    Unit{"kib", 0x1p10}, Unit{"mib", 0x1p20}, Unit{"gib", 0x1p30},
};

/// Bytes that one of the unit is worth; 0 for an unknown one.
double unit_bytes(std::string_view unit, const BudgetScale& scale) {
  if (unit == "bpw") return double(scale.weights) / 8.0;
  if (unit == "x") return double(scale.bytes);
  const auto found = std::ranges::find(kUnits, unit, &Unit::name);
  return found == kUnits.end() ? 0.0 : found->bytes;
}

}  // namespace

Result<uint64_t> parse_budget(std::string_view text, const BudgetScale& scale) {
  double number = 0;
  const char* end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, number);
  std::string unit(rest, end);
  std::ranges::transform(unit, unit.begin(), [](unsigned char c) { return char(std::tolower(c)); });
  const double bytes = number * unit_bytes(unit, scale);
  if (error != std::errc() || !std::isfinite(number) || unit_bytes(unit, scale) == 0)
    return fail(ErrorCode::BadArgument,
                "\"{}\" is no budget; say 4.9bpw (bits per weight), 800MiB (or B, kB, MB, GB, KiB, "
                "GiB) or 0.62x (of the model's size)",
                printable(text, 60));
  if (!(bytes >= 1))
    return fail(ErrorCode::BadArgument, "a budget of {} leaves no bytes for the weights",
                printable(text, 60));
  const double most = 4.0 * double(scale.weights);
  if (bytes > most)
    return fail(ErrorCode::BadArgument,
                "a budget of {} is {:.0f} bytes; the {} weights take {:.0f} as f32, so there is "
                "nothing to choose",
                printable(text, 60), bytes, scale.weights, most);
  return uint64_t(bytes);
}

}  // namespace pumice::quant
