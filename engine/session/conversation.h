// A conversation as data: messages in, token ids for a model out, its tokens in, text out. Knows
// the chat format and no device; session.h runs one on an engine.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/result.h"
#include "engine/session/reply_text.h"
#include "engine/text/chat_template.h"
#include "engine/text/tokenizer.h"

namespace pumice {

enum class Activity : uint8_t {
  Idle,     ///< nothing to do before something is said
  Reading,  ///< the last message waits for its answer
  Writing,  ///< the last message is an answer that goes on
};

/// Why an answer is no longer written.
enum class ReplyEnd : uint8_t { None, ModelEnded, StopText, Limit, ContextFull, Stopped };

struct Message {
  ChatRole role = ChatRole::User;
  std::string text;
  /// What it adds to the sequence: of a user's message also the marks around it, the system text
  /// before the first one, and the request for an answer. Empty for the system message itself.
  std::vector<int32_t> tokens;
  ReplyEnd end = ReplyEnd::ModelEnded;
  bool by_model = false;
  uint32_t draws = 0;  ///< tokens sampled for it, the one that ended it included
};

struct ConversationOptions {
  uint32_t context = 0;     ///< most tokens
  int64_t max_tokens = -1;  ///< of a reply; negative = until the model ends
  std::vector<std::string> stops;
  bool trims_front = true;     ///< see ReplyText
  bool parse_special = false;  ///< without a format: control tokens are recognised in what is said
};

/// The format a user names ("none" = plain text), or the file's own. No value = plain text, also
/// where the file has no format; one that is not recognised is an error.
[[nodiscard]] Result<std::optional<ChatTemplate>> choose_chat_format(const Tokenizer& tokenizer,
                                                                     const std::string& name);

class Conversation {
 public:
  /// Without a format, texts are continued as they stand. Nothing tells such a model to end:
  /// whoever talks with it should set max_tokens, to this for example.
  static constexpr int64_t kPlainTokens = 128;
  Conversation(Tokenizer tokenizer, std::optional<ChatTemplate> format,
               ConversationOptions options);

  /// Adds a message; the system's replaces an earlier one ("" removes it). A reply that is being
  /// read for or written is stopped first. ContextFull: no room; BadArgument: an order of roles
  /// that cannot be written. Nothing is added then.
  [[nodiscard]] Result<void> say(ChatRole role, std::string_view text);
  /// A user's message that is encoded already, special tokens and all (at least one token).
  [[nodiscard]] Result<void> say_tokens(std::vector<int32_t> tokens, std::string text);
  /// Keeps the first `count` messages. If a user's is the last of them, it waits for an answer.
  [[nodiscard]] Result<void> rewind(size_t count);
  /// Ends the reply that is being read for or written.
  void stop();
  void set_context(uint32_t context) { options_.context = context; }
  void set_max_tokens(int64_t max_tokens) { options_.max_tokens = max_tokens; }
  /// Puts a saved conversation in the place of this one. Texts that were said are encoded anew;
  /// of replies by the model the tokens count. `unread` bytes at the end of the last reply wait to
  /// be taken. BadFile, and no change, where the messages cannot be those of a conversation.
  [[nodiscard]] Result<void> restore(std::span<const Message> messages, size_t unread);

  [[nodiscard]] std::span<const Message> messages() const { return messages_; }
  [[nodiscard]] Activity activity() const { return activity_; }
  [[nodiscard]] const ConversationOptions& options() const { return options_; }
  [[nodiscard]] const Tokenizer& tokenizer() const { return tokenizer_; }
  [[nodiscard]] std::string_view format_name() const {
    return format_ ? std::string_view(format_->name()) : std::string_view("none");
  }

  /// Text of the last reply that nobody took yet.
  [[nodiscard]] std::string_view unread() const { return unread_; }
  void take_unread(size_t bytes) { unread_.erase(0, bytes); }

  // ---- for who runs the model
  /// All tokens of the conversation, in order.
  [[nodiscard]] std::span<const int32_t> tokens() const { return tokens_; }
  /// Counts changes to tokens() that are no appending.
  [[nodiscard]] uint64_t revision() const { return revision_; }
  /// Tokens sampled for all replies: where the random numbers go on.
  [[nodiscard]] uint32_t draws() const;
  /// The token that the model gave after tokens(); Reading or Writing.
  void accept(int32_t token);

 private:
  [[nodiscard]] Result<std::vector<int32_t>> encode_user(std::string_view text) const;
  [[nodiscard]] Result<std::vector<int32_t>> encode_first_turn(std::string_view system,
                                                               std::string_view text) const;
  [[nodiscard]] Result<std::vector<int32_t>> encode_reply(std::string_view text) const;
  [[nodiscard]] Result<void> check_fits(uint64_t tokens) const;
  [[nodiscard]] Result<void> say_system(std::string_view text);
  [[nodiscard]] Result<void> say_user(std::string_view text);
  [[nodiscard]] Result<void> say_reply(std::string_view text);
  [[nodiscard]] Result<void> restore_reply(const Message& reply);
  [[nodiscard]] bool has_system() const;
  void add_user(std::vector<int32_t> tokens, std::string_view text);
  void await_reply();
  void begin_reply();
  void write(int32_t token);
  void end_reply(ReplyEnd why);
  void join_tokens();
  [[nodiscard]] bool ends(int32_t token) const;
  [[nodiscard]] ReplyEnd reason_to_end(const Message& reply) const;

  Tokenizer tokenizer_;
  std::optional<ChatTemplate> format_;
  ConversationOptions options_;
  int32_t end_mark_ = -1;  ///< the format's own end of a reply
  std::vector<Message> messages_;
  std::vector<int32_t> tokens_;
  Activity activity_ = Activity::Idle;
  std::optional<ReplyText> text_;  ///< while Writing
  std::string unread_;
  uint64_t revision_ = 0;
};

}  // namespace pumice
