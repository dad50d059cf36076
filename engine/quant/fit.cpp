// Owns the plan of every type and the choice of the instruction set.
#include "engine/quant/fit.h"

#include <cassert>

namespace pumice::quant {
namespace {

struct PlanRow {
  QuantType type;
  FitPlan plan;
};

constexpr FitPlan signed_plan(float low, float high, int starts, float t_first, float t_last) {
  FitPlan plan;
  plan.low = low, plan.high = high;
  plan.starts = starts, plan.t_first = t_first;
  plan.t_step = (t_last - t_first) / float(starts - 1);
  return plan;
}

constexpr FitPlan super_plan(FitPlan plan, int groups, float scale_low, float scale_high) {
  plan.kind = FitKind::SignedSuper;
  plan.groups = groups, plan.group_weights = 256 / groups;
  plan.scale_low = scale_low, plan.scale_high = scale_high;
  return plan;
}

constexpr FitPlan table_plan(FitPlan plan) {
  plan.levels = LevelKind::Iq4;
  return plan;
}

constexpr FitPlan minimum_plan(float high, int starts, float t_first, float t_last) {
  FitPlan plan;
  plan.kind = FitKind::Minimum;
  plan.high = high;
  plan.starts = starts, plan.t_first = t_first;
  plan.t_step = (t_last - t_first) / float(starts - 1);
  return plan;
}

constexpr FitPlan minimum_super_plan(FitPlan plan, int groups, float scale_high) {
  plan.kind = FitKind::MinimumSuper;
  plan.groups = groups, plan.group_weights = 256 / groups;
  plan.scale_high = plan.minimum_high = scale_high;
  return plan;
}

constexpr FitPlan windows(FitPlan plan, int scale, int minimum) {
  plan.scale_window = scale, plan.minimum_window = minimum;
  return plan;
}

constexpr FitPlan factors(FitPlan plan, int n, float first, float last) {
  plan.factors = n, plan.factor_first = first;
  plan.factor_step = n > 1 ? (last - first) / float(n - 1) : 0;
  return plan;
}

constexpr FitPlan exponent_plan() {
  FitPlan plan;
  plan.kind = FitKind::Exponent;
  plan.levels = LevelKind::E2m1;
  return plan;
}

constexpr PlanRow kPlans[] = {
    {QuantType::Q4_0, signed_plan(-8, 7, 24, 5.5f, 8.5f)},
    {QuantType::Q4_1, minimum_plan(15, 6, -0.02f, 0.1f)},
    {QuantType::Q5_0, signed_plan(-16, 15, 24, 12.5f, 16.5f)},
    {QuantType::Q5_1, minimum_plan(31, 6, -0.01f, 0.05f)},
    {QuantType::Q8_0, signed_plan(-127, 127, 24, 118, 127.4f)},
    {QuantType::Q2_K, windows(minimum_super_plan(minimum_plan(3, 5, -0.05f, 0.25f), 16, 15), 2, 1)},
    {QuantType::Q3_K, windows(super_plan(signed_plan(-4, 3, 16, 2.4f, 4.6f), 16, -32, 31), 2, 0)},
    {QuantType::Q4_K, windows(minimum_super_plan(minimum_plan(15, 5, -0.02f, 0.1f), 8, 63), 2, 1)},
    {QuantType::Q5_K, windows(minimum_super_plan(minimum_plan(31, 5, -0.01f, 0.05f), 8, 63), 2, 1)},
    {QuantType::Q6_K, windows(super_plan(signed_plan(-32, 31, 24, 27, 33), 16, -128, 127), 1, 0)},
    {QuantType::IQ4_NL, table_plan(signed_plan(0, 0, 20, 95, 130))},
    {QuantType::IQ4_XS,
     windows(super_plan(table_plan(signed_plan(0, 0, 16, 95, 130)), 8, -32, 31), 2, 0)},
    {QuantType::MXFP4, exponent_plan()},
};

using FitFunction = void (*)(const FitPlan&, const BlockSource*, int, BlockFit*);

FitFunction widest() {
#if defined(__x86_64__) && defined(__GNUC__)
  if (__builtin_cpu_supports("avx512f")) return fit_16_lanes;
  if (__builtin_cpu_supports("avx2")) return fit_8_lanes;
#endif
  return fit_4_lanes;
}

}  // namespace

const FitPlan* fit_plan(QuantType type) {
  for (const PlanRow& row : kPlans)
    if (row.type == type) return &row.plan;
  return nullptr;
}

void fit(QuantType type, std::span<const BlockSource> blocks, std::span<BlockFit> out) {
  static const FitFunction function = widest();
  const FitPlan* plan = fit_plan(type);
  assert(plan && blocks.size() == out.size());
  function(*plan, blocks.data(), int(blocks.size()), out.data());
}

}  // namespace pumice::quant
