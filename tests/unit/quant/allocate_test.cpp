// The knapsack against every choice there is, the front, the additive model, scaling from anchors,
// random allocations and rank correlation; budgets in words. No model runs here.
#include "engine/quant/allocate.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>

#include "engine/quant/budget.h"
#include "engine/quant/prediction.h"

namespace pumice::quant {
namespace {

const std::vector<QuantType> kTypes = {QuantType::Q2_K, QuantType::Q4_K, QuantType::Q6_K,
                                       QuantType::Q8_0};

uint64_t size_of(QuantType type, uint64_t weights) {
  return weights / info(type).block_weights * info(type).block_bytes;
}

/// Tensors of several sizes whose KLDs fall with the bits, mostly; now and then a type is no
/// choice.
Sensitivity made_up(uint32_t seed, size_t tensors) {
  std::mt19937 random(seed);
  Sensitivity made;
  made.candidates = kTypes;
  made.kept_bytes = 1000;
  for (size_t t = 0; t < tensors; ++t) {
    TensorSensitivity row;
    row.name = "t" + std::to_string(t);
    row.weights = 256 * (1 + random() % 40);
    made.weights += row.weights;
    double kld = double(1 + random() % 1000) * 1e-3;
    for (const QuantType type : kTypes) {
      const bool allowed = type == QuantType::Q4_K || random() % 5 != 0;
      row.kld.push_back(kld);
      row.weight_error.push_back(kld * 0.1);
      row.measured.push_back(1);
      row.bytes.push_back(allowed ? size_of(type, row.weights) : 0);
      kld *= double(1 + random() % 1100) * 1e-3;
    }
    made.tensors.push_back(std::move(row));
  }
  return made;
}

/// The least KLD of all choices within a budget; infinite when there is none.
double brute_force(const Sensitivity& made, uint64_t budget, size_t t, uint64_t bytes, double kld) {
  if (bytes > budget) return std::numeric_limits<double>::infinity();
  if (t == made.tensors.size()) return kld;
  double best = std::numeric_limits<double>::infinity();
  for (size_t i = 0; i < made.candidates.size(); ++i)
    if (made.tensors[t].allows(i))
      best = std::min(best, brute_force(made, budget, t + 1, bytes + made.tensors[t].bytes[i],
                                        kld + made.tensors[t].kld[i]));
  return best;
}

TEST(Allocate, FindsTheBestOfAllChoices) {
  for (uint32_t seed = 0; seed < 60; ++seed) {
    const Sensitivity made = made_up(seed, 7);
    const uint64_t least = least_bytes(made);
    for (const uint64_t more : {0, 1, 700, 3000, 9001, 20000, 90000}) {
      const Result<Allocation> chosen = allocate(made, least + more);
      ASSERT_TRUE(chosen) << chosen.error().text;
      EXPECT_LE(chosen->bytes, least + more);
      EXPECT_TRUE(chosen->exact);
      EXPECT_EQ(chosen->bytes, bytes_of(made, chosen->types));
      EXPECT_DOUBLE_EQ(chosen->predicted_kld, predict_kld(made, chosen->types));
      const double best = brute_force(made, least + more, 0, made.kept_bytes, 0);
      EXPECT_NEAR(chosen->predicted_kld, best, 1e-12) << "seed " << seed << ", " << more;
    }
  }
}

TEST(Allocate, ABudgetBelowTheSmallestSaysWhatIsNeeded) {
  const Sensitivity made = made_up(3, 5);
  const uint64_t least = least_bytes(made);
  const Result<Allocation> none = allocate(made, least - 1);
  ASSERT_FALSE(none);
  EXPECT_NE(none.error().text.find(std::to_string(least)), std::string::npos) << none.error().text;
}

TEST(Allocate, ManyTensorsAreQuickAndNearTheHull) {
  const Sensitivity made = made_up(5, 300);
  const auto front = pareto_front(made);
  const uint64_t budget = (front.front().bytes + front.back().bytes) / 2;
  const Result<Allocation> chosen = allocate(made, budget);
  ASSERT_TRUE(chosen);
  EXPECT_LE(chosen->bytes, budget);
  double below = front.front().predicted_kld, above = 0;  // of the corners around the budget
  for (const Allocation& corner : front) {
    if (corner.bytes <= budget) below = corner.predicted_kld;
    if (corner.bytes > budget && above == 0) above = corner.predicted_kld;
  }
  EXPECT_LE(chosen->predicted_kld, below);
  EXPECT_GT(chosen->predicted_kld, above);
  const Result<Allocation> again = allocate(made, budget);
  EXPECT_EQ(again->types, chosen->types);
}

TEST(Allocate, TheFrontOnlyImproves) {
  const Sensitivity made = made_up(7, 20);
  const auto front = pareto_front(made);
  ASSERT_GT(front.size(), 10u);
  EXPECT_EQ(front.front().bytes, least_bytes(made));
  for (size_t i = 1; i < front.size(); ++i) {
    EXPECT_GT(front[i].bytes, front[i - 1].bytes);
    EXPECT_LT(front[i].predicted_kld, front[i - 1].predicted_kld);
    EXPECT_NEAR(allocate(made, front[i].bytes)->predicted_kld, front[i].predicted_kld, 1e-12);
  }
  const auto few = thinned(front, 6);
  ASSERT_EQ(few.size(), 6u);
  EXPECT_EQ(few.front().bytes, front.front().bytes);
  EXPECT_EQ(few.back().bytes, front.back().bytes);
  for (size_t i = 1; i < few.size(); ++i) EXPECT_GT(few[i].bytes, few[i - 1].bytes);
}

TEST(Allocate, ATypeThatIsNoChoicePredictsNothing) {
  Sensitivity made = made_up(1, 1);
  made.tensors[0].bytes[0] = 0;
  EXPECT_TRUE(std::isinf(predict_kld(made, std::vector{QuantType::Q2_K})));
  EXPECT_TRUE(std::isinf(predict_kld(made, std::vector{QuantType::Q5_0})));
  EXPECT_EQ(predict_kld(made, std::vector{QuantType::Q4_K}), made.tensors[0].kld[1]);
}

TensorSensitivity ladder() {
  TensorSensitivity row;
  row.weights = 2560;
  row.weight_error = {1e-1, 1e-2, 1e-3, 1e-4, 0};
  row.kld = {1, 0, 1e-4, 0, 0};  // kld ~ error^2 between the anchors
  row.measured = {1, 0, 1, 0, 0};
  row.bytes = {1000, 1400, 2000, 2700, 5120};
  return row;
}

TEST(Sensitivity, WhatIsNotMeasuredIsScaledFromAnchors) {
  TensorSensitivity row = ladder();
  scale_unmeasured(row);
  EXPECT_NEAR(row.kld[1], 1e-2, 1e-9);   // straight between anchors, in logarithms
  EXPECT_NEAR(row.kld[3], 1e-5, 1e-12);  // in proportion beyond them
  EXPECT_EQ(row.kld[4], 0.0);            // no error, no divergence
  EXPECT_EQ(row.kld[0], 1.0);
  EXPECT_EQ(row.kld[2], 1e-4);
}

TEST(Sensitivity, AnchorsAreSpreadOverTheCoarseTypes) {
  TensorSensitivity row = ladder();
  EXPECT_EQ(anchors_of(row, 0), (std::vector<size_t>{0, 1, 2, 3, 4}));
  EXPECT_EQ(anchors_of(row, 2), (std::vector<size_t>{0, 2}));  // 2700 bytes are 8.4 bits
  EXPECT_EQ(anchors_of(row, 9), (std::vector<size_t>{0, 1, 2}));
  row.bytes[0] = 0;
  EXPECT_EQ(anchors_of(row, 2), (std::vector<size_t>{1, 2}));
  row.bytes = {0, 0, 0, 0, 5120};
  EXPECT_EQ(anchors_of(row, 3), (std::vector<size_t>{4}));
}

TEST(Prediction, RankCorrelation) {
  using V = std::vector<double>;
  EXPECT_DOUBLE_EQ(spearman(V{1, 2, 3, 4}, V{10, 20, 25, 1000}), 1.0);
  EXPECT_DOUBLE_EQ(spearman(V{1, 2, 3, 4}, V{4, 3, 2, 1}), -1.0);
  EXPECT_DOUBLE_EQ(spearman(V{1, 2, 3, 4, 5}, V{2, 1, 4, 3, 5}), 0.8);  // 1 - 6 * 4 / (5 * 24)
  EXPECT_NEAR(spearman(V{1, 1, 2}, V{1, 2, 3}), std::sqrt(0.75), 1e-12);
  EXPECT_EQ(spearman(V{1, 1}, V{1, 2}), 0.0);
}

TEST(Prediction, RandomAllocationsAreChoicesAndRepeat) {
  const Sensitivity made = made_up(11, 12);
  const auto drawn = random_allocations(made, 60, 1);
  ASSERT_EQ(drawn.size(), 60u);
  for (const auto& types : drawn) EXPECT_TRUE(std::isfinite(predict_kld(made, types)));
  EXPECT_NE(drawn[0], drawn[1]);
  EXPECT_EQ(random_allocations(made, 60, 1), drawn);
  EXPECT_NE(random_allocations(made, 60, 2), drawn);
}

TEST(Budget, Words) {
  const BudgetScale scale{1'000'000, 2'000'000};
  EXPECT_EQ(parse_budget("4.5bpw", scale), 562'500u);
  EXPECT_EQ(parse_budget("0.25x", scale), 500'000u);
  EXPECT_EQ(parse_budget("1MiB", scale), 1'048'576u);
  EXPECT_EQ(parse_budget("600KB", scale), 600'000u);
  EXPECT_EQ(parse_budget("12345b", scale), 12'345u);
  for (const char* words : {"", "4.5", "bpw", "-3bpw", "0bpw", "nanbpw", "infbpw", "1e300GiB",
                            "33bpw", "4,5bpw", "4 bpw", "1TiB", "x"})
    EXPECT_FALSE(parse_budget(words, scale)) << words;
}

}  // namespace
}  // namespace pumice::quant
