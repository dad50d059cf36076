// Unsigned arithmetic that says when it does not fit. Sizes from a file pass through here only.
#pragma once

#include <cstdint>
#include <optional>

namespace pumice {

[[nodiscard]] constexpr std::optional<uint64_t> checked_add(uint64_t a, uint64_t b) {
  if (a > UINT64_MAX - b) return std::nullopt;
  return a + b;
}

[[nodiscard]] constexpr std::optional<uint64_t> checked_mul(uint64_t a, uint64_t b) {
  if (a != 0 && b > UINT64_MAX / a) return std::nullopt;
  return a * b;
}

/// `alignment` is a power of two.
[[nodiscard]] constexpr std::optional<uint64_t> checked_align_up(uint64_t value,
                                                                 uint64_t alignment) {
  const auto padded = checked_add(value, alignment - 1);
  if (!padded) return std::nullopt;
  return *padded & ~(alignment - 1);
}

/// For sizes that are already known to be small.
template <class T>
[[nodiscard]] constexpr T align_up(T value, T alignment) {
  return (value + alignment - 1) / alignment * alignment;
}

template <class T>
[[nodiscard]] constexpr T div_up(T value, T divisor) {
  return (value + divisor - 1) / divisor;
}

}  // namespace pumice
