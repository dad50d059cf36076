// Super-blocks of groups with signed integer scales: value = d * scale * level. Part of the fit
// kernels: see lanes.h.
#pragma once

#include "engine/quant/search_signed.h"

namespace pumice::quant::PUMICE_LANES_NAMESPACE {

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

}  // namespace pumice::quant::PUMICE_LANES_NAMESPACE
