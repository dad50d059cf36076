// Chat formats: which one a file's template is, and a conversation written in it. Templates are
// recognised by the marks they contain; they are never executed.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/result.h"
#include "engine/text/tokenizer.h"

namespace pumice {

enum class ChatRole { System, User, Assistant };

struct ChatMessage {
  ChatRole role = ChatRole::User;
  std::string content;
};

/// A stretch of a rendered conversation. Control tokens are recognised in template text only.
struct ChatSegment {
  std::string text;
  bool is_template = false;
};

/// The strings around messages. Where `system_in_user`, the system text stands inside the first
/// user turn instead of having its own.
struct ChatStyle {
  std::string name;
  std::string system_open, system_close;
  std::string user_open, user_close;
  std::string reply_open;         ///< before a reply of the history
  std::string reply_close;        ///< between the reply's text and its end mark
  std::string reply_end;          ///< the mark with which the model ends its turn
  std::string after_reply;        ///< between that mark and the next turn
  std::string generation;         ///< asks the model for a reply
  std::string later_user_prefix;  ///< before user turns but the first
  std::string default_system;     ///< used when a conversation has none
  bool system_in_user = false;
  bool trims_input = false;  ///< white space around system and user texts is dropped
  bool trims_reply = false;
  bool wants_bos = false;  ///< the template writes bos itself
};

class ChatTemplate {
 public:
  static constexpr size_t kMaxTemplateBytes = 256 * 1024;

  /// By the template text of a file. `bos` and `eos` are the texts of those tokens. Errors:
  /// NotFound for an empty template, Unsupported for one that is not recognised.
  [[nodiscard]] static Result<ChatTemplate> recognise(std::string_view template_text,
                                                      std::string_view bos = "<s>",
                                                      std::string_view eos = "</s>");
  [[nodiscard]] static Result<ChatTemplate> recognise(const Tokenizer& tokenizer);

  /// By name, for a user who overrides the file; see names().
  [[nodiscard]] static Result<ChatTemplate> named(std::string_view name,
                                                  std::string_view bos = "<s>",
                                                  std::string_view eos = "</s>");
  [[nodiscard]] static std::string names();  ///< comma separated

  [[nodiscard]] const std::string& name() const { return style_.name; }
  [[nodiscard]] const ChatStyle& style() const { return style_; }
  void set_default_system(std::string text) { style_.default_system = std::move(text); }

  /// The conversation without bos. BadArgument for an order of roles that the format cannot write.
  [[nodiscard]] Result<std::vector<ChatSegment>> render(std::span<const ChatMessage> messages,
                                                        bool add_generation_prompt) const;

  /// What follows a reply: the rest of its turn, a user turn, the request for the next reply.
  /// `reply_ended`: the model's end-of-turn token is already part of the sequence.
  [[nodiscard]] std::vector<ChatSegment> render_next(std::string_view user_text,
                                                     bool reply_ended) const;

 private:
  explicit ChatTemplate(ChatStyle style) : style_(std::move(style)) {}

  ChatStyle style_;
};

/// Ids of a whole conversation, bos included where the model wants one.
[[nodiscard]] Result<std::vector<int32_t>> encode_chat(const Tokenizer& tokenizer,
                                                       const ChatTemplate& chat,
                                                       std::span<const ChatMessage> messages,
                                                       bool add_generation_prompt);

/// Ids to append to a sequence that ends with a reply.
[[nodiscard]] Result<std::vector<int32_t>> encode_next_turn(const Tokenizer& tokenizer,
                                                            const ChatTemplate& chat,
                                                            std::string_view user_text,
                                                            bool reply_ended);

}  // namespace pumice
