// Saved sessions: all that was there comes back, and nothing else is believed.
#include "engine/session/session_state.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <cstring>
#include <random>

#include "talk.h"

namespace pumice::session_tests {
namespace {

constexpr uint64_t kModel = 0x1234;

/// System, a question with an answer, a question with half an answer of which some was read.
void fill(Session& session) {
  Conversation& talk = session.conversation();
  ASSERT_TRUE(talk.say(ChatRole::System, "be brief"));
  ASSERT_TRUE(talk.say(ChatRole::User, "hi"));
  ASSERT_TRUE(talk.say(ChatRole::Assistant, "ho"));
  ASSERT_TRUE(talk.say(ChatRole::User, "and"));
  write(talk, "abc");
  talk.take_unread(1);
  talk.accept(3 + 0xE2);  // the beginning of a character
}

SamplingOptions lively() {
  SamplingOptions sampling;
  sampling.temperature = 0.7f;
  sampling.seed = uint64_t{1} << 40;
  return sampling;
}

/// With the checksum that belongs to it, as an attacker would write it.
std::vector<std::byte> sealed(std::vector<std::byte> state) {
  const uint64_t hash = XXH3_64bits(state.data(), state.size() - 8);
  std::memcpy(state.data() + state.size() - 8, &hash, 8);
  return state;
}

TEST(SessionState, ComesBackWhole) {
  Session session(conversation({.context = 512, .max_tokens = 50}), 0, lively());
  fill(session);
  const std::vector<std::byte> state = save_session(session, kModel);
  EXPECT_LT(state.size(), 120u);
  Session other(conversation(), 0, {});
  ASSERT_TRUE(load_session(other, kModel, state));
  Conversation &a = session.conversation(), &b = other.conversation();
  EXPECT_EQ(other.sampling().seed, lively().seed);
  EXPECT_EQ(other.sampling().temperature, 0.7f);
  EXPECT_EQ(b.options().max_tokens, 50);
  EXPECT_EQ(b.activity(), Activity::Writing);
  EXPECT_EQ(b.draws(), a.draws());
  EXPECT_TRUE(std::ranges::equal(a.tokens(), b.tokens()));
  ASSERT_EQ(a.messages().size(), b.messages().size());
  for (size_t i = 0; i < a.messages().size(); ++i)
    EXPECT_EQ(a.messages()[i].text, b.messages()[i].text);
  EXPECT_EQ(b.unread(), "bc");
  for (Conversation* talk : {&a, &b}) {
    talk->accept(3 + 0x82);
    talk->accept(3 + 0xAC);
    EXPECT_EQ(read(*talk), "bc\xE2\x82\xAC");
  }
  EXPECT_EQ(save_session(other, kModel), save_session(session, kModel));
}

TEST(SessionState, AnotherModelOrFormatIsRefused) {
  Session session(conversation(), 0, {});
  fill(session);
  const std::vector<std::byte> state = save_session(session, kModel);
  Session other(conversation(), 0, {});
  const auto wrong_model = load_session(other, kModel + 1, state);
  ASSERT_FALSE(wrong_model);
  EXPECT_EQ(wrong_model.error().code, ErrorCode::BadArgument);
  Session plain(conversation({}, "none"), 0, {});
  const auto wrong_format = load_session(plain, kModel, state);
  ASSERT_FALSE(wrong_format);
  EXPECT_NE(wrong_format.error().text.find("chatml"), std::string::npos);
  Session small(conversation({.context = 30}), 0, {});
  const auto too_long = load_session(small, kModel, state);
  ASSERT_FALSE(too_long);
  EXPECT_EQ(too_long.error().code, ErrorCode::ContextFull);
}

// Every byte of a state set to many values, with the right checksum: refused with words, or a
// conversation that can be saved and loaded again.
TEST(SessionState, HostileStatesAreRefusedOrHarmless) {
  Session session(conversation(), 0, lively());
  fill(session);
  const std::vector<std::byte> good = save_session(session, kModel);
  size_t refused = 0, taken = 0;
  for (size_t at = 16; at + 8 < good.size(); ++at)
    for (const int value : {0, 1, 4, 5, 0x7F, 0x80, 0xFF}) {
      std::vector<std::byte> state = good;
      state[at] = std::byte(value);
      Session other(conversation(), 0, {});
      const auto loaded = load_session(other, kModel, sealed(state));
      if (!loaded) {
        EXPECT_FALSE(loaded.error().text.empty());
        EXPECT_TRUE(other.conversation().messages().empty());
        ++refused;
        continue;
      }
      ++taken;
      const std::vector<std::byte> again = save_session(other, kModel);
      Session third(conversation(), 0, {});
      EXPECT_TRUE(load_session(third, kModel, again)) << at << " = " << value;
    }
  EXPECT_GT(refused, 100u);
  EXPECT_GT(taken, 100u);
}

TEST(SessionState, ACacheTravelsWithIt) {
  Session session(conversation(), 0, {}), other(conversation(), 0, {});
  fill(session);
  const SavedCache cache{7, 99, std::vector<std::byte>(500, std::byte{3})};
  const auto loaded = load_session(other, kModel, save_session(session, kModel, &cache));
  ASSERT_TRUE(loaded) << loaded.error().text;
  ASSERT_TRUE(loaded->has_value());
  EXPECT_EQ((*loaded)->tokens, 7u);
  EXPECT_EQ((*loaded)->layout, 99u);
  EXPECT_EQ((*loaded)->bytes, cache.bytes);
  const SavedCache longer{700, 99, cache.bytes};
  const auto ignored = load_session(other, kModel, save_session(session, kModel, &longer));
  ASSERT_TRUE(ignored);
  EXPECT_FALSE(ignored->has_value()) << "of more tokens than there are";
}

TEST(SessionState, NoiseIsRefused) {
  std::mt19937 random(5);
  Session session(conversation(), 0, {});
  fill(session);
  const std::vector<std::byte> good = save_session(session, kModel);
  for (int round = 0; round < 300; ++round) {
    std::vector<std::byte> state(good.begin(), good.begin() + 16);
    for (size_t i = random() % 200 + 8; i > 0; --i) state.push_back(std::byte(random()));
    Session other(conversation(), 0, {});
    EXPECT_FALSE(load_session(other, kModel, sealed(state)));
  }
}

TEST(SessionState, FingerprintsTellModelsApart) {
  const auto one = model_fingerprint(*fixture());
  ASSERT_TRUE(one) << one.error().text;
  EXPECT_EQ(*one, *model_fingerprint(*fixture()));
  test::SyntheticModel changed = test::chat_model();
  changed.tensors().at("blk.1.ffn_down.weight").values =
      test::SyntheticModel::random("other", {96, 64});
  const auto file = changed.open();
  ASSERT_TRUE(file);
  EXPECT_NE(*model_fingerprint(**file), *one);
}

}  // namespace
}  // namespace pumice::session_tests
