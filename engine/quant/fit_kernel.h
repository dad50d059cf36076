// Fits up to kLanes blocks at once. Part of the fit kernels: see lanes.h.
#pragma once

#include "engine/quant/fit_minimum.h"
#include "engine/quant/fit_signed.h"

namespace pumice::quant::PUMICE_LANES_NAMESPACE {

/// Results in file units, one lane per block.
struct LaneFit {
  F d, dmin;  ///< exactly representable in f16
  F scale[16], minimum[16];
};

template <LevelKind kKind>
inline void fit_levels(const LaneBlock& block, const FitPlan& plan, LaneFit& out) {
  if (plan.kind == FitKind::Signed) {
    out.d = fit_signed<kKind>(block, plan) * block.unit;
    return;
  }
  const SignedSuper best = fit_signed_super<kKind>(block, plan);
  out.d = best.d * block.unit;
  for (int group = 0; group < plan.groups; ++group) out.scale[group] = best.scale[group];
}

inline void fit_minimum_super(LaneBlock& block, const FitPlan& plan, LaneFit& out) {
  MinimumSuper best = fit_minimum_super(block, plan);
  F sign = splat(1);
  if (plan.mirrored) {
    for (int i = 0; i < plan.groups * plan.group_weights; ++i) block.x[i] = -block.x[i];
    const MinimumSuper other = fit_minimum_super(block, plan);
    sign = other.error < best.error ? splat(-1) : sign;
    keep_better(best, other, plan.groups);
  }
  out.d = sign * best.d * block.unit;
  out.dmin = sign * best.dmin * block.unit;
  for (int group = 0; group < plan.groups; ++group) {
    out.scale[group] = best.scale[group];
    out.minimum[group] = best.minimum[group];
  }
}

inline void fit_block_lanes(LaneBlock& block, const FitPlan& plan, LaneFit& out) {
  switch (plan.kind) {
    case FitKind::Signed:
    case FitKind::SignedSuper:
      if (plan.levels == LevelKind::Iq4) return fit_levels<LevelKind::Iq4>(block, plan, out);
      return fit_levels<LevelKind::Linear>(block, plan, out);
    case FitKind::Minimum: {
      const Affine best = fit_minimum(block, plan);
      out.d = best.scale * block.unit;
      out.dmin = best.offset * block.unit;
      return;
    }
    case FitKind::MinimumSuper:
      return fit_minimum_super(block, plan, out);
    case FitKind::Exponent:
      out.scale[0] = __builtin_convertvector(fit_exponent(block, plan), F);
      return;
  }
}

/// `count` blocks, at most kLanes.
inline void fit_some(const FitPlan& plan, const BlockSource* blocks, int count, BlockFit* out) {
  LaneBlock block;
  const int weights = plan.groups * plan.group_weights;
  static constexpr float kZeros[256] = {};
  for (int lane = 0; lane < kLanes; ++lane) {
    const bool used = lane < count;
    load_weights(block, lane, used ? blocks[lane].weights : kZeros, weights);
    load_importance(block, lane, used ? blocks[lane].importance : nullptr, weights);
  }
  LaneFit fit = {};
  fit_block_lanes(block, plan, fit);
  for (int lane = 0; lane < count; ++lane) {
    out[lane].d = fit.d[lane];
    out[lane].dmin = fit.dmin[lane];
    for (int group = 0; group < plan.groups; ++group) {
      out[lane].scale[group] = int16_t(fit.scale[group][lane]);
      out[lane].minimum[group] = int16_t(fit.minimum[group][lane]);
    }
  }
}

inline void fit_all(const FitPlan& plan, const BlockSource* blocks, int count, BlockFit* out) {
  for (int first = 0; first < count; first += kLanes) {
    const int some = count - first < kLanes ? count - first : kLanes;
    fit_some(plan, blocks + first, some, out + first);
  }
}

}  // namespace pumice::quant::PUMICE_LANES_NAMESPACE
