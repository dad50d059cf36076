// 16-bit floats: every value there and back, and rounding against the definition.
#include "engine/base/half.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>

namespace pumice {
namespace {

/// The value of a binary16 by its definition, in double.
double half_by_definition(uint16_t h) {
  const double sign = h & 0x8000 ? -1.0 : 1.0;
  const int exponent = h >> 10 & 31, mantissa = h & 1023;
  if (exponent == 0) return sign * std::ldexp(mantissa, -24);
  return sign * std::ldexp(1024 + mantissa, exponent - 25);
}

bool is_nan16(uint32_t h, uint32_t exponent_bits) {
  return (h & exponent_bits) == exponent_bits && (h & 0x7FFF) != exponent_bits;
}

TEST(Half, EveryValueThereAndBack) {
  for (uint32_t h = 0; h < 65'536; ++h) {
    const float value = half_to_float(uint16_t(h));
    if (is_nan16(h, 0x7C00)) {
      EXPECT_TRUE(std::isnan(value));
      EXPECT_TRUE(is_nan16(float_to_half(value), 0x7C00)) << h;
      continue;
    }
    if ((h & 0x7C00) != 0x7C00) {
      ASSERT_EQ(double(value), half_by_definition(uint16_t(h))) << h;
    }
    ASSERT_EQ(std::signbit(value), (h & 0x8000) != 0) << h;
    ASSERT_EQ(float_to_half(value), h);
  }
  EXPECT_EQ(half_to_float(0x7C00), std::numeric_limits<float>::infinity());
}

TEST(Half, RoundsToNearestEven) {
  // Between every pair of neighbours: the middle goes to the even one, beside it to the nearer.
  for (uint32_t h = 0; h < 0x7BFF; ++h) {
    const float below = half_to_float(uint16_t(h)), above = half_to_float(uint16_t(h + 1));
    const float middle = below + (above - below) / 2;  // exact in f32
    ASSERT_EQ(float_to_half(middle), h & 1 ? h + 1 : h) << h;
    ASSERT_EQ(float_to_half(std::nextafter(middle, below)), h) << h;
    ASSERT_EQ(float_to_half(std::nextafter(middle, above)), h + 1) << h;
    ASSERT_EQ(float_to_half(-middle), (h & 1 ? h + 1 : h) | 0x8000) << h;
  }
  EXPECT_EQ(float_to_half(65'519.996f), 0x7BFF);
  EXPECT_EQ(float_to_half(65'520.0f), 0x7C00);
  EXPECT_EQ(float_to_half(std::numeric_limits<float>::max()), 0x7C00);
  EXPECT_EQ(float_to_half(-std::numeric_limits<float>::infinity()), 0xFC00);
  EXPECT_EQ(float_to_half(std::numeric_limits<float>::denorm_min()), 0);
}

TEST(Bfloat, EveryValueThereAndBack) {
  for (uint32_t b = 0; b < 65'536; ++b) {
    const float value = bfloat_to_float(uint16_t(b));
    ASSERT_EQ(std::bit_cast<uint32_t>(value), b << 16);
    if (is_nan16(b, 0x7F80)) {
      EXPECT_TRUE(is_nan16(float_to_bfloat(value), 0x7F80)) << b;
    } else {
      ASSERT_EQ(float_to_bfloat(value), b);
    }
  }
}

TEST(Bfloat, RoundsToNearestEven) {
  for (uint32_t b = 0; b < 0x7F7F; ++b) {
    const uint32_t bits = b << 16;
    ASSERT_EQ(float_to_bfloat(std::bit_cast<float>(bits | 0x7FFF)), b);
    ASSERT_EQ(float_to_bfloat(std::bit_cast<float>(bits | 0x8000)), b & 1 ? b + 1 : b);
    ASSERT_EQ(float_to_bfloat(std::bit_cast<float>(bits | 0x8001)), b + 1);
  }
  EXPECT_EQ(float_to_bfloat(std::numeric_limits<float>::max()), 0x7F80);
  // A NaN whose payload is in the lost bits stays a NaN.
  EXPECT_TRUE(is_nan16(float_to_bfloat(std::bit_cast<float>(0x7F800001u)), 0x7F80));
}

}  // namespace
}  // namespace pumice
