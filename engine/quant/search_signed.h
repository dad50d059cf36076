// The search for the one scale of a group or a block of weights: value = scale * level. Part of the
// fit kernels: see lanes.h.
#pragma once

#include "engine/quant/fit_plan.h"
#include "engine/quant/lane_block.h"

namespace pumice::quant::PUMICE_LANES_NAMESPACE {

/// The level nearest to t, a weight in units of the scale.
template <LevelKind kKind>
inline F nearest_level(F t, const FitPlan& plan) {
  if constexpr (kKind == LevelKind::Linear) {
    return nearest_integer(t, plan.low, plan.high);
  } else if constexpr (kKind == LevelKind::Iq4) {
    F level = splat(kIq4Levels[0]);
#pragma GCC unroll 15
    for (int k = 1; k < 16; ++k)
      level = t > 0.5f * (kIq4Levels[k - 1] + kIq4Levels[k]) ? splat(kIq4Levels[k]) : level;
    return level;
  } else {
    const F size = magnitude(t);
    F level = splat(0);
#pragma GCC unroll 7
    for (int k = 1; k < 8; ++k)
      level = size > 0.5f * (kE2m1Levels[k - 1] + kE2m1Levels[k]) ? splat(kE2m1Levels[k]) : level;
    return (F)((I)level | ((I)t & INT32_MIN));
  }
}

template <LevelKind kKind>
inline F signed_error(const F* x, const F* w, F scale, const FitPlan& plan) {
  const F inverse = reciprocal(scale);
  F error = splat(0);
  for (int i = 0; i < plan.group_weights; ++i) {
    const F rest = x[i] - nearest_level<kKind>(x[i] * inverse, plan) * scale;
    error += w[i] * (rest * rest);
  }
  return error;
}

struct SignedSums {
  F qq, xq;  ///< weighted sums of q^2 and x q
};

template <LevelKind kKind>
inline SignedSums signed_sums(const F* x, const F* w, F scale, const FitPlan& plan) {
  const F inverse = reciprocal(scale);
  SignedSums sums = {splat(0), splat(0)};
  for (int i = 0; i < plan.group_weights; ++i) {
    const F q = nearest_level<kKind>(x[i] * inverse, plan);
    const F wq = w[i] * q;
    sums.qq += wq * q;
    sums.xq += wq * x[i];
  }
  return sums;
}

struct SignedScale {
  F scale, error;
};

/// The best scale of one sign for one group; `stored` rounds every candidate to f16. Errors are
/// those of the codes before the scale moved, a bound that costs no second pass.
template <LevelKind kKind>
inline SignedScale search_scale(const LaneBlock& block, int first, float sign, bool stored,
                                const FitPlan& plan) {
  const F* x = block.x + first;
  const F* w = block.w + first;
  F largest = splat(0);
  for (int i = 0; i < plan.group_weights; ++i) largest = larger(largest, magnitude(x[i]));
  const F xx = sum_of_squares(x, w, plan.group_weights);
  SignedScale best = {splat(0), xx};
  for (int start = 0; start < plan.starts; ++start) {
    F scale = largest * (sign / (plan.t_first + float(start) * plan.t_step));
    for (int pass = 0; pass < plan.passes; ++pass) {
      const SignedSums sums = signed_sums<kKind>(x, w, scale, plan);
      scale = ratio(sums.xq, sums.qq, scale);
      if (stored) scale = storable(block, scale);
      const F error = xx - scale * (sums.xq + (sums.xq - scale * sums.qq));
      const I better = error < best.error;
      best.error = better ? error : best.error;
      best.scale = better ? scale : best.scale;
    }
  }
  return best;
}

/// One f16 scale for the block.
template <LevelKind kKind>
inline F fit_signed(const LaneBlock& block, const FitPlan& plan) {
  const SignedScale up = search_scale<kKind>(block, 0, 1, true, plan);
  const SignedScale down = search_scale<kKind>(block, 0, -1, true, plan);
  return up.error <= down.error ? up.scale : down.scale;
}

/// The power of two of least error among those near the largest weight's, as the stored byte.
inline I fit_exponent(const LaneBlock& block, const FitPlan& plan) {
  I best = I{};
  F least = splat(1e30f);
  for (int step = -6; step <= -1; ++step) {  // 12 levels of half a unit: 2^-4 holds [1, 1.5)
    // value = level * 2^(byte - 128); up to byte 252 the largest level is finite
    I byte = block.exponent + (128 + step);
    byte = byte < 0 ? I{} : byte > 252 ? I{} + 252 : byte;
    const I power = byte - 128 - block.exponent;
    const F scale = (F)((power + 127) << 23);
    const F tried = signed_error<LevelKind::E2m1>(block.x, block.w, scale, plan);
    const I better = tried < least;
    least = better ? tried : least;
    best = better ? byte : best;
  }
  return best;
}

}  // namespace pumice::quant::PUMICE_LANES_NAMESPACE
