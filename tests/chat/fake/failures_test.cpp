// What the conversation does when the engine fails: devices lost, models that do not fit, loads
// that are cancelled, conversations longer than the context.
#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "demo/chat/inspect.h"
#include "fake_engine.h"
#include "tests/chat/loop.h"

namespace pumice::chat {
namespace {

class FakeTest : public testing::Test {
 protected:
  void SetUp() override {
    FakeEngine& engine = fake_engine();
    engine.context = 1000, engine.answer = 12, engine.losses = 0, engine.lose_at = 5;
    engine.fits = true, engine.slow = false, engine.loads = 0, engine.borrowed = 0;
    auto opened = History::open_in_memory();
    ASSERT_TRUE(opened);
    history_ = std::move(*opened);
    talk_ = std::make_unique<Talk>([this] { loop_.wake(); });
    chat_ = std::make_unique<Chat>(*history_, *talk_);
  }
  void load(const std::string& path = "fake.gguf") {
    talk_->load({path, "", 0, ""});
    ASSERT_TRUE(loop_.until(*chat_, [&] { return talk_->state().phase != Phase::Loading; }));
  }
  void ask(const std::string& text) {
    ASSERT_TRUE(chat_->send(text)) << chat_->notice();
    ASSERT_TRUE(loop_.until(*chat_, [&] { return !chat_->busy(); }));
  }
  [[nodiscard]] const Message& answer() const { return chat_->messages()[chat_->branch().back()]; }

  Loop loop_;
  std::unique_ptr<History> history_;
  std::unique_ptr<Talk> talk_;
  std::unique_ptr<Chat> chat_;
};

TEST_F(FakeTest, AnAnswerSurvivesALostDevice) {
  load();
  fake_engine().losses = 1;
  ask("go on");
  EXPECT_EQ(answer().text, "1 2 3 4 5 6 7 8 9 10 11 12");
  EXPECT_EQ(answer().state, MessageState::Finished);
  EXPECT_EQ(fake_engine().loads, 2);
  EXPECT_EQ(talk_->state().recoveries, 1u);
  EXPECT_NE(chat_->notice().find("lost"), std::string::npos);
  ask("and on");  // the next one begins with a fresh conscience
  EXPECT_EQ(answer().state, MessageState::Finished);
}

/// What the window does when the engine asks for a fresh device, or when it lost its own.
void renew(Talk& talk) {
  talk.withdraw();
  talk.lend({}, "the window's device");
}

TEST_F(FakeTest, TheWindowsDeviceIsBorrowedAndReplacedWhenItIsLost) {
  talk_->lend({}, "the window's device");
  load();
  EXPECT_EQ(fake_engine().borrowed, 1);
  fake_engine().losses = 1;
  ASSERT_TRUE(chat_->send("go on"));
  ASSERT_TRUE(loop_.until(*chat_, [&] {
    if (talk_->wants_device()) renew(*talk_);
    return !chat_->busy();
  }));
  EXPECT_EQ(answer().text, "1 2 3 4 5 6 7 8 9 10 11 12");
  EXPECT_EQ(fake_engine().borrowed, 2);
  renew(*talk_);  // while nothing is asked: the model is loaded again with the next question
  ask("and on");
  EXPECT_EQ(answer().state, MessageState::Finished);
  EXPECT_EQ(fake_engine().borrowed, 3);
  talk_->load({"fake.gguf", "another device", 0, ""});
  ASSERT_TRUE(loop_.until(*chat_, [&] { return talk_->state().phase == Phase::Ready; }));
  EXPECT_EQ(fake_engine().borrowed, 3);
}

TEST_F(FakeTest, ADeviceIsTakenBackInMidAnswerAndInMidLoad) {
  talk_->lend({}, "the window's device");
  load();
  fake_engine().answer = 60;
  ASSERT_TRUE(chat_->send("count"));
  ASSERT_TRUE(loop_.until(*chat_, [&] { return !answer().text.empty(); }));
  talk_->pause_for_frame();  // as where a frame finds the device lost
  renew(*talk_);
  talk_->resume_after_frame();
  ASSERT_TRUE(loop_.until(*chat_, [&] { return !chat_->busy(); }));
  EXPECT_TRUE(answer().text.ends_with(" 59 60"));
  fake_engine().slow = true;
  talk_->load({"fake.gguf", "", 0, ""});
  ASSERT_TRUE(loop_.until(*chat_, [&] { return talk_->state().total > 0; }));
  talk_->withdraw();
  fake_engine().slow = false;
  talk_->lend({}, "the window's device");
  ASSERT_TRUE(loop_.until(*chat_, [&] { return talk_->state().phase == Phase::Ready; }));
}

TEST_F(FakeTest, ADeviceLostForGoodEndsTheAnswerAndKeepsItsWords) {
  load();
  fake_engine().losses = 1000;
  ask("go on");
  EXPECT_EQ(answer().text, "1 2 3 4");
  EXPECT_EQ(answer().state, MessageState::Stopped);
  EXPECT_EQ(chat_->notice(), "the device was lost");
  fake_engine().losses = 0;
  ask("again");  // the model is loaded anew
  EXPECT_EQ(answer().text, "1 2 3 4 5 6 7 8 9 10 11 12");
}

TEST_F(FakeTest, AFreshDeviceWithoutRoomIsSaid) {
  load();
  fake_engine().losses = 1;
  fake_engine().fits = false;
  ask("go on");
  EXPECT_EQ(answer().text, "1 2 3 4");
  EXPECT_EQ(chat_->notice(), "the device has no room for it");
}

TEST_F(FakeTest, ALoadIsCancelledAndOneThatFailsSaysWhy) {
  fake_engine().slow = true;
  talk_->load({"fake.gguf", "", 0, ""});
  ASSERT_TRUE(loop_.until(*chat_, [&] { return talk_->state().total > 0; }));
  talk_->cancel_load();
  ASSERT_TRUE(loop_.until(*chat_, [&] { return talk_->state().phase == Phase::Empty; }));
  EXPECT_EQ(talk_->state().trouble, "the load was cancelled");
  fake_engine().slow = false;
  fake_engine().fits = false;
  EXPECT_FALSE(inspect_model("fake.gguf", "", 0).fits());
  load();
  EXPECT_EQ(talk_->state().trouble, "the device has no room for it");
  load("letter.txt");
  EXPECT_EQ(talk_->state().trouble, "this is not a model");
  EXPECT_FALSE(chat_->send("anyone?"));
}

TEST_F(FakeTest, ClosingDuringALoadOrAnAnswerEndsBoth) {
  load();
  fake_engine().answer = 1000000;
  ASSERT_TRUE(chat_->send("count"));
  const int64_t talk = chat_->current().id;
  ASSERT_TRUE(loop_.until(*chat_, [&] { return !answer().text.empty(); }));
  chat_.reset();  // what is on screen is in the history as stopped
  const auto kept = history_->messages(talk);
  ASSERT_TRUE(kept);
  EXPECT_EQ(kept->back().state, MessageState::Stopped);
  EXPECT_TRUE(kept->back().text.starts_with("1"));
  fake_engine().slow = true;
  talk_->load({"fake.gguf", "", 0, ""});
  talk_.reset();
}

TEST_F(FakeTest, OldTurnsAreLeftOutWhereTheContextIsShort) {
  fake_engine().context = 60;
  load();
  for (int i = 0; i < 12; ++i) {
    ask("what comes next, please?");  // 4 + 12 tokens a turn
    EXPECT_EQ(answer().state, MessageState::Finished) << i;
    EXPECT_EQ(chat_->notice(), "");
    EXPECT_LE(talk_->state().tokens, 60u);
  }
  EXPECT_GT(talk_->state().left_out, 14u);
  EXPECT_EQ(chat_->messages().size(), 24u);  // all of them stay on screen
  std::string longest;
  for (int i = 0; i < 61; ++i) longest += "word ";
  ask(longest);
  EXPECT_EQ(chat_->notice(), "it does not fit any more");
  EXPECT_EQ(answer().state, MessageState::Stopped);
}

TEST_F(FakeTest, TimesAreToldByKindOfKernel) {
  load();
  fake_engine().answer = 40;
  ask("count");
  const TalkState state = talk_->state();
  ASSERT_EQ(state.families.size(), kFamilies);
  EXPECT_EQ(state.families[0], "kind 0");
  EXPECT_EQ(state.families.back(), "the others");
  ASSERT_FALSE(state.token_times.empty());
  EXPECT_FLOAT_EQ(state.token_times[0].ms, 8);
  EXPECT_FLOAT_EQ(state.token_times[0].parts[0], 1);
  EXPECT_FLOAT_EQ(state.token_times[0].parts[kFamilies - 1], 3);
}

}  // namespace
}  // namespace pumice::chat
