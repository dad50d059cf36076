// A block of weights per lane, normalised so that squares and their sums stay far from the ends of
// f32. Part of the fit kernels: see lanes.h.
#pragma once

#include "engine/quant/lanes.h"

namespace pumice::quant::PUMICE_LANES_NAMESPACE {

struct LaneBlock {
  F x[256];    ///< weight * norm: the block's largest magnitude lies in [1, 2), or all are 0
  F w[256];    ///< weight of the squared error, in [2^-20, 1]
  F unit;      ///< 2^exponent
  F norm;      ///< 2^-exponent
  I exponent;  ///< of the block's largest magnitude
};

union FloatBits {
  float value;
  uint32_t bits;
};

inline float power_of_two(int exponent) {  // of a normal float
  FloatBits pun;
  pun.bits = uint32_t(exponent + 127) << 23;
  return pun.value;
}

/// The largest magnitude, as bits: integers order as the floats do, and their maximum needs no
/// order of evaluation.
inline uint32_t largest_bits(const float* values, int count) {
  uint32_t largest = 0;
  for (int i = 0; i < count; ++i) {
    FloatBits pun;
    pun.value = values[i];
    const uint32_t size = pun.bits & 0x7FFFFFFF;
    largest = size > largest ? size : largest;
  }
  return largest;
}

inline void load_weights(LaneBlock& block, int lane, const float* weights, int count) {
  int exponent = int(largest_bits(weights, count) >> 23) - 127;
  // Below 2^-100 every f16 scale is zero anyway; at 2^127 the norm would be subnormal.
  exponent = exponent < -100 ? -100 : exponent > 126 ? 126 : exponent;
  const float norm = power_of_two(-exponent);
  block.unit[lane] = power_of_two(exponent);
  block.norm[lane] = norm;
  block.exponent[lane] = exponent;
  float* x = reinterpret_cast<float*>(block.x) + lane;
  for (int i = 0; i < count; ++i) x[i * kLanes] = weights[i] * norm;
}

/// The floor of 2^-20 fits the groups that no activation reached like any others, without a say in
/// the super-block. An importance of zero everywhere, or absent, is the plain search.
inline void load_importance(LaneBlock& block, int lane, const float* importance, int count) {
  float* w = reinterpret_cast<float*>(block.w) + lane;
  float largest = 0;
  for (int i = 0; importance && i < count; ++i)
    largest = importance[i] > largest ? importance[i] : largest;
  largest = largest < 1e30f ? largest : 1e30f;
  if (!(largest > 1e-30f)) {
    for (int i = 0; i < count; ++i) w[i * kLanes] = 1.0f;
    return;
  }
  const float norm = 1.0f / largest;
  for (int i = 0; i < count; ++i) {
    float weight = importance[i] * norm;
    weight = weight > 0x1p-20f ? weight : 0x1p-20f;  // negative numbers and NaN as well
    w[i * kLanes] = weight < 1.0f ? weight : 1.0f;
  }
}

/// A scale as the file can hold it, in normalised units.
inline F storable(const LaneBlock& block, F scale) {
  return nearest_half(scale * block.unit) * block.norm;
}

/// Storable, and not zero: groups far below the largest still want steps of the smallest f16.
inline F storable_step(const LaneBlock& block, F scale) {
  const F rounded = nearest_half(scale * block.unit);
  return (rounded == 0.0f ? splat(0x1p-24f) : rounded) * block.norm;
}

inline F sum_of_squares(const F* x, const F* w, int n) {
  F sum = splat(0);
  for (int i = 0; i < n; ++i) sum += w[i] * x[i] * x[i];
  return sum;
}

/// What the integers of a super-block's groups may be.
struct IntegerRange {
  float low, high;
};

/// A common step for `values`: of the steps that put the largest at `divisor`, `divisor` - 1, ...
/// (`count` of them) the one whose multiples lie nearest, errors weighed by `weights`.
inline F shared_step(const LaneBlock& block, const F* values, const F* weights, int groups,
                     IntegerRange range, float divisor, int count) {
  F largest = splat(0);
  for (int group = 0; group < groups; ++group) largest = larger(largest, magnitude(values[group]));
  F best = largest, least = splat(1e30f);
  for (int k = 0; k < count; ++k) {
    const F step = largest * (1.0f / (divisor - float(k)));
    const F inverse = reciprocal(step);
    F error = splat(0);
    for (int group = 0; group < groups; ++group) {
      const F integer = nearest_integer(values[group] * inverse, range.low, range.high);
      const F rest = values[group] - integer * step;
      error += weights[group] * (rest * rest);
    }
    const I better = error < least;
    least = better ? error : least;
    best = better ? step : best;
  }
  return storable_step(block, best);
}

}  // namespace pumice::quant::PUMICE_LANES_NAMESPACE
