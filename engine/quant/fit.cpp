// Owns the plan of every type and the choice of the instruction set.
#include "engine/quant/fit.h"

#include <cassert>

namespace pumice::quant {
namespace {

struct PlanRow {
  QuantType type;
  FitPlan plan;
};

/// How finely the starting points of a group lie; see FitPlan.
struct Starts {
  int n;
  float first, last;
  int passes;
};

/// What a super-block tries around the optimum of its groups; see FitPlan.
struct Windows {
  int scale, minimum;
  float divisor_first;
  int divisors, segments;
  int rounds;
};

constexpr FitPlan plan_of(FitKind kind, LevelKind levels, float low, float high, Starts starts) {
  FitPlan plan;
  plan.kind = kind, plan.levels = levels;
  plan.low = low, plan.high = high;
  plan.starts = starts.n, plan.passes = starts.passes;
  plan.t_first = starts.first;
  plan.t_step = (starts.last - starts.first) / float(starts.n - 1);
  return plan;
}

constexpr FitPlan signed_plan(float low, float high, Starts starts) {
  return plan_of(FitKind::Signed, LevelKind::Linear, low, high, starts);
}

constexpr FitPlan iq4_plan(Starts starts) {
  return plan_of(FitKind::Signed, LevelKind::Iq4, -127, 113, starts);
}

constexpr FitPlan minimum_plan(float high, Starts starts) {
  return plan_of(FitKind::Minimum, LevelKind::Linear, 0, high, starts);
}

/// Turns the plan of a block into the plan of a super-block's groups.
constexpr FitPlan super(FitPlan plan, int groups, float scale_low, float scale_high,
                        Windows windows) {
  const bool minimums = plan.kind == FitKind::Minimum;
  plan.kind = minimums ? FitKind::MinimumSuper : FitKind::SignedSuper;
  plan.groups = groups, plan.group_weights = 256 / groups;
  plan.scale_low = scale_low, plan.scale_high = scale_high;
  plan.minimum_high = minimums ? scale_high : 0;
  plan.scale_window = windows.scale, plan.minimum_window = windows.minimum;
  plan.divisor_first = windows.divisor_first;
  plan.divisors = windows.divisors, plan.segments = windows.segments;
  plan.rounds = windows.rounds;
  return plan;
}

constexpr FitPlan mirrored(FitPlan plan) {
  plan.mirrored = true;
  return plan;
}

constexpr FitPlan exponent_plan() {
  FitPlan plan;
  plan.kind = FitKind::Exponent, plan.levels = LevelKind::E2m1;
  return plan;
}

// Chosen on the front of error against operations per weight, over normal and Student-t weights,
// plain and with importance of two widths: starting points beyond the largest weight are for large
// weights on channels that matter little. Q4_K and Q6_K, the usual mix, are kept quick.
constexpr PlanRow kPlans[] = {
    {QuantType::Q4_0, signed_plan(-8, 7, {12, 5.5f, 10.5f, 3})},
    {QuantType::Q4_1, minimum_plan(15, {6, -0.02f, 0.18f, 3})},
    {QuantType::Q5_0, signed_plan(-16, 15, {14, 12.5f, 19, 3})},
    {QuantType::Q5_1, minimum_plan(31, {6, -0.02f, 0.1f, 3})},
    {QuantType::Q8_0, signed_plan(-127, 127, {28, 110, 131, 2})},
    {QuantType::Q2_K,
     mirrored(super(minimum_plan(3, {4, -0.1f, 0.35f, 2}), 16, 0, 15, {1, 1, 15, 1, 2, 2}))},
    {QuantType::Q3_K,
     super(signed_plan(-4, 3, {8, 2.2f, 5.5f, 2}), 16, -32, 31, {3, 0, 36, 6, 2, 1})},
    {QuantType::Q4_K,
     super(minimum_plan(15, {5, -0.03f, 0.15f, 3}), 8, 0, 63, {1, 1, 63, 8, 2, 1})},
    {QuantType::Q5_K, super(minimum_plan(31, {5, -0.02f, 0.1f, 4}), 8, 0, 63, {1, 1, 63, 8, 2, 2})},
    {QuantType::Q6_K,
     super(signed_plan(-32, 31, {16, 23, 36, 2}), 16, -128, 127, {3, 0, 128, 24, 1, 1})},
    {QuantType::IQ4_NL, iq4_plan({12, 85, 150, 3})},
    {QuantType::IQ4_XS, super(iq4_plan({10, 85, 145, 2}), 8, -32, 31, {3, 0, 36, 6, 2, 2})},
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
