// 16-bit floats as files and caches hold them: IEEE binary16 and bfloat16, by bits.
#pragma once

#include <bit>
#include <cstdint>

namespace pumice {

/// Exact: every binary16 value, subnormals, infinities and NaN included.
[[nodiscard]] constexpr float half_to_float(uint16_t h) {
  const uint32_t sign = uint32_t(h & 0x8000u) << 16;
  const uint32_t exponent = (h >> 10) & 0x1Fu;
  const uint32_t mantissa = h & 0x3FFu;
  if (exponent == 0x1F) return std::bit_cast<float>(sign | 0x7F800000u | (mantissa << 13));
  if (exponent != 0)
    return std::bit_cast<float>(sign | ((exponent + 112u) << 23) | (mantissa << 13));
  const float magnitude = float(mantissa) * 0x1p-24f;
  return sign ? -magnitude : magnitude;
}

/// Rounds to nearest, ties to even; overflow becomes infinity, NaN stays NaN.
[[nodiscard]] constexpr uint16_t float_to_half(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  const uint16_t sign = uint16_t((bits >> 16) & 0x8000u);
  const uint32_t magnitude = bits & 0x7FFFFFFFu;
  if (magnitude > 0x7F800000u) return uint16_t(sign | 0x7E00u);
  if (magnitude >= 0x47800000u) return uint16_t(sign | 0x7C00u);
  if (magnitude < 0x38800000u) {  // subnormal half: the float adder does the rounding
    const float shifted = std::bit_cast<float>(magnitude) + 0.5f;
    return uint16_t(sign | uint16_t(std::bit_cast<uint32_t>(shifted) - 0x3F000000u));
  }
  const uint32_t odd = (magnitude >> 13) & 1u;
  return uint16_t(sign | uint16_t((magnitude + 0xC8000FFFu + odd) >> 13));
}

[[nodiscard]] constexpr float bfloat_to_float(uint16_t b) {
  return std::bit_cast<float>(uint32_t(b) << 16);
}

/// Rounds to nearest, ties to even; NaN stays quiet NaN.
[[nodiscard]] constexpr uint16_t float_to_bfloat(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  if ((bits & 0x7FFFFFFFu) > 0x7F800000u) return uint16_t((bits >> 16) | 0x40u);
  return uint16_t((bits + 0x7FFFu + ((bits >> 16) & 1u)) >> 16);
}

}  // namespace pumice
