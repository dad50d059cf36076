// Conversations on disk: a tree of messages each, searched by any part of any word. What a call has
// acknowledged is still there after the process is killed; a finished message, after a power cut.
// Belongs to one thread; several windows may each have one on the same file.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "outcome.h"

namespace pumice::chat {

class Database;

enum class Role { User = 1, Assistant = 2 };

enum class MessageState {
  Writing = 0,   ///< its text still grows, or its writer is gone
  Finished = 1,  ///< as its author left it
  Stopped = 2,   ///< cut off by the user, an error or the end of the program
};

struct Message {
  int64_t id = 0;
  int64_t parent = 0;  ///< 0 = the first of its conversation
  Role role = Role::User;
  MessageState state = MessageState::Finished;
  std::string text;
  std::string model;       ///< who wrote an answer
  int64_t created_ms = 0;  ///< since 1970
};

struct Conversation {
  int64_t id = 0;
  std::string title;
  std::string system;      ///< system prompt
  int64_t leaf = 0;        ///< last message of the branch on screen; 0 = none yet
  int64_t touched_ms = 0;  ///< of its last message
};

struct SearchHit {
  int64_t conversation = 0;
  int64_t message = 0;
  std::string title;
  std::string excerpt;  ///< around the match, which stands between \x02 and \x03
};

class History {
 public:
  /// Creates the file and its folder where they are missing. Of a file that cannot be written a
  /// copy in memory is used, and what is new ends with the process. Messages whose writer is gone
  /// become Stopped, with all their text.
  [[nodiscard]] static Outcome<std::unique_ptr<History>> open(const std::string& path);
  /// A history that ends with the process, for when the file is out of reach.
  [[nodiscard]] static Outcome<std::unique_ptr<History>> open_in_memory();
  ~History();

  /// Empty, or why nothing new is kept.
  [[nodiscard]] const std::string& read_only_reason() const { return read_only_reason_; }
  /// True once after every change that another window has made.
  [[nodiscard]] bool changed_elsewhere();

  [[nodiscard]] Outcome<int64_t> create(std::string_view title, std::string_view system);
  [[nodiscard]] Outcome<void> rename(int64_t conversation, std::string_view title);
  [[nodiscard]] Outcome<void> set_system(int64_t conversation, std::string_view system);
  [[nodiscard]] Outcome<void> remove(int64_t conversation);
  /// Latest first.
  [[nodiscard]] Outcome<std::vector<Conversation>> conversations(int64_t limit);
  [[nodiscard]] Outcome<Conversation> conversation(int64_t id);

  /// A whole message below `parent` (0 = at the root); the conversation now ends there. A second
  /// child of one parent is a branch: an edited question, an answer made again.
  [[nodiscard]] Outcome<int64_t> add(int64_t conversation, int64_t parent, Role role,
                                     std::string_view text);
  /// An answer that grows by append() until finish().
  [[nodiscard]] Outcome<int64_t> begin(int64_t conversation, int64_t parent,
                                       std::string_view model);
  [[nodiscard]] Outcome<void> append(int64_t message, std::string_view text);
  [[nodiscard]] Outcome<void> finish(int64_t message, MessageState state);
  /// Remembers which branch is on screen.
  [[nodiscard]] Outcome<void> show(int64_t conversation, int64_t leaf);

  /// Small things that the window remembers, such as its colours and recent files.
  [[nodiscard]] Outcome<void> set_setting(std::string_view key, std::string_view value);
  /// Empty where it was never set.
  [[nodiscard]] std::string setting(std::string_view key);

  /// The whole tree, parents before children.
  [[nodiscard]] Outcome<std::vector<Message>> messages(int64_t conversation);
  /// Messages that hold every word of `words`, anywhere, in any case; the newest first. Text of an
  /// answer is found once it is finished.
  [[nodiscard]] Outcome<std::vector<SearchHit>> search(std::string_view words, int64_t limit);

 private:
  explicit History(std::unique_ptr<Database> database);
  Outcome<void> prepare_file();
  Outcome<void> migrate();
  Outcome<void> adopt_orphans();
  Outcome<void> fold(int64_t message, MessageState state);
  Outcome<int64_t> insert(int64_t conversation, int64_t parent, Role role, MessageState state,
                          std::string_view text, std::string_view model);

  std::unique_ptr<Database> database_;
  std::string read_only_reason_;
  int64_t version_seen_ = 0;  ///< SQLite's counter of other connections' commits
};

}  // namespace pumice::chat
