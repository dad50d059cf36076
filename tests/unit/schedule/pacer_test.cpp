// Cutting lists to budgets, and a pacer that learns the costs of an invented device.
#include "engine/schedule/pacer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

namespace pumice {
namespace {

TEST(SlicePlan, TakesWholeDispatchesWhileTheyFit) {
  const std::vector<DispatchEstimate> list(10, {100, 32, true});
  const SlicePlan plan = plan_slice(list, {0, 0}, 350, 100);
  EXPECT_EQ(plan.to, (Place{3, 16})) << "half of a dispatch that is large for the budget";
  EXPECT_EQ(plan.pieces, 4u);
  EXPECT_DOUBLE_EQ(plan.us, 350);
  const SlicePlan wide = plan_slice(list, {0, 0}, 950, 100);
  EXPECT_EQ(wide.to, (Place{9, 0})) << "small dispatches are not cut";
  EXPECT_EQ(plan_slice(list, {3, 16}, 5000, 100).to, (Place{10, 0}));
}

TEST(SlicePlan, CutsWhatIsLongerThanTheBudget) {
  const std::vector<DispatchEstimate> list{{10, 1, true}, {10000, 1000, true}, {10, 1, true}};
  Place at{0, 0};
  uint32_t parts = 0;
  while (at < Place{3, 0}) {
    const SlicePlan plan = plan_slice(list, at, 500, 100);
    EXPECT_LE(plan.us, 500);
    ASSERT_LT(at, plan.to);
    at = plan.to;
    ++parts;
  }
  EXPECT_GE(parts, 21u);
  EXPECT_LE(parts, 23u);
}

TEST(SlicePlan, AlwaysMovesOn) {
  const std::vector<DispatchEstimate> list{{900, 3, true}, {900, 1, true}};
  EXPECT_EQ(plan_slice(list, {0, 0}, 10, 100).to, (Place{0, 1}));
  EXPECT_EQ(plan_slice(list, {0, 2}, 10, 100).to, (Place{1, 0}));
  EXPECT_EQ(plan_slice(list, {1, 0}, 10, 100).to, (Place{2, 0})) << "what cannot be cut runs whole";
}

TEST(SlicePlan, StopsAfterAGuessAndAtTheMostPieces) {
  const std::vector<DispatchEstimate> list{{10, 1, true}, {10, 1, false}, {10, 1, true}};
  const SlicePlan plan = plan_slice(list, {0, 0}, 1000, 100);
  EXPECT_EQ(plan.to, (Place{2, 0}));
  EXPECT_TRUE(plan.guessed);
  EXPECT_EQ(plan_slice(list, {0, 0}, 1000, 1).to, (Place{1, 0}));
}

TEST(SplitAxis, IsTheLongest) {
  Dispatch dispatch;
  dispatch.groups = {4, 512, 2};
  EXPECT_EQ(split_axis(dispatch), 1u);
  EXPECT_EQ(split_groups(dispatch), 512u);
  dispatch.indirect.buffer = 3;
  EXPECT_EQ(split_groups(dispatch), 1u);
}

/// Three layers of four dispatches and a head, with costs that only the test knows.
class PacerTest : public testing::Test {
 protected:
  void SetUp() override {
    for (uint32_t i = 0; i < 13; ++i) {
      Dispatch dispatch;
      dispatch.kernel = i == 12 ? "head" : "k" + std::to_string(i % 4);
      dispatch.groups = {i == 12 ? 4000u : 200u, 1, 1};
      list_.push_back(dispatch);
      costs_.push_back(i == 12 ? 6000.0 : 100.0 * (i % 4 + 1));
    }
    paced_ = pacer_.classify(list_);
  }

  /// Runs a list; answers what each part took.
  std::vector<double> run(double budget_us, bool timestamps) {
    std::vector<double> parts;
    Place at{0, 0};
    const Place end{uint32_t(list_.size()), 0};
    while (at < end) {
      const SlicePlan plan = pacer_.plan(paced_, at, budget_us, kOverhead, 1000);
      EXPECT_TRUE(plan.pieces == 1 || plan.us <= budget_us) << plan.us;
      std::vector<double> pieces;
      const double mood = noise_(random_);
      each_piece(paced_, at, plan.to, [&](uint32_t dispatch, uint32_t, uint32_t groups) {
        pieces.push_back(slowdown_ * mood * costs_[dispatch] * groups / paced_.groups[dispatch]);
      });
      double sum = 0;
      for (const double us : pieces) sum += us;
      pacer_.ended(plan, kOverhead, sum);
      if (timestamps)
        pacer_.measured(paced_, at, plan.to, pieces);
      else
        pacer_.measured_sum(paced_, at, plan.to, sum);
      parts.push_back(sum + kOverhead);
      at = plan.to;
    }
    return parts;
  }

  /// The p-th percentile of the parts of the last 300 of `lists` lists, as a share of the budget.
  double percentile(double p, double budget_us, bool timestamps, int lists) {
    std::vector<double> all;
    for (int i = 0; i < lists; ++i) {
      const auto parts = run(budget_us, timestamps);
      if (i >= lists - 300) all.insert(all.end(), parts.begin(), parts.end());
    }
    std::sort(all.begin(), all.end());
    return all[size_t(p * double(all.size() - 1))] / budget_us;
  }

  static constexpr double kOverhead = 30;
  Pacer pacer_;
  PacedList paced_;
  std::vector<Dispatch> list_;
  std::vector<double> costs_;
  double slowdown_ = 1;
  std::mt19937_64 random_{7};
  std::lognormal_distribution<double> noise_{0, 0.08};
};

TEST_F(PacerTest, LayersShareClasses) {
  EXPECT_EQ(paced_.classes[0], paced_.classes[4]);
  EXPECT_NE(paced_.classes[0], paced_.classes[1]);
  EXPECT_EQ(paced_.groups[12], 4000u);
}

TEST_F(PacerTest, KeepsTheBudget) {
  for (const bool timestamps : {true, false})
    for (const double budget : {400.0, 1000.0, 4000.0}) {
      SCOPED_TRACE(budget);
      pacer_ = {};
      paced_ = pacer_.classify(list_);
      EXPECT_LE(percentile(0.99, budget, timestamps, 500), 1.25) << timestamps;
    }
}

TEST_F(PacerTest, UsesTheBudget) {
  EXPECT_GE(percentile(0.5, 2000, true, 500), 0.6);
  double sum = 0;
  for (const double us : costs_) sum += us;
  EXPECT_NEAR(pacer_.estimate(paced_), sum, 0.1 * sum);
}

TEST_F(PacerTest, FollowsADeviceThatBecomesSlower) {
  (void)percentile(0.99, 1000, true, 300);
  slowdown_ = 2.5;  // another program shares it, or its clocks fall
  EXPECT_LE(percentile(0.99, 1000, true, 320), 1.25);
}

TEST_F(PacerTest, IsNotMisledByACompilerAtFirstUse) {
  const SlicePlan first = pacer_.plan(paced_, {0, 0}, 1000, kOverhead, 1000);
  EXPECT_EQ(first.pieces, 1u) << "one guess at a time";
  const double compiling[] = {900e3};
  pacer_.measured(paced_, {0, 0}, first.to, compiling);
  EXPECT_LE(percentile(0.99, 1000, true, 301), 1.25);
}

}  // namespace
}  // namespace pumice
