// What the bench says of samples, against tables and against counting.
#include "tools/bench/statistics.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>
#include <vector>

namespace pumice::bench {
namespace {

std::vector<double> one_to(size_t n) {
  std::vector<double> values(n);
  std::iota(values.begin(), values.end(), 1.0);
  std::reverse(values.begin(), values.end());  // order does not matter
  return values;
}

TEST(BenchStatistics, SummaryOfKnownSamples) {
  struct Row {
    size_t n;
    double median, q1, q3, low, high, coverage;
  };
  // Ranks and coverage: sums of binomial coefficients over 2^n.
  const Row rows[] = {
      {1, 1, 1, 1, 1, 1, 0},
      {2, 1.5, 1.25, 1.75, 1, 2, 0.5},
      {5, 3, 2, 4, 1, 5, 1 - 2.0 / 32},
      {6, 3.5, 2.25, 4.75, 1, 6, 1 - 2.0 / 64},
      {9, 5, 3, 7, 2, 8, 1 - 2.0 * 10 / 512},
      {20, 10.5, 5.75, 15.25, 6, 15, 1 - 2.0 * 21700 / 1048576},
  };
  for (const Row& row : rows) {
    const Summary got = summarise(one_to(row.n));
    EXPECT_EQ(got.n, row.n);
    EXPECT_DOUBLE_EQ(got.median, row.median) << row.n;
    EXPECT_DOUBLE_EQ(got.q1, row.q1) << row.n;
    EXPECT_DOUBLE_EQ(got.q3, row.q3) << row.n;
    EXPECT_DOUBLE_EQ(got.low, row.low) << row.n;
    EXPECT_DOUBLE_EQ(got.high, row.high) << row.n;
    EXPECT_NEAR(got.coverage, row.coverage, 1e-12) << row.n;
  }
  EXPECT_EQ(summarise({}).n, 0u);
}

// Skewed, as times are: the share of intervals that hold the true median is what they claim.
TEST(BenchStatistics, IntervalsCoverWhatTheySay) {
  std::mt19937 numbers(7);
  for (const size_t n : {5, 9, 30}) {
    size_t inside = 0;
    const size_t trials = 4000;
    double claimed = 0;
    for (size_t t = 0; t < trials; ++t) {
      std::vector<double> samples(n);
      for (double& sample : samples) sample = -std::log((double(numbers()) + 0.5) / 0x1p32);
      const Summary s = summarise(samples);
      inside += s.low <= std::log(2.0) && std::log(2.0) <= s.high;
      claimed = s.coverage;
    }
    EXPECT_NEAR(double(inside) / double(trials), claimed, 0.015) << n;
  }
}

/// P(U <= u) of Mann and Whitney's statistic by looking at every arrangement.
double counted_share(size_t a, size_t b, size_t u) {
  std::vector<int> first(a + b, 0);
  std::fill(first.begin() + ptrdiff_t(b), first.end(), 1);
  size_t all = 0, below = 0;
  do {
    size_t sum = 0, seen = 0;
    for (const int one : first) one ? sum += seen : ++seen;
    ++all;
    below += sum <= u;
  } while (std::next_permutation(first.begin(), first.end()));
  return double(below) / double(all);
}

TEST(BenchStatistics, RatioIntervalIsTheRankTests) {
  for (const auto& [a, b] : {std::pair<size_t, size_t>{4, 4}, {5, 5}, {3, 7}, {6, 4}, {8, 8}}) {
    std::vector<double> before(a), after(b);
    std::mt19937 numbers(uint32_t(a * 100 + b));
    for (double& value : before) value = 1 + double(numbers()) / 0x1p32;
    for (double& value : after) value = 2 + double(numbers()) / 0x1p32;
    std::vector<double> ratios;
    for (const double x : before)
      for (const double y : after) ratios.push_back(y / x);
    std::sort(ratios.begin(), ratios.end());
    size_t cut = 0;
    while (counted_share(a, b, cut + 1) <= 0.025) ++cut;
    const Ratio got = ratio_of(before, after);
    EXPECT_EQ(got.low, ratios[cut]) << a << " and " << b;
    EXPECT_EQ(got.high, ratios[ratios.size() - 1 - cut]);
    EXPECT_NEAR(got.coverage, 1 - 2 * counted_share(a, b, cut), 1e-12);
    EXPECT_GT(got.value, got.low);
    EXPECT_LT(got.value, got.high);
  }
}

TEST(BenchStatistics, TooFewSamplesSaySo) {
  const std::vector<double> three = {1, 2, 3}, one = {1};
  EXPECT_NEAR(ratio_of(three, three).coverage, 1 - 2.0 / 20, 1e-12);
  EXPECT_NEAR(ratio_of(one, one).coverage, 0, 1e-12);
}

TEST(BenchStatistics, ManySamplesUseTheApproximation) {
  const std::vector<double> many = one_to(60);
  const Ratio got = ratio_of(many, many);
  EXPECT_EQ(got.coverage, 0.95);
  EXPECT_EQ(got.value, 1);
  EXPECT_NEAR(got.low * got.high, 1, 0.02);
}

}  // namespace
}  // namespace pumice::bench
