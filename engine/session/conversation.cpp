// Turns in and out of token ids.
#include "engine/session/conversation.h"

#include <algorithm>

namespace pumice {
namespace {

std::string_view text_of(const Tokenizer& tokenizer, int32_t id) {
  return id >= 0 ? tokenizer.piece(id) : std::string_view();
}

}  // namespace

Result<std::optional<ChatTemplate>> choose_chat_format(const Tokenizer& tokenizer,
                                                       const std::string& name) {
  if (name == "none" || (name.empty() && tokenizer.chat_template().empty()))
    return std::optional<ChatTemplate>();
  auto format = name.empty() ? ChatTemplate::recognise(tokenizer)
                             : ChatTemplate::named(name, text_of(tokenizer, tokenizer.bos()),
                                                   text_of(tokenizer, tokenizer.eos()));
  PUMICE_TRY(format);
  return std::optional<ChatTemplate>(std::move(*format));
}

Conversation::Conversation(Tokenizer tokenizer, std::optional<ChatTemplate> format,
                           ConversationOptions options)
    : tokenizer_(std::move(tokenizer)), format_(std::move(format)), options_(std::move(options)) {
  if (format_) end_mark_ = tokenizer_.find_control(format_->style().reply_end);
}

// ---- what is said

Result<void> Conversation::say(ChatRole role, std::string_view text) {
  switch (role) {
    case ChatRole::System:
      return say_system(text);
    case ChatRole::User:
      return say_user(text);
    case ChatRole::Assistant:
      return say_reply(text);
  }
  return fail(ErrorCode::BadArgument, "there is no role {}", int(role));
}

Result<void> Conversation::check_fits(uint64_t tokens) const {
  if (tokens <= options_.context) return {};
  return fail(ErrorCode::ContextFull,
              "the text of {} tokens does not fit the context of {}; take a larger one (-c), or "
              "start a new conversation",
              tokens, options_.context);
}

bool Conversation::has_system() const {
  return !messages_.empty() && messages_[0].role == ChatRole::System;
}

Result<void> Conversation::say_system(std::string_view text) {
  const size_t user = has_system() ? 1 : 0;  // the turn that the system text is written into
  std::vector<int32_t> turn;
  if (messages_.size() > user) {
    PUMICE_TRY_ASSIGN(turn, encode_first_turn(text, messages_[user].text));
    if (turn.empty())
      return fail(ErrorCode::BadArgument, "without it the first message has no tokens");
    PUMICE_TRY(check_fits(tokens_.size() - messages_[user].tokens.size() + turn.size()));
  }
  if (activity_ == Activity::Writing) stop();
  if (messages_.size() > user) messages_[user].tokens = std::move(turn);
  if (has_system()) messages_.erase(messages_.begin());
  if (!text.empty()) {
    Message message;
    message.role = ChatRole::System;
    message.text = text;
    messages_.insert(messages_.begin(), std::move(message));
  }
  join_tokens();
  return {};
}

Result<std::vector<int32_t>> Conversation::encode_first_turn(std::string_view system,
                                                             std::string_view text) const {
  if (format_) {
    std::vector<ChatMessage> messages;
    if (!system.empty()) messages.push_back({ChatRole::System, std::string(system)});
    messages.push_back({ChatRole::User, std::string(text)});
    return encode_chat(tokenizer_, *format_, messages, true);
  }
  EncodeOptions encode;
  encode.add_bos = true;
  encode.parse_special = options_.parse_special;
  if (system.empty()) return tokenizer_.encode(text, encode);
  return tokenizer_.encode(fmt::format("{}\n{}", system, text), encode);
}

Result<std::vector<int32_t>> Conversation::encode_user(std::string_view text) const {
  if (tokens_.empty())
    return encode_first_turn(has_system() ? messages_[0].text : std::string(), text);
  if (format_) return encode_next_turn(tokenizer_, *format_, text, /*reply_ended=*/false);
  EncodeOptions encode;
  encode.parse_special = options_.parse_special;
  return tokenizer_.encode(fmt::format("\n{}", text), encode);
}

Result<void> Conversation::say_user(std::string_view text) {
  PUMICE_TRY_ASSIGN(std::vector<int32_t> tokens, encode_user(text));
  return say_tokens(std::move(tokens), std::string(text));
}

Result<void> Conversation::say_tokens(std::vector<int32_t> tokens, std::string text) {
  if (tokens.empty())
    return fail(ErrorCode::BadArgument, "the message has no tokens in this vocabulary");
  PUMICE_TRY(check_fits(tokens_.size() + tokens.size()));
  stop();
  unread_.clear();
  Message message;
  message.text = std::move(text);
  message.tokens = std::move(tokens);
  tokens_.insert(tokens_.end(), message.tokens.begin(), message.tokens.end());
  messages_.push_back(std::move(message));
  await_reply();
  return {};
}

// A reply follows the request for it; what is encoded alone could differ at the border.
Result<std::vector<int32_t>> Conversation::encode_reply(std::string_view text) const {
  if (!format_) return tokenizer_.encode(text, {});
  const ChatStyle& style = format_->style();
  const std::string& before = style.generation.empty() ? style.user_close : style.generation;
  const TextPart parts[] = {{before, true}, {text, false}};
  PUMICE_TRY_ASSIGN(const auto mark, tokenizer_.encode_parts({parts, 1}, false, false));
  PUMICE_TRY_ASSIGN(auto both, tokenizer_.encode_parts(parts, false, false));
  if (both.size() < mark.size() || !std::equal(mark.begin(), mark.end(), both.begin()))
    return tokenizer_.encode(text, {});
  both.erase(both.begin(), both.begin() + ptrdiff_t(mark.size()));
  return both;
}

Result<void> Conversation::say_reply(std::string_view text) {
  if (activity_ != Activity::Reading)
    return fail(ErrorCode::BadArgument,
                "a reply that the model did not write follows a user's message; the last message "
                "is {}",
                messages_.empty()                ? "none"
                : activity_ == Activity::Writing ? "a reply being written"
                                                 : "not a user's");
  PUMICE_TRY_ASSIGN(std::vector<int32_t> tokens, encode_reply(text));
  PUMICE_TRY(check_fits(tokens_.size() + tokens.size()));
  Message message;
  message.role = ChatRole::Assistant;
  message.text = text;
  message.tokens = std::move(tokens);
  tokens_.insert(tokens_.end(), message.tokens.begin(), message.tokens.end());
  messages_.push_back(std::move(message));
  activity_ = Activity::Idle;
  return {};
}

Result<void> Conversation::rewind(size_t count) {
  if (count > messages_.size())
    return fail(ErrorCode::BadArgument, "cannot rewind to {} messages: there are {}", count,
                messages_.size());
  if (count == messages_.size() && activity_ != Activity::Idle) return {};
  messages_.resize(count);
  text_.reset();
  unread_.clear();
  activity_ = Activity::Idle;
  join_tokens();
  if (count > 0 && messages_.back().role == ChatRole::User) await_reply();
  return {};
}

void Conversation::join_tokens() {
  tokens_.clear();
  for (const Message& message : messages_)
    tokens_.insert(tokens_.end(), message.tokens.begin(), message.tokens.end());
  ++revision_;
}

// ---- replies

void Conversation::await_reply() {
  activity_ = Activity::Reading;
  if (options_.max_tokens != 0) return;
  begin_reply();
  end_reply(ReplyEnd::Limit);
}

void Conversation::begin_reply() {
  Message reply;
  reply.role = ChatRole::Assistant;
  reply.end = ReplyEnd::None;
  reply.by_model = true;
  messages_.push_back(std::move(reply));
  text_.emplace(tokenizer_, options_.stops, options_.trims_front);
  activity_ = Activity::Writing;
}

void Conversation::end_reply(ReplyEnd why) {
  const std::string rest = text_->flush();
  messages_.back().text += rest;
  messages_.back().end = why;
  unread_ += rest;
  text_.reset();
  activity_ = Activity::Idle;
}

void Conversation::stop() {
  if (activity_ == Activity::Idle) return;
  if (activity_ == Activity::Reading) begin_reply();
  end_reply(ReplyEnd::Stopped);
}

bool Conversation::ends(int32_t token) const {
  return token == end_mark_ || tokenizer_.is_end_of_generation(token);
}

ReplyEnd Conversation::reason_to_end(const Message& reply) const {
  if (text_->stopped()) return ReplyEnd::StopText;
  if (options_.max_tokens >= 0 && reply.tokens.size() >= uint64_t(options_.max_tokens))
    return ReplyEnd::Limit;
  // The last token needs a place only when another one follows.
  if (tokens_.size() > options_.context) return ReplyEnd::ContextFull;
  return ReplyEnd::None;
}

void Conversation::write(int32_t token) {
  Message& reply = messages_.back();
  tokens_.push_back(token);
  reply.tokens.push_back(token);
  const std::string text = text_->push(token);
  reply.text += text;
  unread_ += text;
}

void Conversation::accept(int32_t token) {
  if (activity_ == Activity::Idle) return;
  if (activity_ == Activity::Reading) begin_reply();
  ++messages_.back().draws;
  if (ends(token)) return end_reply(ReplyEnd::ModelEnded);
  write(token);
  if (const ReplyEnd why = reason_to_end(messages_.back()); why != ReplyEnd::None) end_reply(why);
}

uint32_t Conversation::draws() const {
  uint32_t draws = 0;
  for (const Message& message : messages_) draws += message.draws;
  return draws;
}

// ---- saved conversations

Result<void> Conversation::restore_reply(const Message& reply) {
  if (activity_ != Activity::Reading)
    return fail(ErrorCode::BadFile, "a reply follows no message of a user");
  if (tokens_.size() + reply.tokens.size() > uint64_t{options_.context} + 1)
    return fail(ErrorCode::ContextFull,
                "the conversation of {} tokens does not fit the context of {}",
                tokens_.size() + reply.tokens.size(), options_.context);
  begin_reply();
  messages_.back().draws = reply.draws;
  for (const int32_t token : reply.tokens) {
    if (!tokenizer_.contains(token))
      return fail(ErrorCode::BadFile, "token {} is outside the vocabulary of {}", token,
                  tokenizer_.n_vocab());
    write(token);
  }
  if (reply.end != ReplyEnd::None) end_reply(reply.end);
  return {};
}

Result<void> Conversation::restore(std::span<const Message> messages, size_t unread) {
  Conversation fresh(tokenizer_, format_, options_);
  fresh.options_.max_tokens = -1;  // 0 would answer by itself
  for (size_t i = 0; i < messages.size(); ++i) {
    const Message& message = messages[i];
    Result<void> added;
    if (message.by_model)
      added = fresh.restore_reply(message);
    else if (fresh.activity_ != Activity::Idle && message.role != ChatRole::Assistant)
      added = fail(ErrorCode::BadFile, "the message before it is not finished");
    else
      added = fresh.say(message.role, message.text);
    if (added && message.role == ChatRole::System && (i > 0 || message.text.empty()))
      added = fail(ErrorCode::BadFile, "a system message that is empty or not the first");
    if (!added) return fail_in(fmt::format("message {}", i), std::move(added.error()));
  }
  if (unread > fresh.unread_.size())
    return fail(ErrorCode::BadFile, "{} bytes of a reply of {} are unread", unread,
                fresh.unread_.size());
  fresh.unread_.erase(0, fresh.unread_.size() - unread);
  if (!fresh.unread_.empty() && (uint8_t(fresh.unread_[0]) & 0xC0) == 0x80)
    return fail(ErrorCode::BadFile, "the unread text begins inside a character");
  fresh.revision_ = revision_ + 1;
  fresh.options_ = options_;
  *this = std::move(fresh);
  return {};
}

}  // namespace pumice
