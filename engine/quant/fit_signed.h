// Scale search of the types without a minimum: value = scale * level. Part of the fit kernels: see
// lanes.h.
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
    constexpr float kLevels[16] = {-127, -104, -83, -65, -49, -35, -22, -10,
                                   1,    13,   25,  38,  53,  69,  89,  113};
    F level = splat(kLevels[0]);
#pragma GCC unroll 15
    for (int k = 1; k < 16; ++k)
      level = t > 0.5f * (kLevels[k - 1] + kLevels[k]) ? splat(kLevels[k]) : level;
    return level;
  } else {
    constexpr float kLevels[8] = {0, 1, 2, 3, 4, 6, 8, 12};
    const F size = magnitude(t);
    F level = splat(0);
#pragma GCC unroll 7
    for (int k = 1; k < 8; ++k)
      level = size > 0.5f * (kLevels[k - 1] + kLevels[k]) ? splat(kLevels[k]) : level;
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

struct SignedSuper {
  F d, error;
  F scale[16];  ///< integers
};

/// The integer scales within the window around each target, by the error that the decoder will see.
template <LevelKind kKind>
inline void assign_scales(const LaneBlock& block, const F* target, F d, const FitPlan& plan,
                          int group, F* scale, F* error) {
  const F center = nearest_integer(*target * reciprocal(d), plan.scale_low, plan.scale_high);
  for (int step = -plan.scale_window; step <= plan.scale_window; ++step) {
    const F candidate = clamp(center + float(step), plan.scale_low, plan.scale_high);
    const int first = group * plan.group_weights;
    const F tried = signed_error<kKind>(block.x + first, block.w + first, d * candidate, plan);
    const I better = tried < *error;
    *error = better ? tried : *error;
    *scale = better ? candidate : *scale;
  }
}

template <LevelKind kKind>
inline SignedSuper assign_super(const LaneBlock& block, const F (*targets)[16], int n_targets, F d,
                                const FitPlan& plan) {
  SignedSuper out;
  out.d = d;
  out.error = splat(0);
  for (int group = 0; group < plan.groups; ++group) {
    out.scale[group] = splat(0);
    F error = splat(1e30f);
    for (int k = 0; k < n_targets; ++k)
      assign_scales<kKind>(block, &targets[k][group], d, plan, group, &out.scale[group], &error);
    out.error += error;
  }
  return out;
}

inline void keep_better(SignedSuper& best, const SignedSuper& tried, int groups) {
  const I better = tried.error < best.error;
  best.d = better ? tried.d : best.d;
  best.error = better ? tried.error : best.error;
  for (int group = 0; group < groups; ++group)
    best.scale[group] = better ? tried.scale[group] : best.scale[group];
}

/// The d of least squares for the codes that `now` gives, as a file can hold it.
template <LevelKind kKind>
inline F refit_super(const LaneBlock& block, const SignedSuper& now, const FitPlan& plan) {
  F qq = splat(0), xq = splat(0);
  for (int group = 0; group < plan.groups; ++group) {
    const int first = group * plan.group_weights;
    const F scale = now.scale[group];
    const SignedSums sums =
        signed_sums<kKind>(block.x + first, block.w + first, now.d * scale, plan);
    qq += scale * scale * sums.qq;
    xq += scale * sums.xq;
  }
  return storable_step(block, ratio(xq, qq, now.d));
}

/// What d divides, and how much the error of a group grows with a change of its scale.
struct SignedTargets {
  F up_down[2][16];  ///< the best scale of either sign
  F scale[16];       ///< the better of the two
  F weight[16];
};

template <LevelKind kKind>
inline void set_target(SignedTargets& out, int group, const LaneBlock& block, const FitPlan& plan) {
  const int first = group * plan.group_weights;
  const SignedScale up = search_scale<kKind>(block, first, 1, false, plan);
  const SignedScale down = search_scale<kKind>(block, first, -1, false, plan);
  out.up_down[0][group] = up.scale;
  out.up_down[1][group] = down.scale;
  out.scale[group] = up.error <= down.error ? up.scale : down.scale;
  out.weight[group] =
      signed_sums<kKind>(block.x + first, block.w + first, out.scale[group], plan).qq;
}

template <LevelKind kKind>
inline SignedSuper fit_signed_super(const LaneBlock& block, const FitPlan& plan) {
  SignedTargets targets;
  for (int group = 0; group < plan.groups; ++group) set_target<kKind>(targets, group, block, plan);
  SignedSuper best;
  for (int i = 0; i < plan.segments; ++i) {
    const F d = shared_step(block, targets.scale, targets.weight, plan.groups,
                            {plan.scale_low, plan.scale_high},
                            plan.divisor_first - float(i * plan.divisors), plan.divisors);
    const SignedSuper tried = assign_super<kKind>(block, targets.up_down, 2, d, plan);
    if (i == 0) best = tried;
    keep_better(best, tried, plan.groups);
  }
  for (int round = 0; round < plan.rounds; ++round) {
    for (int group = 0; group < plan.groups; ++group)
      targets.up_down[0][group] = best.d * best.scale[group];
    const F d = refit_super<kKind>(block, best, plan);
    keep_better(best, assign_super<kKind>(block, targets.up_down, 1, d, plan), plan.groups);
  }
  return best;
}

struct ExponentFit {
  I exponent;  ///< the stored byte
};

/// The power of two of least error among those near the largest weight's.
inline ExponentFit fit_exponent(const LaneBlock& block, const FitPlan& plan) {
  ExponentFit best = {I{}};
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
    best.exponent = better ? byte : best.exponent;
  }
  return best;
}

}  // namespace pumice::quant::PUMICE_LANES_NAMESPACE
