#include "engine/quant/row_score.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstddef>
#include <limits>

namespace pumice::quant {
namespace {

/// Partial sums per row, whatever the machine's vectors are: element i goes to lane i % kLanes.
constexpr size_t kLanes = 8;
using Lanes = std::array<double, kLanes>;

double total(const Lanes& lanes) {
  double sum = 0;
  for (const double lane : lanes) sum += lane;
  return sum;
}

// x = n ln 2 + r with |r| <= ln(2) / 2; the Taylor polynomial of degree 13 is off by 4e-18 there.
// ln 2 in two parts so that n * kLn2High is exact.
inline double small_exp(double x) {
  constexpr double kLog2e = 1.4426950408889634074, kShift = 0x1.8p52;
  constexpr double kLn2High = 6.93147180369123816490e-01, kLn2Low = 1.90821492927058770002e-10;
  constexpr double kLeast = -700.0;
  const double clamped = x < kLeast ? kLeast : x;
  const double shifted = clamped * kLog2e + kShift;  // its low bits hold the integer n
  const double n = shifted - kShift;
  const double r = (clamped - n * kLn2High) - n * kLn2Low;
  double y = 1.0 / 6227020800.0;
  y = y * r + 1.0 / 479001600.0;
  y = y * r + 1.0 / 39916800.0;
  y = y * r + 1.0 / 3628800.0;
  y = y * r + 1.0 / 362880.0;
  y = y * r + 1.0 / 40320.0;
  y = y * r + 1.0 / 5040.0;
  y = y * r + 1.0 / 720.0;
  y = y * r + 1.0 / 120.0;
  y = y * r + 1.0 / 24.0;
  y = y * r + 1.0 / 6.0;
  y = y * r + 0.5;
  y = y * r + 1.0;
  y = y * r + 1.0;
  const uint64_t exponent = std::bit_cast<uint64_t>(shifted) << 52;
  const double scaled = std::bit_cast<double>(std::bit_cast<uint64_t>(y) + exponent);
  return x < kLeast ? 0.0 : scaled;
}

/// Calls body(i, lane) for all i in order, a full set of lanes at a time.
template <class Body>
inline void for_lanes(size_t n, const Body& body) {
  const size_t whole = n / kLanes * kLanes;
  for (size_t i = 0; i < whole; i += kLanes)
    for (size_t lane = 0; lane < kLanes; ++lane) body(i + lane, lane);
  for (size_t i = whole; i < n; ++i) body(i, i - whole);
}

struct Extremes {
  uint32_t top = 0, second = 0;
  bool finite = true;
};

/// Largest and second largest logit, the lowest id of equals first. A row of one has second = top.
Extremes find_top_two(std::span<const float> row) {
  Extremes found;
  float best = -std::numeric_limits<float>::infinity(), next = best;
  float zero = 0.0f;  // stays 0 as long as all are finite: x * 0 is NaN for the others
  bool has_second = false;
  for (uint32_t i = 0; i < row.size(); ++i) {
    const float x = row[i];
    zero += x * 0.0f;
    if (!(x > next) && has_second) continue;
    if (i == 0 || x > best) {
      found.second = found.top;
      next = best;
      has_second = i > 0;
      found.top = i;
      best = x;
    } else if (!has_second || x > next) {
      found.second = i;
      next = x;
      has_second = true;
    }
  }
  found.finite = zero == 0.0f;
  return found;
}

struct Partition {
  double log_sum = 0;  ///< log of the sum of exp(logit)
  double delta = 0;    ///< mean of (this logit - the other's), for a pair
};

Partition partition(std::span<const float> row, float top) {
  Lanes sums{};
  for_lanes(row.size(),
            [&](size_t i, size_t lane) { sums[lane] += small_exp(double(row[i]) - top); });
  return {top + std::log(total(sums)), 0};
}

/// Both rows' partitions and, under each, the mean of p's logit - q's.
void partition_pair(std::span<const float> p, float p_top, std::span<const float> q, float q_top,
                    Partition& of_p, Partition& of_q) {
  Lanes p_sum{}, q_sum{}, p_delta{}, q_delta{};
  for_lanes(p.size(), [&](size_t i, size_t lane) {
    const double difference = double(p[i]) - double(q[i]);
    const double p_weight = small_exp(double(p[i]) - p_top);
    const double q_weight = small_exp(double(q[i]) - q_top);
    p_sum[lane] += p_weight;
    q_sum[lane] += q_weight;
    p_delta[lane] += p_weight * difference;
    q_delta[lane] += q_weight * difference;
  });
  of_p = {p_top + std::log(total(p_sum)), total(p_delta) / total(p_sum)};
  of_q = {q_top + std::log(total(q_sum)), total(q_delta) / total(q_sum)};
}

}  // namespace

double exp_of_nonpositive(double x) {
  return small_exp(x);
}

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
