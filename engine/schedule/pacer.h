// Learns what dispatches cost and cuts their lists to a budget. Knows no clock and no device: times
// are told to it.
#pragma once

#include <array>
#include <map>
#include <span>
#include <string>
#include <tuple>
#include <vector>

#include "engine/schedule/slice.h"

namespace pumice {

/// A list as the pacer sees it: the cost class of every dispatch. The layers of a model share
/// classes, so that one run of a list measures each of them many times.
struct PacedList {
  std::vector<uint32_t> classes;
  std::vector<uint32_t> groups;  ///< split_groups
};

class Pacer {
 public:
  [[nodiscard]] PacedList classify(std::span<const Dispatch> list);

  /// A part of the list from `from` on, planned not to pass the budget (microseconds, `overhead_us`
  /// of them being spent beside the device's work). `us` of the answer is the whole prediction.
  [[nodiscard]] SlicePlan plan(const PacedList& list, Place from, double budget_us,
                               double overhead_us, uint32_t most_pieces);

  /// Microseconds of each piece of a part that ran: whole dispatches, the first and the last of
  /// which may have been cut.
  void measured(const PacedList& list, Place from, Place to, std::span<const double> pieces_us);
  /// The same where only the sum is known, as without timestamps.
  void measured_sum(const PacedList& list, Place from, Place to, double us);
  /// How a part's prediction turned out; `plan` as it was, `us` without the overhead.
  void ended(const SlicePlan& plan, double overhead_us, double us);

  /// Predictions are sums of means, times this: about one part in twenty takes longer.
  [[nodiscard]] double margin() const { return margin_; }
  /// Mean cost of a class (PacedList::classes), microseconds; a guess before it has run.
  [[nodiscard]] double mean_us(uint32_t row) const { return classes_[row].us; }
  /// Mean cost of the whole list as known now, without margin.
  [[nodiscard]] double estimate(const PacedList& list) const;

 private:
  struct Class {
    double us = 0;         ///< of all groups
    uint32_t samples = 0;  ///< 0: us is a guess
  };
  using Key = std::tuple<std::string, std::vector<uint32_t>, std::vector<uint32_t>,
                         std::array<uint32_t, 3>, uint64_t>;

  void add(Class& row, double whole_us, double share);

  std::map<Key, uint32_t> keys_;
  std::vector<Class> classes_;
  std::vector<DispatchEstimate> estimates_;  ///< of the list being planned
  double margin_ = 1.15;
};

/// The pieces of [from, to): calls piece(dispatch, first group, groups).
template <class Piece>
void each_piece(const PacedList& list, Place from, Place to, const Piece& piece) {
  while (from < to) {
    const uint32_t end = from.dispatch < to.dispatch ? list.groups[from.dispatch] : to.group;
    piece(from.dispatch, from.group, end - from.group);
    from = from.dispatch < to.dispatch ? Place{from.dispatch + 1, 0} : to;
  }
}

}  // namespace pumice
