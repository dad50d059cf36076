// Steps in slices: the same bits as whole steps, however they are cut.
#include <random>

#include "tests/gpu/row_engine.h"
#include "tests/gpu/row_model.h"

namespace pumice::test {
namespace {

using enum ErrorCode;

class SlicesTest : public ModelTest {
 protected:
  Result<std::unique_ptr<Engine>> load(bool validation = false) {
    LoadOptions options = load_options(model_.path(), kFast);
    options.paced = true;
    options.run.max_sequences = 2;
    options.device.validation = validation;
    return Engine::load(options);
  }

  /// A prompt of two chunks and some tokens of an answer; `budget` says what each advance gets.
  template <class Budget>
  Result<std::vector<Sampled>> answer(Engine& engine, const Budget& budget) {
    engine.rewind(0, 0);
    engine.set_history(0, {});
    engine.set_sampling(0, {.temperature = 0.9f, .repeat_penalty = 1.1f, .seed = 11});
    std::vector<int32_t> tokens;
    for (int32_t i = 0; i < 75; ++i) tokens.push_back((i * 37 + 5) % 100);
    std::vector<Sampled> all;
    while (all.size() < 5) {
      PUMICE_TRY(engine.begin(0, tokens));
      Progress progress;
      while (!progress.finished) {
        PUMICE_TRY_ASSIGN(progress, engine.advance(budget()));
        EXPECT_GT(progress.segments, 0u);
        ++calls_;
      }
      PUMICE_TRY_ASSIGN(const auto sampled, engine.take());
      all.push_back(sampled.front());
      tokens = {all.back().token};
    }
    return all;
  }

  static void expect_same(const Result<std::vector<Sampled>>& found,
                          const Result<std::vector<Sampled>>& expected) {
    ASSERT_TRUE(found) << found.error().text;
    ASSERT_EQ(found->size(), expected->size());
    for (size_t i = 0; i < found->size(); ++i) {
      EXPECT_EQ((*found)[i].token, (*expected)[i].token) << i;
      EXPECT_EQ((*found)[i].logits_hash, (*expected)[i].logits_hash) << i;
    }
  }

  TemporaryModel model_{{}};
  uint32_t calls_ = 0;
};

TEST_F(SlicesTest, AnyBudgetGivesTheSameBits) {
  const auto engine = load();
  ASSERT_TRUE(engine) << engine.error().text;
  const auto expected = answer(**engine, [] { return kNoBudget; });
  ASSERT_TRUE(expected) << expected.error().text;
  const vk::DeviceStatistics before = (*engine)->device().statistics();
  for (const double budget : {150.0, 1000.0, 20000.0}) {
    SCOPED_TRACE(budget);
    calls_ = 0;
    expect_same(answer(**engine, [=] { return budget; }), expected);
    EXPECT_GE(calls_, budget < 1000 ? 20u : 5u);
  }
  std::mt19937 random(3);
  expect_same(answer(**engine,
                     [&] { return random() % 8 == 0 ? kNoBudget : 1.0 + double(random() % 3000); }),
              expected);
  const vk::DeviceStatistics& after = (*engine)->device().statistics();
  EXPECT_EQ(after.allocations, before.allocations);
  EXPECT_EQ(after.pipelines_created, before.pipelines_created);
  EXPECT_EQ(after.descriptor_writes, before.descriptor_writes);
  EXPECT_GT(after.submissions, before.submissions + 30);
}

TEST_F(SlicesTest, AListThatFitsRunsAsItWasRecorded) {
  const auto engine = load();
  ASSERT_TRUE(engine) << engine.error().text;
  const int32_t token[] = {7};
  const auto whole = (*engine)->append_and_sample(0, token);
  ASSERT_TRUE(whole) << whole.error().text;
  (*engine)->rewind(0, 0);
  bool at_once = false;
  for (int i = 0; i < 20 && !at_once; ++i) {
    const uint64_t before = (*engine)->device().statistics().submissions;
    ASSERT_TRUE((*engine)->begin(0, token));
    Progress progress;
    while (!progress.finished) {
      const auto next = (*engine)->advance(90e3);
      ASSERT_TRUE(next) << next.error().text;
      progress = *next;
    }
    const auto sampled = (*engine)->take();
    ASSERT_TRUE(sampled) << sampled.error().text;
    EXPECT_EQ(sampled->front().logits_hash, whole->logits_hash);
    at_once = (*engine)->device().statistics().submissions == before + 1;
    EXPECT_TRUE(!at_once || progress.segments == (*engine)->dispatches_per_step());
    (*engine)->rewind(0, 0);
  }
  if (!at_once) GTEST_SKIP() << "a token takes longer than the budget here";
}

TEST_F(SlicesTest, DispatchesCutToSingleGroupsAreValid) {
  const auto engine = load(true);
  ASSERT_TRUE(engine) << engine.error().text;
  const int32_t prompt[] = {1, 2, 3};
  const auto whole = (*engine)->append_and_sample(0, prompt);
  ASSERT_TRUE(whole) << whole.error().text;
  (*engine)->rewind(0, 0);
  ASSERT_TRUE((*engine)->begin(0, prompt));
  Progress progress;
  uint32_t calls = 0;
  for (; !progress.finished && calls < 60; ++calls) {
    const auto next = (*engine)->advance(0.01);
    ASSERT_TRUE(next) << next.error().text;
    EXPECT_EQ(next->segments, 1u);
    progress = *next;
  }
  EXPECT_FALSE(progress.finished) << "more groups than that";
  const auto rest = (*engine)->advance();
  ASSERT_TRUE(rest) << rest.error().text;
  EXPECT_TRUE(rest->finished);
  EXPECT_EQ((*engine)->take()->front().logits_hash, whole->logits_hash);
  EXPECT_TRUE((*engine)->device().validation_log().empty());
}

TEST_F(SlicesTest, SequencesStepTogetherInSlices) {
  const auto engine = load();
  ASSERT_TRUE(engine) << engine.error().text;
  const StepToken tokens[] = {{0, 7}, {1, 9}};
  const auto whole = (*engine)->step(tokens);
  ASSERT_TRUE(whole) << whole.error().text;
  for (const uint32_t sequence : {0u, 1u}) (*engine)->rewind(sequence, 0);
  ASSERT_TRUE((*engine)->begin(tokens));
  Progress progress;
  while (!progress.finished) progress = *(*engine)->advance(300);
  const auto sampled = (*engine)->take();
  ASSERT_TRUE(sampled) << sampled.error().text;
  ASSERT_EQ(sampled->size(), 2u);
  for (const size_t i : {0, 1}) EXPECT_EQ((*sampled)[i].logits_hash, (*whole)[i].logits_hash);
}

TEST_F(SlicesTest, ADiscardedStepLeavesNoTrace) {
  const auto engine = load();
  ASSERT_TRUE(engine) << engine.error().text;
  const int32_t prompt[] = {4, 8, 15, 16, 23, 42};
  const auto expected = (*engine)->append_and_sample(0, prompt);
  ASSERT_TRUE(expected) << expected.error().text;
  (*engine)->rewind(0, 3);
  const int32_t other[] = {90, 91};
  ASSERT_TRUE((*engine)->begin(0, other));
  for (int i = 0; i < 3; ++i) ASSERT_TRUE((*engine)->advance(200));
  (*engine)->discard();
  EXPECT_EQ((*engine)->length(0), 3u);
  const auto again = (*engine)->append_and_sample(0, std::span(prompt).subspan(3));
  ASSERT_TRUE(again) << again.error().text;
  EXPECT_EQ((*engine)->length(0), 6u);
  (*engine)->rewind(0, 0);
  EXPECT_EQ((*engine)->append_and_sample(0, prompt)->logits_hash, expected->logits_hash);
}

TEST_F(SlicesTest, CallsOutOfTurnAreRefused) {
  const auto engine = load();
  ASSERT_TRUE(engine) << engine.error().text;
  const int32_t prompt[] = {1, 2};
  EXPECT_EQ((*engine)->advance(1000).error().code, BadArgument);
  EXPECT_EQ((*engine)->take().error().code, BadArgument);
  EXPECT_EQ((*engine)->begin(0, {}).error().code, BadArgument);
  EXPECT_EQ((*engine)->begin(2, prompt).error().code, BadArgument);
  const int32_t wrong[] = {1, 100};
  EXPECT_EQ((*engine)->begin(0, wrong).error().code, BadArgument);
  const std::vector<int32_t> long_text(257, 1);
  EXPECT_EQ((*engine)->begin(0, long_text).error().code, ContextFull);
  EXPECT_FALSE((*engine)->in_step());

  ASSERT_TRUE((*engine)->begin(0, prompt));
  EXPECT_EQ((*engine)->begin(0, prompt).error().code, BadArgument);
  EXPECT_EQ((*engine)->append(1, prompt).error().code, BadArgument);
  EXPECT_EQ((*engine)->take().error().code, BadArgument);
  for (const double budget : {0.0, -5.0, std::nan("")})
    EXPECT_EQ((*engine)->advance(budget).error().code, BadArgument);
  EXPECT_TRUE((*engine)->in_step());
  ASSERT_TRUE((*engine)->advance());
  EXPECT_EQ((*engine)->advance().error().code, BadArgument);
  EXPECT_TRUE((*engine)->take());
  EXPECT_EQ((*engine)->take().error().code, BadArgument);
  EXPECT_EQ((*engine)->length(0), 2u);
}

}  // namespace
}  // namespace pumice::test
