// Conversations without a model: what it would read, what a reader sees, how replies end.
#include "engine/session/conversation.h"

#include "talk.h"

namespace pumice::session_tests {
namespace {

TEST(Conversation, WritesTheChatFormat) {
  Conversation talk = conversation();
  ASSERT_TRUE(talk.say(ChatRole::System, "be brief"));
  EXPECT_TRUE(talk.tokens().empty());
  EXPECT_EQ(talk.activity(), Activity::Idle);
  ASSERT_TRUE(talk.say(ChatRole::User, "hi"));
  EXPECT_EQ(talk.activity(), Activity::Reading);
  const std::string first =
      "<s><|im_start|> system\nbe brief<|im_end|> \n<|im_start|> user\nhi<|im_end|> \n"
      "<|im_start|> assistant\n";
  EXPECT_EQ(text_of(talk), first);
  write(talk, "\n ho");
  EXPECT_EQ(talk.activity(), Activity::Writing);
  end(talk);
  EXPECT_EQ(talk.activity(), Activity::Idle);
  EXPECT_EQ(read(talk), "ho");
  ASSERT_EQ(talk.messages().size(), 3u);
  EXPECT_EQ(talk.messages()[2].text, "ho");
  EXPECT_EQ(talk.messages()[2].tokens.size(), 4u);
  EXPECT_EQ(talk.messages()[2].draws, 5u);
  ASSERT_TRUE(talk.say(ChatRole::User, "bye"));
  EXPECT_EQ(text_of(talk), first +
                               "\n ho<|im_end|> \n<|im_start|> user\nbye<|im_end|> \n"
                               "<|im_start|> assistant\n");
}

TEST(Conversation, MarksInWhatIsSaidAreText) {
  Conversation talk = conversation();
  ASSERT_TRUE(talk.say(ChatRole::User, "<|im_end|>"));
  const int32_t mark = tokenizer().find_control("<|im_end|>");
  EXPECT_EQ(std::count(talk.tokens().begin(), talk.tokens().end(), mark), 1);
}

TEST(Conversation, CharactersComeWhole) {
  Conversation talk = conversation();
  ASSERT_TRUE(talk.say(ChatRole::User, "hi"));
  const std::string euro = "\xE2\x82\xAC";
  talk.accept(3 + 0xE2);
  EXPECT_EQ(read(talk), "");
  talk.accept(3 + 0x82);
  EXPECT_EQ(read(talk), "");
  talk.accept(3 + 0xAC);
  EXPECT_EQ(read(talk), euro);
  talk.accept(3 + 0xE2);
  talk.stop();
  EXPECT_EQ(read(talk), "\xEF\xBF\xBD");
  EXPECT_EQ(talk.messages().back().end, ReplyEnd::Stopped);
}

TEST(Conversation, RepliesEndForReasons) {
  struct Row {
    ConversationOptions options;
    std::string written, read;
    ReplyEnd end;
  };
  const Row rows[] = {
      {{.context = 512, .max_tokens = 3}, "abcdef", "abc", ReplyEnd::Limit},
      {{.context = 512, .max_tokens = 0}, "abc", "", ReplyEnd::Limit},
      {{.context = 512, .stops = {"bc", "xyz"}}, "abcdef", "a", ReplyEnd::StopText},
      {{.context = 512, .stops = {"bc"}}, "ab", "a", ReplyEnd::None},
  };
  for (const Row& row : rows) {
    Conversation talk = conversation(row.options);
    ASSERT_TRUE(talk.say(ChatRole::User, "hi"));
    write(talk, row.written);
    EXPECT_EQ(talk.messages().back().end, row.end) << row.written;
    EXPECT_EQ(read(talk), row.read);
  }
}

TEST(Conversation, AFullContextEndsTheReply) {
  Conversation talk = conversation({.context = 60});
  ASSERT_TRUE(talk.say(ChatRole::User, "hi"));
  const size_t before = talk.tokens().size();
  ASSERT_LT(before, 60u);
  write(talk, std::string(100, 'a'));
  EXPECT_EQ(talk.messages().back().end, ReplyEnd::ContextFull);
  EXPECT_EQ(talk.tokens().size(), 61u) << "the last token needs no place";
  const auto said = talk.say(ChatRole::User, "more");
  ASSERT_FALSE(said);
  EXPECT_EQ(said.error().code, ErrorCode::ContextFull);
  EXPECT_EQ(talk.messages().size(), 2u);
}

TEST(Conversation, RolesHaveAnOrder) {
  Conversation talk = conversation();
  EXPECT_FALSE(talk.say(ChatRole::Assistant, "hello"));
  ASSERT_TRUE(talk.say(ChatRole::User, "one"));
  ASSERT_TRUE(talk.say(ChatRole::Assistant, "two"));
  EXPECT_EQ(talk.activity(), Activity::Idle);
  EXPECT_FALSE(talk.say(ChatRole::Assistant, "three"));
  // A question on top of a question stops the first reply, which then is an empty message.
  ASSERT_TRUE(talk.say(ChatRole::User, "three"));
  ASSERT_TRUE(talk.say(ChatRole::User, "four"));
  ASSERT_EQ(talk.messages().size(), 5u);
  EXPECT_EQ(talk.messages()[3].end, ReplyEnd::Stopped);
  EXPECT_EQ(talk.messages()[3].text, "");
}

TEST(Conversation, RepliesThatWereSaidFollowTheirRequest) {
  Conversation said = conversation();
  ASSERT_TRUE(said.say(ChatRole::User, "hi"));
  ASSERT_TRUE(said.say(ChatRole::Assistant, "ab"));
  EXPECT_EQ(said.messages()[1].tokens.size(), 2u) << text_of(said);
  EXPECT_EQ(said.messages()[1].text, "ab");
}

TEST(Conversation, RewindingKeepsTheBeginning) {
  Conversation talk = conversation();
  ASSERT_TRUE(talk.say(ChatRole::User, "hi"));
  const std::vector<int32_t> asked(talk.tokens().begin(), talk.tokens().end());
  write(talk, "one");
  end(talk);
  ASSERT_TRUE(talk.say(ChatRole::User, "and"));
  const uint64_t revision = talk.revision();
  ASSERT_TRUE(talk.rewind(1));
  EXPECT_NE(talk.revision(), revision);
  EXPECT_EQ(talk.activity(), Activity::Reading);
  EXPECT_EQ(std::vector<int32_t>(talk.tokens().begin(), talk.tokens().end()), asked);
  EXPECT_EQ(talk.draws(), 0u);
  EXPECT_EQ(read(talk), "");
  write(talk, "two");
  EXPECT_EQ(read(talk), "two");
  ASSERT_TRUE(talk.rewind(0));
  EXPECT_EQ(talk.activity(), Activity::Idle);
  EXPECT_TRUE(talk.tokens().empty());
  EXPECT_FALSE(talk.rewind(1));
}

TEST(Conversation, TheSystemTextCanChange) {
  Conversation talk = conversation();
  ASSERT_TRUE(talk.say(ChatRole::User, "hi"));
  const std::string without = text_of(talk);
  ASSERT_TRUE(talk.say(ChatRole::System, "be brief"));
  EXPECT_NE(text_of(talk).find("system\nbe brief"), std::string::npos);
  EXPECT_EQ(talk.activity(), Activity::Reading);
  ASSERT_TRUE(talk.say(ChatRole::System, "be long"));
  EXPECT_EQ(text_of(talk).find("brief"), std::string::npos);
  EXPECT_EQ(talk.messages().size(), 2u);
  ASSERT_TRUE(talk.say(ChatRole::System, ""));
  EXPECT_EQ(text_of(talk), without);
  EXPECT_EQ(talk.messages().size(), 1u);
}

TEST(Conversation, PlainTextNeedsNoFormat) {
  Conversation talk = conversation({}, "none");
  EXPECT_EQ(talk.format_name(), "none");
  ASSERT_TRUE(talk.say(ChatRole::System, "a story"));
  ASSERT_TRUE(talk.say(ChatRole::User, "once"));
  EXPECT_EQ(text_of(talk), "<s> a story\nonce");
  write(talk, "upon");
  ASSERT_TRUE(talk.say(ChatRole::User, "a time"));
  EXPECT_EQ(talk.messages()[2].end, ReplyEnd::Stopped);
  EXPECT_FALSE(choose_chat_format(tokenizer(), "nonsense"));
}

}  // namespace
}  // namespace pumice::session_tests
