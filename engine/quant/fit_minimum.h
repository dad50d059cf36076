// Scale search of the types with a minimum: value = scale * code + offset, jointly over both. Part
// of the fit kernels: see lanes.h.
#pragma once

#include "engine/quant/fit_plan.h"
#include "engine/quant/lane_block.h"

namespace pumice::quant::PUMICE_LANES_NAMESPACE {

inline F affine_error(const F* x, const F* w, F scale, F offset, const FitPlan& plan) {
  const F inverse = reciprocal(scale);
  F error = splat(0);
  for (int i = 0; i < plan.group_weights; ++i) {
    const F above = x[i] - offset;
    const F rest = above - nearest_integer(above * inverse, 0, plan.high) * scale;
    error += w[i] * (rest * rest);
  }
  return error;
}

struct AffineSums {
  F q, qq, xq;  ///< weighted sums of q, q^2, x q
};

inline AffineSums affine_sums(const F* x, const F* w, F scale, F offset, const FitPlan& plan) {
  const F inverse = reciprocal(scale);
  AffineSums sums = {splat(0), splat(0), splat(0)};
  for (int i = 0; i < plan.group_weights; ++i) {
    const F q = nearest_integer((x[i] - offset) * inverse, 0, plan.high);
    const F wq = w[i] * q;
    sums.q += wq;
    sums.qq += wq * q;
    sums.xq += wq * x[i];
  }
  return sums;
}

/// One group of a block and what of it does not depend on codes.
struct AffineGroup {
  const F* x;
  const F* w;
  F sum_w, sum_x, sum_xx;  ///< weighted sums of 1, x, x^2
  F low, high;  ///< smallest and largest weight; low <= 0 where offsets may not be positive
};

inline AffineGroup affine_group(const LaneBlock& block, int group, const FitPlan& plan) {
  const int first = group * plan.group_weights;
  AffineGroup out = {block.x + first, block.w + first, splat(0), splat(0), splat(0), {}, {}};
  out.low = out.high = out.x[0];
  for (int i = 0; i < plan.group_weights; ++i) {
    out.sum_w += out.w[i];
    out.sum_x += out.w[i] * out.x[i];
    out.sum_xx += out.w[i] * out.x[i] * out.x[i];
    out.low = smaller(out.low, out.x[i]);
    out.high = larger(out.high, out.x[i]);
  }
  if (plan.kind == FitKind::MinimumSuper) out.low = smaller(out.low, splat(0));
  return out;
}

struct Affine {
  F scale, offset, error;
};

/// Least squares over (scale, offset) for the codes behind `sums`; offsets at most 0 where the
/// format stores minimums.
inline void solve_affine(const AffineGroup& group, const AffineSums& sums, const FitPlan& plan,
                         F* scale, F* offset) {
  const F determinant = group.sum_w * sums.qq - sums.q * sums.q;
  const I known = determinant > 1e-6f * group.sum_w * sums.qq;  // else all codes are equal
  const F divisor = known ? determinant : splat(1);
  const F slope = (group.sum_w * sums.xq - group.sum_x * sums.q) / divisor;
  F new_scale = known ? slope : *scale;
  F new_offset = (group.sum_x - new_scale * sums.q) / group.sum_w;
  if (plan.kind == FitKind::MinimumSuper) {
    const I positive = new_offset > 0.0f;
    new_offset = positive ? splat(0) : new_offset;
    new_scale = positive ? ratio(sums.xq, sums.qq, new_scale) : new_scale;
  }
  *scale = new_scale;
  *offset = new_offset;
}

/// The squared error of (scale, offset) with the codes behind `sums`.
inline F affine_error_of(const AffineGroup& group, const AffineSums& sums, F scale, F offset) {
  const F of_scale = scale * (scale * sums.qq - 2.0f * sums.xq);
  const F of_offset = offset * (offset * group.sum_w - 2.0f * group.sum_x);
  return group.sum_xx + of_scale + of_offset + 2.0f * scale * offset * sums.q;
}

/// The best (scale, offset) of one group; `stored` rounds every candidate to f16. Errors are those
/// of the codes before scale and offset moved, a bound that costs no second pass; a stored offset,
/// which may be far larger than the range, has them computed weight by weight.
inline Affine search_affine(const LaneBlock& block, const AffineGroup& group, bool stored,
                            const FitPlan& plan) {
  const F range = group.high - group.low;
  const F flat = stored ? storable(block, group.low) : group.low;
  Affine best = {splat(0), flat, affine_error(group.x, group.w, splat(0), flat, plan)};
  for (int start = 0; start < plan.starts * plan.starts; ++start) {
    const float bottom = plan.t_first + float(start / plan.starts) * plan.t_step;
    const float top = plan.t_first + float(start % plan.starts) * plan.t_step;
    F scale = range * ((1.0f - bottom - top) / plan.high);
    F offset = group.low + range * bottom;
    for (int pass = 0; pass < plan.passes; ++pass) {
      const AffineSums sums = affine_sums(group.x, group.w, scale, offset, plan);
      solve_affine(group, sums, plan, &scale, &offset);
      F error;
      if (stored) {
        scale = storable(block, scale);
        offset = storable(block, offset);
        error = affine_error(group.x, group.w, scale, offset, plan);
      } else {
        error = affine_error_of(group, sums, scale, offset);
      }
      const I better = error < best.error;
      best.error = better ? error : best.error;
      best.scale = better ? scale : best.scale;
      best.offset = better ? offset : best.offset;
    }
  }
  return best;
}

/// One f16 scale and one f16 offset for the block.
inline Affine fit_minimum(const LaneBlock& block, const FitPlan& plan) {
  return search_affine(block, affine_group(block, 0, plan), true, plan);
}

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
