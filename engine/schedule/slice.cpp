// Cuts dispatch lists.
#include "engine/schedule/slice.h"

#include <algorithm>

namespace pumice {
namespace {

/// A dispatch is cut where it would take more than this share of a budget, into pieces of at least
/// this length: shorter ones leave a GPU half empty and pay for their barriers.
constexpr double kLargeShare = 0.25, kShortestPiece = 50;  // us

uint32_t part_of(const DispatchEstimate& row, uint32_t left, double us) {
  const double each = row.us / row.groups;
  if (each <= 0) return left;
  auto fit = uint32_t(std::clamp(us / each, 0.0, double(left)));
  if (fit > 8) fit -= fit % 8;  // software drivers deal groups out to threads in equal runs
  return fit;
}

}  // namespace

uint32_t split_axis(const Dispatch& dispatch) {
  const auto& groups = dispatch.groups;
  return uint32_t(std::max_element(groups.begin(), groups.end()) - groups.begin());
}

uint32_t split_groups(const Dispatch& dispatch) {
  return dispatch.indirect.buffer != kNoBuffer ? 1 : dispatch.groups[split_axis(dispatch)];
}

SlicePlan plan_slice(std::span<const DispatchEstimate> list, Place from, double budget_us,
                     uint32_t most_pieces) {
  SlicePlan plan;
  plan.to = from;
  while (plan.to.dispatch < list.size() && plan.pieces < most_pieces && !plan.guessed) {
    const DispatchEstimate& row = list[plan.to.dispatch];
    const uint32_t left = row.groups - plan.to.group;
    const double whole = row.us * left / row.groups;
    uint32_t take = left;
    if (plan.us + whole > budget_us) {
      take = part_of(row, left, budget_us - plan.us);
      const bool large = whole > kLargeShare * budget_us;
      const double us = row.us * take / row.groups;
      if (plan.pieces != 0 && (!large || us < kShortestPiece)) break;
      take = std::max(take, 1u);
    }
    plan.us += row.us * take / row.groups;
    ++plan.pieces;
    plan.guessed = !row.measured;
    plan.to = take == left ? Place{plan.to.dispatch + 1, 0}
                           : Place{plan.to.dispatch, plan.to.group + take};
    if (take != left) break;
  }
  return plan;
}

}  // namespace pumice
