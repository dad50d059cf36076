// The search for (scale, offset) of one group of weights, jointly over both: value = scale * code +
// offset. Part of the fit kernels: see lanes.h.
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

}  // namespace pumice::quant::PUMICE_LANES_NAMESPACE
