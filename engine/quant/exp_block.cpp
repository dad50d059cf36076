#include "engine/quant/exp_block.h"

#include <bit>
#include <cstdint>

#include "engine/quant/wide_vectors.h"

namespace pumice::quant {

// x = n ln 2 + r with |r| <= ln(2) / 2; the Taylor polynomial of degree 13 is off by 4e-18 there.
// ln 2 in two parts so that n * kLn2High is exact.
PUMICE_WIDE_VECTORS
void exp_block(const DoubleBlock& x, DoubleBlock& y) {
  constexpr double kLog2e = 1.4426950408889634074, kShift = 0x1.8p52;
  constexpr double kLn2High = 6.93147180369123816490e-01, kLn2Low = 1.90821492927058770002e-10;
  DoubleBlock clamped;  // by a loop of its own: together, compilers make branches of it
  for (size_t i = 0; i < kBlock; ++i) clamped[i] = x[i] < kLeastExponent ? kLeastExponent : x[i];
  for (size_t i = 0; i < kBlock; ++i) {
    const double shifted = clamped[i] * kLog2e + kShift;  // its low bits hold the integer n
    const double n = shifted - kShift;
    const double r = (clamped[i] - n * kLn2High) - n * kLn2Low;
    double p = 1.0 / 6227020800.0;
    p = p * r + 1.0 / 479001600.0;
    p = p * r + 1.0 / 39916800.0;
    p = p * r + 1.0 / 3628800.0;
    p = p * r + 1.0 / 362880.0;
    p = p * r + 1.0 / 40320.0;
    p = p * r + 1.0 / 5040.0;
    p = p * r + 1.0 / 720.0;
    p = p * r + 1.0 / 120.0;
    p = p * r + 1.0 / 24.0;
    p = p * r + 1.0 / 6.0;
    p = p * r + 0.5;
    p = p * r + 1.0;
    p = p * r + 1.0;
    const uint64_t exponent = std::bit_cast<uint64_t>(shifted) << 52;
    y[i] = std::bit_cast<double>(std::bit_cast<uint64_t>(p) + exponent);
  }
}

}  // namespace pumice::quant
