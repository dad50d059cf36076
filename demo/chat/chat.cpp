#include "chat.h"

#include <algorithm>
#include <random>
#include <utility>

namespace pumice::chat {
namespace {

constexpr int64_t kListed = 400;  ///< conversations in the pane; the search finds older ones
constexpr size_t kTitleBytes = 60;

}  // namespace

std::string title_of(const std::string& text) {
  const size_t from = std::min(text.find_first_not_of(" \t\n#*>`"), text.size());
  std::string title = text.substr(from, text.find('\n', from) - from);
  if (title.size() <= kTitleBytes) return title.empty() ? "Conversation" : title;
  size_t cut = title.rfind(' ', kTitleBytes);
  if (cut == std::string::npos || cut < kTitleBytes / 2) cut = kTitleBytes;
  while (cut > 0 && (static_cast<unsigned char>(title[cut]) & 0xC0) == 0x80) --cut;
  return title.substr(0, cut) + "\u2026";
}

Chat::Chat(History& history, Talk& talk)
    : history_(history), talk_(talk), seed_(std::random_device()()) {
  notice_ = history.read_only_reason();
  refresh_list();
}

bool Chat::close() {
  abandon_answer();
  refused_ = false;
  flush();
  return unsaved_.empty();
}

template <class T>
bool Chat::good(const Outcome<T>& outcome) {
  if (!outcome) notice_ = outcome.error().text;
  return outcome.has_value();
}

void Chat::refresh_list() {
  auto list = history_.conversations(kListed);
  if (good(list)) list_ = std::move(*list);
}

void Chat::refresh_messages() {
  if (current_.id == 0) return;
  auto fresh = history_.conversation(current_.id);
  auto messages = history_.messages(current_.id);
  if (!fresh && fresh.error().gone) {  // another window removed it
    if (!busy()) begin_new();
    return;
  }
  if (!good(fresh) || !good(messages)) return;  // what is shown stays
  current_ = std::move(*fresh);
  messages_ = std::move(*messages);
  for (const Unsaved& each : unsaved_)
    if (Message* growing = find(each.message)) growing->text += each.text;
  rebuild();
}

void Chat::rebuild() {
  branch_ = branch_to(messages_, current_.leaf);
  siblings_.clear();
}

Message* Chat::find(int64_t message) {
  const auto found = std::find_if(messages_.begin(), messages_.end(),
                                  [&](const Message& each) { return each.id == message; });
  return found == messages_.end() ? nullptr : &*found;
}

const std::vector<int64_t>& Chat::siblings(int64_t message) {
  const auto [found, fresh] = siblings_.try_emplace(message);
  if (fresh) found->second = siblings_of(messages_, message);
  return found->second;
}

void Chat::poll() {
  if (history_.changed_elsewhere()) {
    refresh_list();
    refresh_messages();
  }
  if (busy()) {
    const TalkState state = talk_.state();  // before the text, so that none is left behind
    take_text();
    if (state.ended >= ticket_) finish_answer(state);
  }
  flush();
}

/// First into the file, then onto the screen.
void Chat::take_text() {
  const std::string text = talk_.take_text(ticket_);
  if (text.empty()) return;
  if (unsaved_.empty() || unsaved_.back().message != writing_)
    unsaved_.push_back({writing_, "", false, MessageState::Writing});
  unsaved_.back().text += text;
  flush();
  if (Message* growing = find(writing_)) growing->text += text;
}

/// What the file refuses stays here, and is tried again with the next frame. Said once, so that
/// the notice can be dismissed.
void Chat::flush() {
  while (!unsaved_.empty()) {
    const std::string before = notice_;
    if (!flush_one()) {
      if (std::exchange(refused_, true)) notice_ = before;
      return;
    }
    unsaved_.erase(unsaved_.begin());
  }
  if (std::exchange(refused_, false)) notice_ = "The history has taken everything again.";
}

bool Chat::flush_one() {
  Unsaved& next = unsaved_.front();
  if (!next.text.empty()) {
    if (!good(history_.append(next.message, next.text))) return false;
    next.text.clear();
  }
  return !next.ended || good(history_.finish(next.message, next.end));
}

void Chat::end_answer(MessageState end) {
  if (unsaved_.empty() || unsaved_.back().message != writing_)
    unsaved_.push_back({writing_, "", false, end});
  unsaved_.back().ended = true;
  unsaved_.back().end = end;
  flush();
  if (Message* grown = find(writing_)) grown->state = end;
  writing_ = 0;
}

void Chat::finish_answer(const TalkState& state) {
  const bool whole = state.ending == PM_ENDED || state.ending == PM_STOP_TEXT;
  end_answer(whole && state.trouble.empty() ? MessageState::Finished : MessageState::Stopped);
  if (std::exchange(recoveries_, state.recoveries) != state.recoveries)
    notice_ = "The graphics device was lost; the model was loaded again and the answer went on.";
  if (!state.trouble.empty()) notice_ = state.trouble;
  if (state.ending == PM_CONTEXT_LIMIT)
    notice_ = "The context is full: begin a new conversation, or load the model with a larger one.";
  refresh_list();
  if (!history_.conversation(current_.id)) begin_new();  // another window removed it meanwhile
}

void Chat::abandon_answer() {
  if (!busy()) return;
  talk_.stop();
  take_text();
  end_answer(MessageState::Stopped);
}

void Chat::open(int64_t conversation) {
  if (conversation == current_.id) return;
  abandon_answer();
  current_ = {};
  current_.id = conversation;
  messages_.clear();
  refresh_messages();
}

void Chat::begin_new() {
  abandon_answer();
  const std::string system = current_.system;
  current_ = {};
  current_.system = system;
  messages_.clear();
  rebuild();
}

void Chat::remove(int64_t conversation) {
  if (conversation == current_.id) begin_new();
  (void)good(history_.remove(conversation));
  refresh_list();
}

bool Chat::model_is_there() {
  if (talk_.state().phase != Phase::Empty) return true;
  notice_ = "No model is loaded: choose one above, or drop a .gguf file onto the window.";
  return false;
}

bool Chat::ensure_conversation(const std::string& first_words) {
  if (current_.id > 0) return true;
  auto made = history_.create(title_of(first_words), current_.system);
  if (!good(made)) return false;
  current_.id = *made;
  return true;
}

bool Chat::add_question(int64_t parent, const std::string& text) {
  if (busy() || !model_is_there() || !ensure_conversation(text)) return false;
  auto added = history_.add(current_.id, parent, Role::User, text);
  if (!good(added)) return false;
  refresh_list();
  refresh_messages();
  ask_for_answer(*added);
  return true;
}

bool Chat::send(const std::string& text) {
  return add_question(branch_.empty() ? 0 : messages_[branch_.back()].id, text);
}

bool Chat::edit(int64_t message, const std::string& text) {
  const Message* old = find(message);
  return old && add_question(old->parent, text);
}

void Chat::regenerate(int64_t message) {
  const Message* old = find(message);
  if (!old || busy() || !model_is_there()) return;
  ask_for_answer(old->role == Role::User ? old->id : old->parent);
}

void Chat::ask_for_answer(int64_t question) {
  auto begun = history_.begin(current_.id, question, talk_.state().model);
  if (!good(begun)) return;
  current_.leaf = writing_ = *begun;
  refresh_messages();
  AnswerRequest request;
  request.system = current_.system;
  for (size_t at : branch_) {
    const Message& each = messages_[at];
    const bool by_model = each.role == Role::Assistant;
    if (each.id == writing_ || each.text.empty()) continue;
    // after an answer that never came, two questions are one
    if (!request.turns.empty() && request.turns.back().by_model == by_model)
      request.turns.back().text += "\n\n" + each.text;
    else
      request.turns.push_back({by_model, each.text});
  }
  request.sampling = sampling;
  if (random_seed) request.sampling.seed = ++seed_;
  ticket_ = talk_.answer(std::move(request));
}

void Chat::turn_to(int64_t message, int step) {
  const auto& all = siblings(message);
  const auto self = std::find(all.begin(), all.end(), message) - all.begin() + step;
  if (busy() || self < 0 || self >= static_cast<int64_t>(all.size())) return;
  current_.leaf = newest_leaf(messages_, all[static_cast<size_t>(self)]);
  (void)good(history_.show(current_.id, current_.leaf));
  rebuild();
}

void Chat::set_system(const std::string& system) {
  current_.system = system;
  if (current_.id > 0) (void)good(history_.set_system(current_.id, system));
}

}  // namespace pumice::chat
