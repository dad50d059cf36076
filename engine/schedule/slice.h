// A dispatch list run in parts: where a run of it may stop, and how much of it fits a budget. Pure.
#pragma once

#include <compare>
#include <cstdint>
#include <span>

#include "engine/schedule/dispatch.h"

namespace pumice {

/// Between two pieces of a list: in front of work group `group` (along the split axis) of dispatch
/// `dispatch`. {0, 0} is the list's beginning, {number of dispatches, 0} its end.
struct Place {
  uint32_t dispatch = 0, group = 0;
  friend auto operator<=>(const Place&, const Place&) = default;
};

/// The axis along which the work groups of a dispatch may run in several goes: the longest. Work
/// groups of one dispatch do not see each other's results, so the bits stay the same.
[[nodiscard]] uint32_t split_axis(const Dispatch& dispatch);
/// Work groups along it; 1 where the device reads the group counts.
[[nodiscard]] uint32_t split_groups(const Dispatch& dispatch);

/// What running all of a dispatch is expected to cost.
struct DispatchEstimate {
  double us = 0;
  uint32_t groups = 1;    ///< split_groups
  bool measured = false;  ///< false: a guess
};

struct SlicePlan {
  Place to;
  double us = 0;         ///< sum of the estimates
  uint32_t pieces = 0;   ///< dispatches, or parts of one
  bool guessed = false;  ///< the last piece has never been measured
};

/// As many whole dispatches from `from` on as fit the budget, and a part of the next where that
/// one is large. At least one piece, of one work group if need be, so that a list comes to its end;
/// only such a piece may be planned over the budget. Nothing follows a piece whose cost is a guess.
[[nodiscard]] SlicePlan plan_slice(std::span<const DispatchEstimate> list, Place from,
                                   double budget_us, uint32_t most_pieces);

}  // namespace pumice
