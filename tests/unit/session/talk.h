// Conversations in the vocabulary of the chat fixture, answered by the tests themselves.
#pragma once

#include <gtest/gtest.h>

#include <string>

#include "engine/session/conversation.h"
#include "tests/support/chat_model.h"

namespace pumice::session_tests {

inline std::shared_ptr<const GgufFile> fixture() {
  static const auto file = test::chat_model().open();
  return *file;
}

inline Tokenizer tokenizer() {
  static const Result<Tokenizer> made = Tokenizer::create(fixture()->metadata());
  EXPECT_TRUE(made) << made.error().text;
  return *made;
}

inline int32_t id_of(std::string_view piece) {
  const Tokenizer tokens = tokenizer();
  for (int32_t id = 0; id < tokens.n_vocab(); ++id)
    if (tokens.piece(id) == piece) return id;
  ADD_FAILURE() << "no piece " << piece;
  return 0;
}

inline Conversation conversation(ConversationOptions options = {}, const std::string& format = "") {
  if (options.context == 0) options.context = 512;
  auto chosen = choose_chat_format(tokenizer(), format);
  EXPECT_TRUE(chosen) << chosen.error().text;
  return {tokenizer(), std::move(*chosen), std::move(options)};
}

/// The model "writes" these bytes, one token each.
inline void write(Conversation& talk, std::string_view text) {
  for (const char c : text) talk.accept(3 + uint8_t(c));
}
inline void end(Conversation& talk) {
  talk.accept(tokenizer().find_control("<|im_end|>"));
}

inline std::string text_of(const Conversation& talk) {
  return tokenizer().decode(talk.tokens(), {.render_special = true});
}

inline std::string read(Conversation& talk) {
  const std::string text(talk.unread());
  talk.take_unread(text.size());
  return text;
}

}  // namespace pumice::session_tests
