// A multiple-choice knapsack. The hull of each tensor's choices gives a first answer and a price
// per byte; swaps improve the answer; a search over partial sums, pruned by the price, proves it.
#include "engine/quant/allocate.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace pumice::quant {
namespace {

/// States kept between two tensors, and in all: bounds on time and memory that real models stay
/// below.
constexpr size_t kMostStates = size_t(1) << 14, kMostStatesInAll = size_t(1) << 24;
constexpr int kMostSwapPasses = 16;
constexpr size_t kMostSwapTensors = 4096;

struct Choice {
  uint64_t bytes = 0;
  double kld = 0;
  uint32_t candidate = 0;
};

/// Of one tensor: bytes ascending, KLD descending, nothing that another choice beats.
using Choices = std::vector<Choice>;

Choices choices_of(const TensorSensitivity& tensor) {
  Choices all, best;
  for (size_t i = 0; i < tensor.bytes.size(); ++i)
    if (tensor.allows(i)) all.push_back({tensor.bytes[i], tensor.kld[i], uint32_t(i)});
  std::ranges::stable_sort(all, [](const Choice& a, const Choice& b) {
    return a.bytes != b.bytes ? a.bytes < b.bytes : a.kld < b.kld;
  });
  for (const Choice& choice : all)
    if (best.empty() || choice.kld < best.back().kld) best.push_back(choice);
  return best;
}

/// Positions of the choices on the lower convex hull.
std::vector<uint32_t> hull_of(const Choices& choices) {
  const auto slope = [&](uint32_t a, uint32_t b) {
    return (choices[a].kld - choices[b].kld) / double(choices[b].bytes - choices[a].bytes);
  };
  std::vector<uint32_t> hull;
  for (uint32_t i = 0; i < choices.size(); ++i) {
    while (hull.size() > 1 && slope(hull[hull.size() - 2], hull.back()) <= slope(hull.back(), i))
      hull.pop_back();
    hull.push_back(i);
  }
  return hull;
}

/// One tensor from one corner of its hull to the next.
struct Step {
  double slope = 0;  ///< KLD saved per byte
  uint32_t tensor = 0, from = 0, to = 0;
  uint64_t bytes = 0;  ///< more
};

/// What is chosen: a position in every tensor's choices.
using Picks = std::vector<uint32_t>;

class Knapsack {
 public:
  explicit Knapsack(const Sensitivity& sensitivity) : sensitivity_(sensitivity) {
    for (const TensorSensitivity& tensor : sensitivity.tensors)
      tensors_.push_back(choices_of(tensor));
    for (uint32_t t = 0; t < tensors_.size(); ++t) add_steps(t);
    std::ranges::stable_sort(steps_, std::ranges::greater(), &Step::slope);
  }

  [[nodiscard]] const std::vector<Step>& steps() const { return steps_; }
  [[nodiscard]] Picks smallest() const { return Picks(tensors_.size(), 0); }
  [[nodiscard]] uint64_t bytes(const Picks& picks) const {
    uint64_t sum = sensitivity_.kept_bytes;
    for (size_t t = 0; t < picks.size(); ++t) sum += tensors_[t][picks[t]].bytes;
    return sum;
  }
  [[nodiscard]] double kld(const Picks& picks) const {
    double sum = 0;
    for (size_t t = 0; t < picks.size(); ++t) sum += tensors_[t][picks[t]].kld;
    return sum;
  }
  [[nodiscard]] Allocation allocation(const Picks& picks) const {
    Allocation result;
    for (size_t t = 0; t < picks.size(); ++t)
      result.types.push_back(sensitivity_.candidates[tensors_[t][picks[t]].candidate]);
    result.bytes = bytes(picks);
    result.predicted_kld = kld(picks);
    return result;
  }

  /// Steps down the hull while they fit; `price` is the slope of the first that does not, 0 when
  /// all fit.
  [[nodiscard]] Picks greedy(uint64_t budget, double& price) const;
  /// Other choices of one tensor, or of two at once, while that helps and fits.
  void improve(Picks& picks, uint64_t budget) const;
  /// The best of all choices, given a good one; false where it had to forget states.
  [[nodiscard]] bool search(Picks& picks, uint64_t budget, double price) const;

 private:
  /// How a state came about: all that is kept of it once the next tensor has its own.
  struct Link {
    uint32_t parent = 0;  ///< state of the tensor before
    uint32_t pick = 0;
  };
  struct State : Link {
    uint64_t bytes = 0;
    double kld = 0, surplus = 0;  ///< surplus: of kld + price * bytes over the least possible
  };
  struct Bound {
    std::vector<uint64_t> least_after;  ///< bytes of the smallest choices from tensor t on
    double most_surplus = 0;
  };

  void add_steps(uint32_t t) {
    const std::vector<uint32_t> hull = hull_of(tensors_[t]);
    for (size_t i = 0; i + 1 < hull.size(); ++i) {
      const Choice& from = tensors_[t][hull[i]];
      const Choice& to = tensors_[t][hull[i + 1]];
      const uint64_t more = to.bytes - from.bytes;
      steps_.push_back({(from.kld - to.kld) / double(more), t, hull[i], hull[i + 1], more});
    }
  }
  bool improve_once(Picks& picks, uint64_t budget) const;
  [[nodiscard]] double least_price(uint32_t t, double price) const {
    double least = std::numeric_limits<double>::infinity();
    for (const Choice& choice : tensors_[t])
      least = std::min(least, choice.kld + price * double(choice.bytes));
    return least;
  }
  [[nodiscard]] Bound bound_of(const Picks& known, uint64_t budget, double price) const;
  [[nodiscard]] std::vector<State> extend(const std::vector<State>& states, uint32_t t,
                                          uint64_t budget, double price, const Bound& bound) const;

  const Sensitivity& sensitivity_;
  std::vector<Choices> tensors_;
  std::vector<Step> steps_;  ///< steepest first; those of one tensor in their order
};

Picks Knapsack::greedy(uint64_t budget, double& price) const {
  Picks picks = smallest();
  uint64_t used = bytes(picks);
  price = 0;
  for (const Step& step : steps_) {
    if (picks[step.tensor] != step.from) continue;  // an earlier step of it did not fit
    if (used + step.bytes > budget) {
      if (price == 0) price = step.slope;
      continue;
    }
    picks[step.tensor] = step.to;
    used += step.bytes;
  }
  return picks;
}

bool Knapsack::improve_once(Picks& picks, uint64_t budget) const {
  bool better = false;
  uint64_t used = bytes(picks);
  const auto try_pair = [&](uint32_t a, uint32_t pick_a, uint32_t b, uint32_t pick_b) {
    const Choice &a0 = tensors_[a][picks[a]], &a1 = tensors_[a][pick_a];
    const Choice &b0 = tensors_[b][picks[b]], &b1 = tensors_[b][pick_b];
    const uint64_t after = used - a0.bytes - b0.bytes + a1.bytes + b1.bytes;
    if (after > budget || a1.kld + b1.kld >= a0.kld + b0.kld) return;
    picks[a] = pick_a;
    picks[b] = pick_b;
    used = after;
    better = true;
  };
  for (uint32_t a = 0; a < tensors_.size(); ++a)
    for (uint32_t pick_a = 0; pick_a < tensors_[a].size(); ++pick_a) {
      if (tensors_[a][pick_a].kld >= tensors_[a][picks[a]].kld) continue;
      for (uint32_t b = 0; b < tensors_.size(); ++b)
        for (uint32_t pick_b = 0; b != a && pick_b <= picks[b]; ++pick_b)
          try_pair(a, pick_a, b, pick_b);  // b as it is, too: a alone
    }
  return better;
}

void Knapsack::improve(Picks& picks, uint64_t budget) const {
  if (tensors_.size() > kMostSwapTensors) return;
  for (int pass = 0; pass < kMostSwapPasses; ++pass)
    if (!improve_once(picks, budget)) return;
}

Knapsack::Bound Knapsack::bound_of(const Picks& known, uint64_t budget, double price) const {
  Bound bound;
  bound.least_after.assign(tensors_.size() + 1, 0);
  double least = 0;
  for (size_t t = tensors_.size(); t-- > 0;) {
    bound.least_after[t] = bound.least_after[t + 1] + tensors_[t].front().bytes;
    least += least_price(uint32_t(t), price);
  }
  // No choice below the budget has a smaller KLD than this sum.
  const double floor = least - price * double(budget - sensitivity_.kept_bytes);
  bound.most_surplus = kld(known) - floor;
  return bound;
}

std::vector<Knapsack::State> Knapsack::extend(const std::vector<State>& states, uint32_t t,
                                              uint64_t budget, double price,
                                              const Bound& bound) const {
  const double least = least_price(t, price);
  std::vector<State> next, best;
  for (uint32_t s = 0; s < states.size(); ++s)
    for (uint32_t pick = 0; pick < tensors_[t].size(); ++pick) {
      const Choice& choice = tensors_[t][pick];
      State state{{s, pick}, states[s].bytes + choice.bytes, states[s].kld + choice.kld, 0};
      state.surplus = states[s].surplus + (choice.kld + price * double(choice.bytes) - least);
      if (state.bytes + bound.least_after[t + 1] > budget) continue;
      if (state.surplus < bound.most_surplus) next.push_back(state);
    }
  std::ranges::sort(next, [](const State& a, const State& b) {
    if (a.bytes != b.bytes) return a.bytes < b.bytes;
    if (a.kld != b.kld) return a.kld < b.kld;
    return a.parent != b.parent ? a.parent < b.parent : a.pick < b.pick;
  });
  for (const State& state : next)
    if (best.empty() || state.kld < best.back().kld) best.push_back(state);
  return best;
}

bool Knapsack::search(Picks& picks, uint64_t budget, double price) const {
  const Bound bound = bound_of(picks, budget, price);
  std::vector<State> states{State{{}, sensitivity_.kept_bytes, 0, 0}};
  std::vector<std::vector<Link>> links(tensors_.size());
  const size_t most = std::min(kMostStates, kMostStatesInAll / tensors_.size());
  bool exact = true;
  for (uint32_t t = 0; t < tensors_.size(); ++t) {
    states = extend(states, t, budget, price, bound);
    if (states.size() > most) {
      exact = false;
      std::ranges::stable_sort(states, {}, &State::surplus);
      states.resize(most);
      std::ranges::stable_sort(states, {}, &State::bytes);
    }
    links[t].assign(states.begin(), states.end());
  }
  const auto best = std::ranges::min_element(states, {}, &State::kld);
  if (best == states.end() || !(best->kld < kld(picks))) return exact;
  uint32_t at = uint32_t(best - states.begin());
  for (size_t t = tensors_.size(); t-- > 0;) {
    const Link& link = links[t][at];
    picks[t] = link.pick;
    at = link.parent;
  }
  return exact;
}

}  // namespace

Result<Allocation> allocate(const Sensitivity& sensitivity, uint64_t budget) {
  const uint64_t least = least_bytes(sensitivity);
  if (least > budget)
    return fail(ErrorCode::BadArgument,
                "the budget is {} bytes ({:.3f} bits per weight) and the smallest types need {} "
                "({:.3f})",
                budget, 8.0 * double(budget) / double(std::max<uint64_t>(sensitivity.weights, 1)),
                least, 8.0 * double(least) / double(std::max<uint64_t>(sensitivity.weights, 1)));
  const Knapsack knapsack(sensitivity);
  double price = 0;
  Picks picks = knapsack.greedy(budget, price);
  knapsack.improve(picks, budget);
  const bool exact = price == 0 || knapsack.search(picks, budget, price);
  Allocation result = knapsack.allocation(picks);
  result.exact = exact;
  return result;
}

std::vector<Allocation> pareto_front(const Sensitivity& sensitivity, size_t most) {
  const Knapsack knapsack(sensitivity);
  Picks picks = knapsack.smallest();
  std::vector<Allocation> front{knapsack.allocation(picks)};
  const size_t steps = knapsack.steps().size();
  const size_t stride = std::max<size_t>((steps + most) / std::max<size_t>(most, 1), 1);
  for (size_t i = 0; i < steps; ++i) {
    picks[knapsack.steps()[i].tensor] = knapsack.steps()[i].to;
    if ((i + 1) % stride == 0 || i + 1 == steps) front.push_back(knapsack.allocation(picks));
  }
  return front;
}

std::vector<Allocation> thinned(std::span<const Allocation> front, size_t count) {
  if (front.size() <= count || count < 2) return {front.begin(), front.end()};
  std::vector<Allocation> chosen;
  const double first = double(front.front().bytes), last = double(front.back().bytes);
  size_t at = 0;
  for (size_t i = 0; i < count; ++i) {
    const double wanted = first + (last - first) * double(i) / double(count - 1);
    const auto distance = [&](size_t j) { return std::abs(double(front[j].bytes) - wanted); };
    const size_t most = front.size() - (count - i);  // the rest must still find one each
    while (at < most && distance(at + 1) <= distance(at)) ++at;
    chosen.push_back(front[i + 1 == count ? front.size() - 1 : at]);
    ++at;
  }
  return chosen;
}

double predict_kld(const Sensitivity& sensitivity, std::span<const QuantType> types) {
  double sum = 0;
  for (size_t t = 0; t < sensitivity.tensors.size() && t < types.size(); ++t) {
    const auto found = std::ranges::find(sensitivity.candidates, types[t]);
    const auto i = size_t(found - sensitivity.candidates.begin());
    const bool known = found != sensitivity.candidates.end() && sensitivity.tensors[t].allows(i);
    sum += known ? sensitivity.tensors[t].kld[i] : std::numeric_limits<double>::infinity();
  }
  return sum;
}

uint64_t bytes_of(const Sensitivity& sensitivity, std::span<const QuantType> types) {
  uint64_t sum = sensitivity.kept_bytes;
  for (size_t t = 0; t < sensitivity.tensors.size() && t < types.size(); ++t)
    sum += bytes_as(types[t], sensitivity.tensors[t].weights);
  return sum;
}

uint64_t least_bytes(const Sensitivity& sensitivity) {
  uint64_t sum = sensitivity.kept_bytes;
  for (const TensorSensitivity& tensor : sensitivity.tensors) {
    uint64_t least = UINT64_MAX;
    for (size_t i = 0; i < tensor.bytes.size(); ++i)
      if (tensor.allows(i)) least = std::min(least, tensor.bytes[i]);
    sum += least;
  }
  return sum;
}

}  // namespace pumice::quant
