// exp for the sums of a softmax: a block of doubles at a time, so that compilers use vectors, and
// the same bits whatever vectors a machine has.
#pragma once

#include <array>
#include <cstddef>

namespace pumice::quant {

inline constexpr size_t kBlock = 64;
using DoubleBlock = std::array<double, kBlock>;

/// y = exp(x) for x <= 0, within 1e-15 relative. Below kLeastExponent as there: 1e-304 is nothing
/// in any sum that begins at 1.
void exp_block(const DoubleBlock& x, DoubleBlock& y);
inline constexpr double kLeastExponent = -700.0;

/// Sum of a block's numbers, in order.
[[nodiscard]] inline double total(const DoubleBlock& block) {
  double sum = 0;
  for (const double x : block) sum += x;
  return sum;
}

}  // namespace pumice::quant
