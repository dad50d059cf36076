// Cost classes, their running means, and the margin over them.
#include "engine/schedule/pacer.h"

#include <algorithm>

namespace pumice {
namespace {

/// The guess for what has never run: slow enough for any device, so that the first piece of it is
/// short, and replaced by a measurement after that piece.
constexpr double kGuessUs = 20, kGuessUsPerGroup = 0.5, kGuessUsPerByte = 1.0 / 2000;

constexpr double kLearn = 0.15;   // weight of a new measurement in a mean
constexpr double kFarOff = 4;     // times the mean: not the dispatch's own cost
constexpr uint32_t kFirst = 3;    // of which the least counts: drivers compile at first use
constexpr double kStep = 0.1;     // of the margin, per part
constexpr double kWithin = 0.95;  // share of parts that the margin is to cover
constexpr double kMostMargin = 3;
constexpr double kTelling = 40;  // us: shorter parts say nothing about the margin

}  // namespace

PacedList Pacer::classify(std::span<const Dispatch> list) {
  PacedList paced;
  for (const Dispatch& dispatch : list) {
    const auto next = uint32_t(classes_.size());
    const auto [row, added] =
        keys_.try_emplace(Key{dispatch.kernel, dispatch.constants, dispatch.push, dispatch.groups,
                              dispatch.weight_bytes},
                          next);
    if (added) {
      const double columns = dispatch.groups[1];
      const double groups = double(dispatch.groups[0]) * columns * dispatch.groups[2];
      classes_.push_back({kGuessUs + kGuessUsPerGroup * groups +
                              kGuessUsPerByte * double(dispatch.weight_bytes) * columns,
                          0});
    }
    paced.classes.push_back(row->second);
    paced.groups.push_back(split_groups(dispatch));
  }
  return paced;
}

SlicePlan Pacer::plan(const PacedList& list, Place from, double budget_us, double overhead_us,
                      uint32_t most_pieces) {
  estimates_.clear();
  for (size_t i = 0; i < list.classes.size(); ++i) {
    const Class& row = classes_[list.classes[i]];
    estimates_.push_back({row.us * margin_, list.groups[i], row.samples != 0});
  }
  SlicePlan plan =
      plan_slice(estimates_, from, std::max(budget_us - overhead_us, 0.0), most_pieces);
  plan.us += overhead_us;
  return plan;
}

void Pacer::add(Class& row, double whole_us, double share) {
  if (row.samples == 0) {
    row.us = whole_us;
  } else if (row.samples < kFirst) {
    row.us = std::min(row.us, whole_us);
  } else {
    // A short piece fills a device badly: it counts for as much as it was of the whole.
    const double weight = kLearn * std::max(share, 0.05);
    row.us += weight * (std::min(whole_us, kFarOff * row.us) - row.us);
  }
  row.us = std::max(row.us, 0.1);
  ++row.samples;
}

void Pacer::measured(const PacedList& list, Place from, Place to,
                     std::span<const double> pieces_us) {
  size_t next = 0;
  each_piece(list, from, to, [&](uint32_t dispatch, uint32_t, uint32_t groups) {
    if (next == pieces_us.size()) return;
    const double share = double(groups) / list.groups[dispatch];
    add(classes_[list.classes[dispatch]], pieces_us[next++] / share, share);
  });
}

void Pacer::measured_sum(const PacedList& list, Place from, Place to, double us) {
  double expected = 0;
  const auto each = [&](const auto& use) {
    each_piece(list, from, to, [&](uint32_t dispatch, uint32_t, uint32_t groups) {
      use(classes_[list.classes[dispatch]], double(groups) / list.groups[dispatch]);
    });
  };
  each([&](const Class& row, double share) { expected += row.us * share; });
  const double factor = us / std::max(expected, 0.1);
  each([&](Class& row, double share) { add(row, row.us * factor, share); });
}

void Pacer::ended(const SlicePlan& plan, double overhead_us, double us) {
  const double mean = (plan.us - overhead_us) / margin_;
  if (plan.guessed || mean < kTelling) return;
  // Up in large steps and down in small ones: still where a twentieth of the parts lies above.
  margin_ += kStep * (us > mean * margin_ ? kWithin : kWithin - 1);
  margin_ = std::clamp(margin_, 1.0, kMostMargin);
}

double Pacer::estimate(const PacedList& list) const {
  double us = 0;
  for (const uint32_t row : list.classes) us += classes_[row].us;
  return us;
}

}  // namespace pumice
