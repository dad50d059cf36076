#include "engine/quant/bootstrap.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <random>

namespace pumice::quant {
namespace {

double normal(std::mt19937_64& random) {
  const double u = (double(random() >> 11) + 0.5) * 0x1p-53, v = double(random() >> 11) * 0x1p-53;
  return std::sqrt(-2 * std::log(u)) * std::cos(2 * std::numbers::pi * v);
}

TEST(Blocks, CoverEveryPositionOnce) {
  struct Row {
    uint32_t chunks, per_chunk, blocks;
  };
  const Row rows[] = {
      {100, 255, 100},                // whole chunks
      {32, 255, 32},   {1, 255, 16},  // runs of 16
      {4, 255, 68},                   // runs of 15.9 -> 16, 16 and a rest in each of the four
      {16, 255, 80},                  // runs of 63
      {1, 3, 1},
  };
  for (const Row& row : rows) {
    const Blocks blocks(row.chunks, row.per_chunk);
    uint64_t at = 0;
    for (uint32_t b = 0; b < blocks.count(); ++b) {
      EXPECT_EQ(blocks.begin(b), at);
      EXPECT_GT(blocks.end(b), at);
      EXPECT_EQ(blocks.begin(b) / row.per_chunk, (blocks.end(b) - 1) / row.per_chunk)
          << "a block of two chunks";
      at = blocks.end(b);
    }
    EXPECT_EQ(at, uint64_t{row.chunks} * row.per_chunk);
    EXPECT_NEAR(blocks.count(), row.blocks, row.blocks / 15.0) << row.chunks;
  }
}

TEST(Bootstrap, SameSeedSameErrors) {
  std::mt19937_64 random(1);
  std::vector<std::vector<double>> columns(1, std::vector<double>(400));
  for (double& x : columns[0]) x = normal(random);
  const Blocks blocks(4, 100);
  const auto error = [&](uint64_t seed) {
    return bootstrap_means(columns, blocks, {1000, seed})[0].error;
  };
  EXPECT_EQ(error(1), error(1));
  EXPECT_NE(error(1), error(2));
  EXPECT_NEAR(error(1) / error(2), 1.0, 0.2);
}

TEST(Bootstrap, PairsStayPairs) {
  std::vector<std::vector<double>> columns(3, std::vector<double>(3200));
  std::mt19937_64 random(3);
  for (size_t i = 0; i < columns[0].size(); ++i) {
    columns[0][i] = 10 * normal(random);
    columns[1][i] = columns[0][i] + 0.001 * normal(random);
    columns[2][i] = columns[1][i] - columns[0][i];
  }
  const auto means = bootstrap_means(columns, Blocks(32, 100), {});
  EXPECT_GT(means[0].error, 0.1);
  EXPECT_LT(means[2].error, 0.0001) << "the difference of two alike is known far better than each";
}

/// How often value +- 1.96 errors holds the truth, over made-up data whose blocks are alike inside.
template <class Measure>
double coverage(double truth, const Measure& measure) {
  constexpr int kSets = 400;
  int inside = 0;
  std::mt19937_64 random(5);
  for (int set = 0; set < kSets; ++set) {
    std::vector<std::vector<double>> columns(1);
    for (int block = 0; block < 60; ++block) {
      const double common = normal(random);
      for (int i = 0; i < 20; ++i) columns[0].push_back(common + normal(random));
    }
    const Estimate estimate = measure(columns, Blocks(60, 20));
    inside += std::abs(estimate.value - truth) < 1.96 * estimate.error;
  }
  return double(inside) / kSets;
}

TEST(Bootstrap, CoversTheTruth) {
  const double means = coverage(0.0, [](const auto& columns, const Blocks& blocks) {
    return bootstrap_means(columns, blocks, {200, 1})[0];
  });
  EXPECT_GT(means, 0.90);
  EXPECT_LT(means, 0.98);
  constexpr double kNinety = 1.2815515655446004 * 1.4142135623730951;  // of variance 1 + 1
  const double quantiles = coverage(kNinety, [](const auto& columns, const Blocks& blocks) {
    constexpr double kFraction[] = {0.9};
    return bootstrap_quantiles(columns[0], kFraction, blocks, {200, 1})[0];
  });
  EXPECT_GT(quantiles, 0.88);
  EXPECT_LT(quantiles, 0.99);
}

TEST(Quantiles, InterpolateBetweenNeighbours) {
  const std::vector<double> column = {4, 1, 3, 2, 0};
  const std::vector<double> fractions = {0, 0.1, 0.125, 0.5, 0.9, 1.0};
  const auto found = bootstrap_quantiles(column, fractions, Blocks(5, 1), {10, 1});
  const double expected[] = {0, 0.4, 0.5, 2, 3.6, 4};
  for (size_t i = 0; i < fractions.size(); ++i)
    EXPECT_NEAR(found[i].value, expected[i], 1e-12) << fractions[i];
  EXPECT_EQ(bootstrap_quantiles({}, fractions, Blocks(0, 1), {})[0].value, 0.0);
  const std::vector<double> one = {7};
  EXPECT_EQ(bootstrap_quantiles(one, fractions, Blocks(1, 1), {})[3].value, 7.0);
}

// A replicate's quantile must be that of the values it drew.
TEST(Quantiles, OfReplicatesAreThoseOfTheDrawnValues) {
  std::mt19937_64 random(8);
  std::vector<double> column(120);
  for (double& x : column) x = std::floor(normal(random) * 3);  // with ties
  const Blocks blocks(40, 3);
  const std::vector<double> fractions = {0.25, 0.5, 0.99};
  std::vector<Spread> plain(3);
  for_replicates(blocks, {50, 4}, [&](std::span<const uint32_t> draws) {
    std::vector<double> drawn;
    for (uint32_t b = 0; b < blocks.count(); ++b)
      for (uint32_t k = 0; k < draws[b]; ++k)
        drawn.insert(drawn.end(), column.begin() + std::ptrdiff_t(blocks.begin(b)),
                     column.begin() + std::ptrdiff_t(blocks.end(b)));
    std::sort(drawn.begin(), drawn.end());
    for (size_t f = 0; f < fractions.size(); ++f) {
      const double place = fractions[f] * double(drawn.size() - 1);
      const size_t low = size_t(place);
      const double next = drawn[std::min(low + 1, drawn.size() - 1)];
      plain[f].add(drawn[low] + (place - double(low)) * (next - drawn[low]));
    }
  });
  const auto found = bootstrap_quantiles(column, fractions, blocks, {50, 4});
  for (size_t f = 0; f < fractions.size(); ++f)
    EXPECT_NEAR(found[f].error, plain[f].deviation(), 1e-12);
}

// Values of Wilson's formula from its definition: |share - p| = z sqrt(p (1 - p) / n) at both ends.
TEST(Wilson, EndsSolveTheEquation) {
  for (const auto& [hits, n] :
       std::vector<std::pair<uint64_t, uint64_t>>{{3, 10}, {50, 60}, {1, 2}}) {
    const Interval interval = wilson(hits, n);
    const double share = double(hits) / double(n);
    for (const double p : {interval.low, interval.high})
      EXPECT_NEAR(std::abs(share - p), 1.959963985 * std::sqrt(p * (1 - p) / double(n)), 1e-8);
  }
  EXPECT_EQ(wilson(0, 5).low, 0.0);
  EXPECT_EQ(wilson(5, 5).high, 1.0);
  EXPECT_EQ(wilson(0, 0).high, 1.0);
}

}  // namespace
}  // namespace pumice::quant
