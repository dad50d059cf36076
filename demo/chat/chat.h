// The conversation on screen: what the person does to it, what the model adds to it, and that all
// of it is in the history before it is shown. No drawing.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "branches.h"
#include "history.h"
#include "talk.h"

namespace pumice::chat {

class Chat {
 public:
  Chat(History& history, Talk& talk);
  ~Chat() { (void)close(); }
  Chat(const Chat&) = delete;
  Chat& operator=(const Chat&) = delete;

  /// Takes over what the model wrote and what other windows did. Once per frame.
  void poll();

  void open(int64_t conversation);
  /// An empty conversation, written down with its first message.
  void begin_new();
  void remove(int64_t conversation);

  /// False: it was not kept, for the reason in notice(); the text is still the caller's.
  bool send(const std::string& text);
  /// The same question in other words, as a branch beside the old one.
  bool edit(int64_t message, const std::string& text);
  /// Another answer to the same question, beside the old one.
  void regenerate(int64_t message);
  void stop() { talk_.stop(); }
  /// Shows the branch of another sibling: -1 the one before, +1 the one after.
  void turn_to(int64_t message, int step);
  void set_system(const std::string& system);

  [[nodiscard]] const std::vector<Message>& messages() const { return messages_; }
  [[nodiscard]] const std::vector<size_t>& branch() const { return branch_; }
  [[nodiscard]] const std::vector<int64_t>& siblings(int64_t message);
  [[nodiscard]] const std::vector<Conversation>& list() const { return list_; }
  [[nodiscard]] const Conversation& current() const { return current_; }
  /// The message that grows now; 0 = none.
  [[nodiscard]] int64_t writing() const { return writing_; }
  [[nodiscard]] bool busy() const { return writing_ != 0; }
  /// What went wrong last, for a banner; empty = nothing.
  [[nodiscard]] const std::string& notice() const { return notice_; }
  void set_notice(std::string text) { notice_ = std::move(text); }
  void dismiss_notice() { notice_.clear(); }
  /// An answer that is being written is stopped, and kept. False: something on screen could not be
  /// written, for the reason in notice().
  bool close();
  /// Something on screen is not in the file yet; poll() tries again.
  [[nodiscard]] bool unsaved() const { return !unsaved_.empty(); }

  pm_sampling sampling = PM_SAMPLING_DEFAULTS;
  bool random_seed = true;  ///< another one for every answer

 private:
  /// What is on screen but not yet in the file, which takes it a moment later; much later where
  /// the disk is full.
  struct Unsaved {
    int64_t message;
    std::string text;
    bool ended;
    MessageState end;
  };

  template <class T>
  bool good(const Outcome<T>& outcome);
  bool model_is_there();
  void abandon_answer();
  bool ensure_conversation(const std::string& first_words);
  bool add_question(int64_t parent, const std::string& text);
  void ask_for_answer(int64_t question);
  void take_text();
  void flush();
  bool flush_one();
  void finish_answer(const TalkState& state);
  void end_answer(MessageState end);
  void refresh_list();
  void refresh_messages();
  void rebuild();
  Message* find(int64_t message);

  History& history_;
  Talk& talk_;
  std::vector<Conversation> list_;
  Conversation current_;
  std::vector<Message> messages_;
  std::vector<size_t> branch_;
  std::map<int64_t, std::vector<int64_t>> siblings_;
  int64_t writing_ = 0;
  uint64_t ticket_ = 0;      ///< the model's, for the answer that is being written
  uint32_t recoveries_ = 0;  ///< lost devices that were told about
  std::vector<Unsaved> unsaved_;
  bool refused_ = false;  ///< the file did not take the first of them
  uint64_t seed_ = 0;
  std::string notice_;
};

/// The first line of a text, short enough for a title.
[[nodiscard]] std::string title_of(const std::string& text);

}  // namespace pumice::chat
