#include "engine/quant/row_score.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <limits>

#include "engine/quant/exp_block.h"

namespace pumice::quant {
namespace {

constexpr size_t kLanes = 32;  ///< of the search for the largest

struct Extremes {
  uint32_t top = 0, second = 0;
  bool finite = true;
};

/// The two largest values of a row and whether all are finite, lane by lane: element i belongs to
/// lane i % kLanes.
struct LaneExtremes {
  std::array<float, kLanes> best, next;
  std::array<float, kLanes> zero{};  ///< 0 as long as all are finite: x * 0 is NaN for the others

  LaneExtremes() {
    best.fill(-std::numeric_limits<float>::infinity());
    next = best;
  }
  void add(const float* x) {
    for (size_t lane = 0; lane < kLanes; ++lane) {
      const float low = x[lane] < best[lane] ? x[lane] : best[lane];
      best[lane] = x[lane] < best[lane] ? best[lane] : x[lane];
      next[lane] = low < next[lane] ? next[lane] : low;
      zero[lane] += x[lane] * 0.0f;
    }
  }
};

/// Largest and second largest logit, the lowest id of equals first. A row of one has second = top.
Extremes find_top_two(std::span<const float> row) {
  LaneExtremes lanes;
  size_t i = 0;
  for (; i + kLanes <= row.size(); i += kLanes) lanes.add(&row[i]);
  std::array<float, kLanes> rest;
  rest.fill(std::numeric_limits<float>::lowest());
  std::copy(row.begin() + std::ptrdiff_t(i), row.end(), rest.begin());
  lanes.add(rest.data());
  Extremes found;
  float best = lanes.best[0], next = lanes.next[0];
  for (size_t lane = 0; lane < kLanes; ++lane) {
    if (!(lanes.zero[lane] == 0.0f)) found.finite = false;
    if (lane == 0) continue;
    next = std::max({next, lanes.next[lane], std::min(best, lanes.best[lane])});
    best = std::max(best, lanes.best[lane]);
  }
  if (!found.finite) return found;
  const auto place = [&](float value, size_t from) {
    return size_t(std::find(row.begin() + std::ptrdiff_t(from), row.end(), value) - row.begin());
  };
  found.top = uint32_t(place(best, 0));
  const size_t second = place(next, next == best ? found.top + 1 : 0);
  found.second = second < row.size() ? uint32_t(second) : found.top;
  return found;
}

struct Partition {
  double log_sum = 0;  ///< log of the sum of exp(logit)
  double delta = 0;    ///< mean of (this logit - the other's), for a pair
};

/// row[first ..] - top as doubles; what lies past the end weighs nothing.
void load_block(std::span<const float> row, size_t first, double top, DoubleBlock& block) {
  const size_t count = std::min(kBlock, row.size() - first);
  if (count == kBlock) {
    for (size_t i = 0; i < kBlock; ++i) block[i] = double(row[first + i]) - top;
    return;
  }
  block.fill(2 * kLeastExponent);
  for (size_t i = 0; i < count; ++i) block[i] = double(row[first + i]) - top;
}

Partition partition(std::span<const float> row, float top) {
  DoubleBlock x, weight, sums{};
  for (size_t first = 0; first < row.size(); first += kBlock) {
    load_block(row, first, top, x);
    exp_block(x, weight);
    for (size_t i = 0; i < kBlock; ++i) sums[i] += weight[i];
  }
  return {top + std::log(total(sums)), 0};
}

/// Both rows' partitions and, under each, the mean of p's logit - q's.
void partition_pair(std::span<const float> p, float p_top, std::span<const float> q, float q_top,
                    Partition& of_p, Partition& of_q) {
  const double shift = double(p_top) - double(q_top);
  DoubleBlock px, qx, p_weight, q_weight;
  DoubleBlock p_sum{}, q_sum{}, p_delta{}, q_delta{};
  for (size_t first = 0; first < p.size(); first += kBlock) {
    load_block(p, first, p_top, px);
    load_block(q, first, q_top, qx);
    exp_block(px, p_weight);
    exp_block(qx, q_weight);
    for (size_t i = 0; i < kBlock; ++i) {
      p_sum[i] += p_weight[i];
      q_sum[i] += q_weight[i];
      const double difference = (px[i] - qx[i]) + shift;
      p_delta[i] += p_weight[i] * difference;
      q_delta[i] += q_weight[i] * difference;
    }
  }
  of_p = {p_top + std::log(total(p_sum)), total(p_delta) / total(p_sum)};
  of_q = {q_top + std::log(total(q_sum)), total(q_delta) / total(q_sum)};
}

}  // namespace

PositionScore score_row(std::span<const float> reference, std::span<const float> row,
                        uint32_t next) {
  PositionScore score;
  const Extremes model = find_top_two(row);
  score.top = model.top;
  score.finite = model.finite;
  if (reference.empty()) {
    if (score.finite) score.nll = partition(row, row[model.top]).log_sum - row[next];
    return score;
  }
  const Extremes best = find_top_two(reference);
  score.top_reference = best.top;
  score.finite = model.finite && best.finite;
  if (!score.finite) return score;
  Partition p, q;
  partition_pair(reference, reference[best.top], row, row[model.top], p, q);
  score.nll = q.log_sum - row[next];
  score.nll_reference = p.log_sum - reference[next];
  // Both are sums of p log(p / q) without the cancellation of large logarithms; rounding may leave
  // -1e-15 where nothing differs.
  score.kld = std::max(p.delta - (p.log_sum - q.log_sum), 0.0);
  score.kld_reverse = std::max((p.log_sum - q.log_sum) - q.delta, 0.0);
  score.probability_change = std::exp(-score.nll) - std::exp(-score.nll_reference);
  score.margin = double(reference[best.top]) - double(reference[best.second]);
  score.margin_probability =
      std::exp(reference[best.top] - p.log_sum) - std::exp(reference[best.second] - p.log_sum);
  score.margin_change = double(row[best.top]) - double(row[best.second]) - score.margin;
  return score;
}

}  // namespace pumice::quant
