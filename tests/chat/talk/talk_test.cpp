// The conversation with a real engine behind it, and without a window: what is asked, answered,
// stopped, branched and refused ends in the history as it was on screen.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "demo/chat/inspect.h"
#include "tests/chat/loop.h"

namespace pumice::chat {
namespace {

const std::string kModel = std::string(PUMICE_ORACLE_DIR) + "/real/dreams260K-f32.gguf";

class TalkTest : public testing::Test {
 protected:
  void SetUp() override {
    auto opened = History::open_in_memory();
    ASSERT_TRUE(opened);
    history_ = std::move(*opened);
    talk_ = std::make_unique<Talk>([this] { loop_.wake(); });
    chat_ = std::make_unique<Chat>(*history_, *talk_);
    chat_->sampling.max_tokens = 12;
  }
  /// False: the test was skipped.
  bool load() {
    if (!std::filesystem::exists(kModel)) return skip("the reference models are not here");
    if (list_devices().empty()) return skip("no Vulkan device is here");
    talk_->load({kModel, "", 512});
    EXPECT_TRUE(loop_.until(*chat_, [&] { return talk_->state().phase != Phase::Loading; }));
    EXPECT_EQ(talk_->state().phase, Phase::Ready) << talk_->state().trouble;
    return talk_->state().phase == Phase::Ready;
  }
  static bool skip(const char* reason) {
    [&] { GTEST_SKIP() << reason; }();
    return false;
  }
  void wait() {
    ASSERT_TRUE(loop_.until(*chat_, [&] { return !chat_->busy(); }));
  }
  [[nodiscard]] const Message& shown(size_t at) const {
    return chat_->messages()[chat_->branch()[at]];
  }

  Loop loop_;
  std::unique_ptr<History> history_;
  std::unique_ptr<Talk> talk_;
  std::unique_ptr<Chat> chat_;
};

TEST_F(TalkTest, WithoutAModelNothingIsSent) {
  EXPECT_FALSE(chat_->send("hello"));
  EXPECT_NE(chat_->notice().find("No model"), std::string::npos);
  EXPECT_TRUE(chat_->list().empty());
}

TEST_F(TalkTest, AnswersBranchesAndKeepsWhatWasOnScreen) {
  if (!load()) return;
  chat_->random_seed = false;  // some seeds end the answer before its first word
  ASSERT_TRUE(chat_->send("Once upon a time, there was a stone."));
  EXPECT_TRUE(chat_->busy());
  wait();
  ASSERT_EQ(chat_->branch().size(), 2u) << chat_->notice();
  const std::string first = shown(1).text;
  EXPECT_FALSE(first.empty());
  EXPECT_GT(talk_->state().tokens_per_second, 0);
  EXPECT_GT(talk_->state().tokens, 8u);

  ++chat_->sampling.seed;
  chat_->regenerate(shown(1).id);
  wait();
  EXPECT_EQ(chat_->siblings(shown(1).id).size(), 2u);
  chat_->turn_to(shown(1).id, -1);
  EXPECT_EQ(shown(1).text, first);

  ASSERT_TRUE(chat_->edit(shown(0).id, "One day, a girl saw a hill."));
  wait();
  EXPECT_EQ(chat_->siblings(shown(0).id).size(), 2u);
  const auto kept = history_->messages(chat_->current().id);
  ASSERT_TRUE(kept);
  ASSERT_EQ(kept->size(), 5u);
  for (const Message& each : chat_->messages())
    for (const Message& stored : *kept)
      if (stored.id == each.id) {
        EXPECT_EQ(stored.text, each.text);
        EXPECT_NE(stored.state, MessageState::Writing);
      }
}

TEST_F(TalkTest, TheSameSeedGivesTheSameAnswerWhateverCameBetween) {
  if (!load()) return;
  chat_->random_seed = false;
  chat_->sampling.seed = 7;
  chat_->sampling.temperature = 1;
  ASSERT_TRUE(chat_->send("The sun was warm."));
  wait();
  const std::string first = shown(1).text;
  chat_->begin_new();
  ASSERT_TRUE(chat_->send("Lily had a big red ball."));
  wait();
  chat_->begin_new();
  ASSERT_TRUE(chat_->send("The sun was warm."));
  wait();
  EXPECT_EQ(shown(1).text, first);
}

TEST_F(TalkTest, StopsAndGoesOnElsewhere) {
  if (!load()) return;
  chat_->random_seed = false;  // some seeds end the answer before its first word
  chat_->sampling.max_tokens = 400;
  ASSERT_TRUE(chat_->send("Tom went to the park."));
  const int64_t left = chat_->current().id;
  ASSERT_TRUE(loop_.until(*chat_, [&] { return !shown(1).text.empty(); }));
  chat_->begin_new();  // stops the answer, keeps what there is of it
  EXPECT_FALSE(chat_->busy());
  chat_->sampling.max_tokens = 8;
  ASSERT_TRUE(chat_->send("A cat sat."));
  wait();
  EXPECT_FALSE(shown(1).text.empty());
  const auto kept = history_->messages(left);
  ASSERT_TRUE(kept);
  EXPECT_EQ(kept->at(1).state, MessageState::Stopped);
  EXPECT_FALSE(kept->at(1).text.empty());
}

TEST_F(TalkTest, SaysWhatAFileNeedsOrWhyItCannotRun) {
  const std::string letter = testing::TempDir() + "pumice-letter.gguf";
  std::ofstream(letter) << "Dear model,";
  EXPECT_FALSE(inspect_model(letter, "", 0).trouble.empty());
  EXPECT_FALSE(inspect_model(letter, "", 0).fits());
  talk_->load({letter, "", 0});
  EXPECT_TRUE(loop_.until(*chat_, [&] { return talk_->state().phase == Phase::Empty; }));
  EXPECT_FALSE(talk_->state().trouble.empty());
  std::filesystem::remove(letter);
  if (!std::filesystem::exists(kModel) || list_devices().empty()) return;
  const Fit fit = inspect_model(kModel, "", 512);
  EXPECT_TRUE(fit.fits()) << fit.trouble;
  EXPECT_EQ(fit.context, 512u);
  EXPECT_GT(fit.needs, 1u << 20);
}

TEST(Titles, AreOneShortLine) {
  EXPECT_EQ(title_of("Why?\nBecause."), "Why?");
  EXPECT_EQ(title_of("  ## Heading"), "Heading");
  EXPECT_EQ(title_of(" \n "), "Conversation");
  const std::string longest = title_of(std::string(30, 'a') + " " + std::string(80, 'b'));
  EXPECT_EQ(longest, std::string(30, 'a') + "\u2026");
  EXPECT_LE(title_of(std::string(200, '\xC3')).size(), 64u);
}

}  // namespace
}  // namespace pumice::chat
