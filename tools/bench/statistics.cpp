#include "tools/bench/statistics.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

namespace pumice::bench {
namespace {

constexpr double kTail = 0.025;       // each side of 95 %
constexpr size_t kExactSamples = 20;  // per side; beyond, the normal approximation is good
constexpr double kNormal = 1.959963984540054;

std::vector<double> in_order(std::span<const double> samples) {
  std::vector<double> sorted(samples.begin(), samples.end());
  std::sort(sorted.begin(), sorted.end());
  return sorted;
}

/// From the first value of an ascending cumulative distribution on: how many of them are at most
/// kTail, and how much the last of these is.
struct Tail {
  size_t count = 0;
  double share = 0;
};

/// P(successes <= i), i = 0, 1, ... of n fair coins.
Tail coin_tail(size_t n) {
  Tail tail;
  double below = 0;
  for (size_t i = 0; i <= n; ++i) {
    const double log_share = std::lgamma(double(n) + 1) - std::lgamma(double(i) + 1) -
                             std::lgamma(double(n - i) + 1) - double(n) * std::log(2.0);
    below += std::exp(log_share);
    if (below > kTail) break;
    tail = {i + 1, below};
  }
  return tail;
}

/// P(U <= u), u = 0, 1, ... of Mann and Whitney's statistic where a and b samples are alike. The
/// share of arrangements with sum u is that of (a - 1, b) with u - b and of (a, b - 1) with u.
Tail exact_rank_tail(size_t a, size_t b) {
  const size_t sums = a * b + 1;
  std::vector<std::vector<double>> row(b + 1, std::vector<double>(sums));
  for (size_t j = 0; j <= b; ++j) row[j][0] = 1;
  for (size_t i = 1; i <= a; ++i) {
    std::vector<std::vector<double>> next(b + 1, std::vector<double>(sums));
    next[0][0] = 1;
    for (size_t j = 1; j <= b; ++j)
      for (size_t u = 0; u <= i * j; ++u)
        next[j][u] = (u >= j ? row[j][u - j] * double(i) : 0.0) / double(i + j) +
                     next[j - 1][u] * double(j) / double(i + j);
    row = std::move(next);
  }
  Tail tail;
  double below = 0;
  for (size_t u = 0; u < sums; ++u) {
    below += row[b][u];
    if (below > kTail) break;
    tail = {u + 1, below};
  }
  return tail;
}

Tail rank_tail(size_t a, size_t b) {
  if (a <= kExactSamples && b <= kExactSamples) return exact_rank_tail(a, b);
  const double mean = double(a) * double(b) / 2;
  const double deviation = std::sqrt(double(a) * double(b) * double(a + b + 1) / 12);
  return {size_t(std::max(mean - kNormal * deviation, 0.0)), kTail};
}

}  // namespace

double quantile(std::span<const double> sorted, double fraction) {
  if (sorted.empty()) return 0;
  const double place = fraction * double(sorted.size() - 1);
  const size_t below = size_t(place);
  if (below + 1 >= sorted.size()) return sorted.back();
  return sorted[below] + (place - double(below)) * (sorted[below + 1] - sorted[below]);
}

Summary summarise(std::span<const double> samples) {
  Summary summary;
  summary.n = samples.size();
  if (samples.empty()) return summary;
  const std::vector<double> sorted = in_order(samples);
  summary.median = quantile(sorted, 0.5);
  summary.q1 = quantile(sorted, 0.25);
  summary.q3 = quantile(sorted, 0.75);
  const Tail tail = coin_tail(sorted.size());
  const size_t cut = tail.count > 0 ? tail.count - 1 : 0;
  summary.low = sorted[cut];
  summary.high = sorted[sorted.size() - 1 - cut];
  summary.coverage = 1 - 2 * (tail.count > 0 ? tail.share : std::exp2(-double(sorted.size())));
  return summary;
}

double relative_width(const Summary& summary) {
  if (summary.median <= 0) return std::numeric_limits<double>::infinity();
  return (summary.high - summary.low) / summary.median;
}

Ratio ratio_of(std::span<const double> a, std::span<const double> b) {
  std::vector<double> ratios;
  ratios.reserve(a.size() * b.size());
  for (const double before : a)
    for (const double after : b) ratios.push_back(after / before);
  std::sort(ratios.begin(), ratios.end());
  const Tail tail = rank_tail(a.size(), b.size());
  const size_t cut = tail.count > 0 ? tail.count - 1 : 0;
  double share = tail.share;
  if (tail.count == 0)  // 1 / (n over k), the chance of the most uneven arrangement
    share = std::exp(std::lgamma(double(a.size()) + 1) + std::lgamma(double(b.size()) + 1) -
                     std::lgamma(double(a.size() + b.size()) + 1));
  return {quantile(ratios, 0.5), ratios[cut], ratios[ratios.size() - 1 - cut], 1 - 2 * share};
}

}  // namespace pumice::bench
