// Recognition with words, rendering into segments, and encoding of the segments.
#include "engine/text/chat_template.h"

#include <utility>

#include "engine/text/chat_styles.h"

namespace pumice {
namespace {

std::string fill(std::string text, std::string_view bos, std::string_view eos) {
  for (const auto& [mark, value] : {std::pair<std::string_view, std::string_view>{"{bos}", bos},
                                    std::pair<std::string_view, std::string_view>{"{eos}", eos}})
    if (const size_t at = text.find(mark); at != std::string::npos)
      text.replace(at, mark.size(), value);
  return text;
}

ChatStyle fill(ChatStyle style, std::string_view bos, std::string_view eos) {
  for (auto field : {&ChatStyle::system_close, &ChatStyle::user_close, &ChatStyle::reply_end,
                     &ChatStyle::later_user_prefix})
    style.*field = fill(std::move(style.*field), bos, eos);
  return style;
}

std::string_view trim(std::string_view text) {
  constexpr std::string_view kSpaces = " \t\n\v\f\r";
  const size_t first = text.find_first_not_of(kSpaces);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kSpaces) - first + 1);
}

/// Collects segments; neighbours of one kind become one.
class Writer {
 public:
  void mark(std::string_view text) { add(text, true); }
  void content(std::string_view text, bool trims) { add(trims ? trim(text) : text, false); }
  std::vector<ChatSegment> take() { return std::move(segments_); }

 private:
  void add(std::string_view text, bool is_template) {
    if (text.empty()) return;
    if (segments_.empty() || segments_.back().is_template != is_template)
      segments_.push_back({{}, is_template});
    segments_.back().text.append(text);
  }
  std::vector<ChatSegment> segments_;
};

Result<std::vector<int32_t>> encode_segments(const Tokenizer& tokenizer,
                                             std::span<const ChatSegment> segments) {
  std::vector<TextPart> parts;
  parts.reserve(segments.size());
  for (const ChatSegment& segment : segments) parts.push_back({segment.text, segment.is_template});
  return tokenizer.encode_parts(parts, false, false);
}

/// The start of a template on one line, for messages.
std::string excerpt(std::string_view text) {
  std::string shown(text.substr(0, 60));
  for (char& c : shown)
    if (uint8_t(c) < 32 || uint8_t(c) >= 127) c = ' ';
  return shown + (text.size() > 60 ? "..." : "");
}

}  // namespace

Result<ChatTemplate> ChatTemplate::recognise(std::string_view template_text, std::string_view bos,
                                             std::string_view eos) {
  if (trim(template_text).empty())
    return fail(ErrorCode::NotFound,
                "the file has no chat template (tokenizer.chat_template); choose one by name: {}",
                names());
  if (template_text.size() > kMaxTemplateBytes)
    return fail(ErrorCode::BadFile,
                "tokenizer.chat_template has {} bytes, at most {} are accepted; choose a template "
                "by name: {}",
                template_text.size(), kMaxTemplateBytes, names());
  ChatStyle style = text::match_style(template_text);
  if (style.name.empty())
    return fail(
        ErrorCode::Unsupported,
        "tokenizer.chat_template is of an unknown kind (\"{}\"); recognised: {}; choose one "
        "by name",
        excerpt(template_text), names());
  return ChatTemplate(fill(std::move(style), bos, eos));
}

Result<ChatTemplate> ChatTemplate::recognise(const Tokenizer& tokenizer) {
  return recognise(tokenizer.chat_template(), tokenizer.piece(tokenizer.bos()),
                   tokenizer.piece(tokenizer.eos()));
}

Result<ChatTemplate> ChatTemplate::named(std::string_view name, std::string_view bos,
                                         std::string_view eos) {
  for (const ChatStyle& style : text::all_styles())
    if (style.name == name) return ChatTemplate(fill(style, bos, eos));
  return fail(ErrorCode::BadArgument, "no chat template is called \"{}\"; there are: {}",
              name.substr(0, 64), names());
}

std::string ChatTemplate::names() {
  std::string list;
  for (const ChatStyle& style : text::all_styles())
    list.append(list.empty() ? "" : ", ").append(style.name);
  return list;
}

Result<std::vector<ChatSegment>> ChatTemplate::render(std::span<const ChatMessage> messages,
                                                      bool add_generation_prompt) const {
  const ChatStyle& s = style_;
  if (messages.empty())
    return fail(ErrorCode::BadArgument, "a conversation needs at least one message");
  const bool has_system = messages[0].role == ChatRole::System;
  const std::string_view system = has_system ? messages[0].content : s.default_system;
  Writer out;
  const auto write_system = [&](std::string_view content) {
    out.mark(s.system_open);
    out.content(content, s.trims_input);
    out.mark(s.system_close);
  };
  bool pending = s.system_in_user && !system.empty();
  if (!s.system_in_user && (has_system || !system.empty())) write_system(system);
  bool replied = false;
  for (size_t i = has_system ? 1 : 0; i < messages.size(); ++i) {
    const ChatMessage& message = messages[i];
    if (message.role == ChatRole::System) {
      if (s.system_in_user)
        return fail(ErrorCode::BadArgument,
                    "message {} is a system message; the {} format has one at the start only", i,
                    s.name);
      write_system(message.content);
    } else if (message.role == ChatRole::User) {
      if (replied) out.mark(s.later_user_prefix);
      out.mark(s.user_open);
      if (std::exchange(pending, false)) write_system(system);
      out.content(message.content, s.trims_input);
      out.mark(s.user_close);
    } else {
      out.mark(s.reply_open);
      out.content(message.content, s.trims_reply);
      out.mark(s.reply_close);
      out.mark(s.reply_end);
      out.mark(s.after_reply);
      replied = true;
    }
  }
  if (pending)
    return fail(ErrorCode::BadArgument,
                "the {} format writes the system text into a user turn, and there is none", s.name);
  if (add_generation_prompt) out.mark(s.generation);
  return out.take();
}

std::vector<ChatSegment> ChatTemplate::render_next(std::string_view user_text,
                                                   bool reply_ended) const {
  const ChatStyle& s = style_;
  Writer out;
  if (!reply_ended) out.mark(s.reply_end);
  out.mark(s.after_reply);
  out.mark(s.later_user_prefix);
  out.mark(s.user_open);
  out.content(user_text, s.trims_input);
  out.mark(s.user_close);
  out.mark(s.generation);
  return out.take();
}

Result<std::vector<int32_t>> encode_chat(const Tokenizer& tokenizer, const ChatTemplate& chat,
                                         std::span<const ChatMessage> messages,
                                         bool add_generation_prompt) {
  PUMICE_TRY_ASSIGN(const auto segments, chat.render(messages, add_generation_prompt));
  PUMICE_TRY_ASSIGN(auto ids, encode_segments(tokenizer, segments));
  const bool wants_bos = tokenizer.adds_bos() || chat.style().wants_bos;
  if (wants_bos && tokenizer.bos() >= 0) ids.insert(ids.begin(), tokenizer.bos());
  return ids;
}

Result<std::vector<int32_t>> encode_next_turn(const Tokenizer& tokenizer, const ChatTemplate& chat,
                                              std::string_view user_text, bool reply_ended) {
  // What follows an end mark depends on it (white space, space prefix), so it is encoded too and
  // then taken off.
  const int32_t mark = tokenizer.find_control(chat.style().reply_end);
  PUMICE_TRY_ASSIGN(
      auto ids, encode_segments(tokenizer, chat.render_next(user_text, reply_ended && mark < 0)));
  if (reply_ended && mark >= 0 && !ids.empty()) ids.erase(ids.begin());
  return ids;
}

}  // namespace pumice
