// Super-blocks of groups with integer scales and minimums: value = d * scale * code - dmin *
// minimum. Part of the fit kernels: see lanes.h.
#pragma once

#include "engine/quant/search_affine.h"

namespace pumice::quant::PUMICE_LANES_NAMESPACE {

struct MinimumSuper {
  F d, dmin, error;
  F scale[16], minimum[16];  ///< integers
};

/// What a group aims at: its (scale, offset), and its mean code, around which a change of scale
/// turns.
struct AffineTarget {
  F scale, offset, mean_code;
};

/// The integer pairs within the windows around the target, by the error that the decoder will see.
inline void assign_pair(const AffineGroup& group, const AffineTarget& target, const FitPlan& plan,
                        MinimumSuper& out, int index) {
  const F center = nearest_integer(target.scale * reciprocal(out.d), 0, plan.scale_high);
  const F inverse_min = reciprocal(out.dmin);
  F least = splat(1e30f);
  out.scale[index] = out.minimum[index] = splat(0);
  for (int i = -plan.scale_window; i <= plan.scale_window; ++i) {
    const F scale_code = clamp(center + float(i), 0, plan.scale_high);
    const F scale = out.d * scale_code;
    const F offset = target.offset + (target.scale - scale) * target.mean_code;
    const F min_center = nearest_integer(-offset * inverse_min, 0, plan.minimum_high);
    for (int j = -plan.minimum_window; j <= plan.minimum_window; ++j) {
      const F min_code = clamp(min_center + float(j), 0, plan.minimum_high);
      const F tried = affine_error(group.x, group.w, scale, -(out.dmin * min_code), plan);
      const I better = tried < least;
      least = better ? tried : least;
      out.scale[index] = better ? scale_code : out.scale[index];
      out.minimum[index] = better ? min_code : out.minimum[index];
    }
  }
  out.error += least;
}

inline MinimumSuper assign_super(const AffineGroup* groups, const AffineTarget* targets, F d,
                                 F dmin, const FitPlan& plan) {
  MinimumSuper out;
  out.d = d;
  out.dmin = dmin;
  out.error = splat(0);
  for (int group = 0; group < plan.groups; ++group)
    assign_pair(groups[group], targets[group], plan, out, group);
  return out;
}

inline void keep_better(MinimumSuper& best, const MinimumSuper& tried, int groups) {
  const I better = tried.error < best.error;
  best.d = better ? tried.d : best.d;
  best.dmin = better ? tried.dmin : best.dmin;
  best.error = better ? tried.error : best.error;
  for (int group = 0; group < groups; ++group) {
    best.scale[group] = better ? tried.scale[group] : best.scale[group];
    best.minimum[group] = better ? tried.minimum[group] : best.minimum[group];
  }
}

/// Least squares over (d, dmin) for the codes that `now` gives; also what each group aims at next.
inline void refit_super(const AffineGroup* groups, const MinimumSuper& now, const FitPlan& plan,
                        F* d, F* dmin, AffineTarget* targets) {
  F a = splat(0), b = splat(0), c = splat(0), x = splat(0), y = splat(0);
  for (int group = 0; group < plan.groups; ++group) {
    const AffineGroup& from = groups[group];
    const F s = now.scale[group], m = now.minimum[group];
    const F scale = now.d * s, offset = -(now.dmin * m);
    const AffineSums sums = affine_sums(from.x, from.w, scale, offset, plan);
    a += s * s * sums.qq;
    b += s * m * sums.q;
    c += m * m * from.sum_w;
    x += s * sums.xq;
    y += m * from.sum_x;
    targets[group] = {scale, offset, sums.q / from.sum_w};
  }
  // minimises |x - d s q + dmin m|^2
  const F determinant = a * c - b * b;
  const I joint = determinant > 1e-6f * a * c;
  const F divisor = joint ? determinant : splat(1);
  const F joint_d = (x * c - y * b) / divisor, joint_min = (x * b - y * a) / divisor;
  *d = joint ? joint_d : ratio(x, a, now.d);
  *dmin = joint ? joint_min : now.dmin;
}

struct SuperTargets {
  AffineTarget group[16];
  F scale[16], minimum[16];  ///< what d and dmin divide
  /// How much the error of a group grows with a change of its scale, the offset following, and of
  /// its offset.
  F scale_weight[16], minimum_weight[16];
};

inline void set_target(SuperTargets& out, int index, const AffineGroup& group, const Affine& best,
                       const FitPlan& plan) {
  const AffineSums sums = affine_sums(group.x, group.w, best.scale, best.offset, plan);
  const F mean_code = sums.q / group.sum_w;
  out.group[index] = {best.scale, best.offset, mean_code};
  out.scale[index] = best.scale;
  out.minimum[index] = -best.offset;
  out.scale_weight[index] = sums.qq - mean_code * sums.q;
  out.minimum_weight[index] = group.sum_w;
}

/// The best of the segments' choices of d and dmin, with windows around the groups' optimums.
inline MinimumSuper search_super(const LaneBlock& block, const AffineGroup* groups,
                                 const SuperTargets& targets, const FitPlan& plan) {
  const IntegerRange scales = {0, plan.scale_high}, minimums = {0, plan.minimum_high};
  MinimumSuper best;
  for (int i = 0; i < plan.segments * plan.segments; ++i) {
    const float of_d = plan.divisor_first - float(i / plan.segments * plan.divisors);
    const float of_min = plan.divisor_first - float(i % plan.segments * plan.divisors);
    const F d = shared_step(block, targets.scale, targets.scale_weight, plan.groups, scales, of_d,
                            plan.divisors);
    const F dmin = shared_step(block, targets.minimum, targets.minimum_weight, plan.groups,
                               minimums, of_min, plan.divisors);
    const MinimumSuper tried = assign_super(groups, targets.group, d, dmin, plan);
    if (i == 0) best = tried;
    keep_better(best, tried, plan.groups);
  }
  return best;
}

inline MinimumSuper fit_minimum_super(const LaneBlock& block, const FitPlan& plan) {
  AffineGroup groups[16];
  SuperTargets targets;
  for (int index = 0; index < plan.groups; ++index) {
    groups[index] = affine_group(block, index, plan);
    const Affine best = search_affine(block, groups[index], false, plan);
    set_target(targets, index, groups[index], best, plan);
  }
  MinimumSuper best = search_super(block, groups, targets, plan);
  for (int round = 0; round < plan.rounds; ++round) {
    F d, dmin;
    refit_super(groups, best, plan, &d, &dmin, targets.group);
    d = storable_step(block, d);
    dmin = storable_step(block, dmin);
    keep_better(best, assign_super(groups, targets.group, d, dmin, plan), plan.groups);
  }
  return best;
}

}  // namespace pumice::quant::PUMICE_LANES_NAMESPACE
