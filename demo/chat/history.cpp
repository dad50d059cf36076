#include "history.h"

#include <chrono>
#include <filesystem>
#include <utility>

#include "database.h"
#include "schema.h"

namespace pumice::chat {
namespace {

int64_t now_ms() {
  using namespace std::chrono;
  return duration_cast<milliseconds>(system_clock::now().time_since_epoch()).count();
}

Conversation read_conversation(const Statement& row) {
  return {row.integer(0), row.text(1), row.text(2), row.integer(3), row.integer(4)};
}

#define CONVERSATION_COLUMNS "SELECT id, title, system, leaf, touched FROM conversation "

}  // namespace

/// Values in the order of the statement's question marks.
template <class... Values>
static Outcome<Statement> bound(Database& database, const char* sql, const Values&... values) {
  Outcome<Statement> statement = database.prepare(sql);
  if (statement) (statement->bind(values), ...);
  return statement;
}

template <class... Values>
static Outcome<void> run(Database& database, const char* sql, const Values&... values) {
  Outcome<Statement> statement = bound(database, sql, values...);
  if (!statement) return trouble_of(statement);
  return statement->run();
}

/// Runs `body` as one transaction.
template <class Body>
static Outcome<void> transact(Database& database, Durability durability, Body&& body) {
  Outcome<Transaction> transaction = Transaction::begin(database, durability);
  if (!transaction) return trouble_of(transaction);
  if (Outcome<void> done = body(); !done) return done;
  return transaction->commit();
}

History::History(std::unique_ptr<Database> database) : database_(std::move(database)) {}
History::~History() = default;

Outcome<std::unique_ptr<History>> History::open(const std::string& path) {
  std::error_code ignored;  // a folder that cannot be made shows as a file that cannot be opened
  std::filesystem::create_directories(std::filesystem::path(path).parent_path(), ignored);
  std::string reason;
  if (auto database = Database::open(path, Database::Mode::ReadWrite)) {
    std::unique_ptr<History> history(new History(std::move(*database)));
    Outcome<void> usable = history->database_->check_writable();
    if (usable) usable = history->prepare_file();
    if (usable) return history;
    reason = std::move(usable.error().text);
  } else {
    reason = std::move(database.error().text);
  }
  auto database = Database::open_copy(path);
  if (!database) return trouble("{}", reason);
  std::unique_ptr<History> history(new History(std::move(*database)));
  const Outcome<int64_t> owner = history->database_->number("PRAGMA application_id");
  if (!owner || *owner != kApplicationId || !history->prepare_file()) return trouble("{}", reason);
  history->read_only_reason_ = std::move(reason);
  return history;
}

Outcome<std::unique_ptr<History>> History::open_in_memory() {
  auto database = Database::open(":memory:", Database::Mode::ReadWrite);
  if (!database) return trouble_of(database);
  std::unique_ptr<History> history(new History(std::move(*database)));
  if (Outcome<void> prepared = history->prepare_file(); !prepared) return trouble_of(prepared);
  return history;
}

/// WAL: a commit is one append, readers never wait, and after a kill the log is simply read on.
Outcome<void> History::prepare_file() {
  for (const char* setting :
       {"PRAGMA journal_mode=WAL", "PRAGMA foreign_keys=ON", "PRAGMA temp_store=MEMORY"})
    if (Outcome<void> set = database_->execute(setting); !set) return set;
  if (Outcome<void> done = migrate(); !done) return done;
  if (Outcome<void> done = adopt_orphans(); !done) return done;
  (void)changed_elsewhere();
  return {};
}

Outcome<void> History::migrate() {
  Outcome<int64_t> before = database_->number("PRAGMA user_version");
  if (!before) return trouble_of(before);
  if (*before == kSchemaVersion) return {};
  // Another window may be at the same: what holds is what is read inside the transaction.
  return transact(*database_, Durability::Machine, [&]() -> Outcome<void> {
    Outcome<int64_t> version = database_->number("PRAGMA user_version");
    if (!version) return trouble_of(version);
    Outcome<int64_t> tables = database_->number("SELECT count(*) FROM sqlite_schema");
    if (!tables) return trouble_of(tables);
    Outcome<int64_t> owner = database_->number("PRAGMA application_id");
    if (!owner) return trouble_of(owner);
    if (*tables > 0 && *owner != kApplicationId)
      return trouble("chat history {}: this is another program's database; choose another file",
                     database_->path());
    if (*version < 0 || *version > kSchemaVersion)
      return trouble("chat history {}: written by a newer pumice (version {}, this one knows {})",
                     database_->path(), *version, kSchemaVersion);
    for (int64_t next = *version; next < kSchemaVersion; ++next)
      if (Outcome<void> done = database_->execute(kMigrations[next]); !done) return done;
    const std::string marks = fmt::format("PRAGMA application_id={}; PRAGMA user_version={}",
                                          kApplicationId, kSchemaVersion);
    return database_->execute(marks.c_str());
  });
}

/// A live window may still write to one of them: its later pieces and its finish() add to the text
/// that stands here by then, so nothing is lost when this was too early.
Outcome<void> History::adopt_orphans() {
  Outcome<int64_t> unfinished = database_->number("SELECT count(*) FROM message WHERE state = 0");
  if (!unfinished) return trouble_of(unfinished);
  if (*unfinished == 0) return {};
  return transact(*database_, Durability::Process, [&]() -> Outcome<void> {
    std::vector<int64_t> orphans;
    {
      auto rows = database_->prepare("SELECT id FROM message WHERE state = 0");
      if (!rows) return trouble_of(rows);
      for (;;) {
        Outcome<bool> row = rows->step();
        if (!row) return trouble_of(row);
        if (!*row) break;
        orphans.push_back(rows->integer(0));
      }
    }
    for (int64_t message : orphans)
      if (Outcome<void> done = fold(message, MessageState::Stopped); !done) return done;
    return {};
  });
}

/// Inside a transaction: pieces become text.
Outcome<void> History::fold(int64_t message, MessageState state) {
  Outcome<void> joined = run(
      *database_,
      "UPDATE message SET state = ?2, text = text || (SELECT coalesce(group_concat(text, ''), '') "
      "FROM (SELECT text FROM piece WHERE message = ?1 ORDER BY id)) WHERE id = ?1",
      message, static_cast<int64_t>(state));
  if (!joined) return joined;
  return run(*database_, "DELETE FROM piece WHERE message = ?", message);
}

bool History::changed_elsewhere() {
  Outcome<int64_t> version = database_->number("PRAGMA data_version");
  return version && std::exchange(version_seen_, *version) != *version;
}

Outcome<int64_t> History::create(std::string_view title, std::string_view system) {
  int64_t id = 0;
  Outcome<void> done = transact(*database_, Durability::Process, [&]() -> Outcome<void> {
    Outcome<void> made =
        run(*database_, "INSERT INTO conversation(title, system, touched) VALUES (?, ?, ?)", title,
            system, now_ms());
    id = database_->last_row();
    return made;
  });
  if (!done) return trouble_of(done);
  return id;
}

Outcome<void> History::rename(int64_t conversation, std::string_view title) {
  return transact(*database_, Durability::Machine, [&] {
    return run(*database_, "UPDATE conversation SET title = ?2 WHERE id = ?1", conversation, title);
  });
}

Outcome<void> History::set_system(int64_t conversation, std::string_view system) {
  return transact(*database_, Durability::Machine, [&] {
    return run(*database_, "UPDATE conversation SET system = ?2 WHERE id = ?1", conversation,
               system);
  });
}

Outcome<void> History::remove(int64_t conversation) {
  return transact(*database_, Durability::Machine, [&] {
    return run(*database_, "DELETE FROM conversation WHERE id = ?", conversation);
  });
}

Outcome<void> History::show(int64_t conversation, int64_t leaf) {
  return transact(*database_, Durability::Process, [&] {
    return run(*database_, "UPDATE conversation SET leaf = ?2 WHERE id = ?1", conversation, leaf);
  });
}

Outcome<void> History::set_setting(std::string_view key, std::string_view value) {
  return transact(*database_, Durability::Process, [&] {
    return run(*database_, "INSERT OR REPLACE INTO setting(key, value) VALUES (?, ?)", key, value);
  });
}

std::string History::setting(std::string_view key) {
  auto rows = bound(*database_, "SELECT value FROM setting WHERE key = ?", key);
  if (!rows) return {};
  const Outcome<bool> row = rows->step();
  return row && *row ? rows->text(0) : std::string();
}

/// Inside a transaction.
Outcome<int64_t> History::insert(int64_t conversation, int64_t parent, Role role,
                                 MessageState state, std::string_view text,
                                 std::string_view model) {
  Outcome<void> added =
      run(*database_,
          "INSERT INTO message(conversation, parent, role, state, text, model, created) "
          "VALUES (?, nullif(?, 0), ?, ?, ?, ?, ?)",
          conversation, parent, static_cast<int64_t>(role), static_cast<int64_t>(state), text,
          model, now_ms());
  if (!added) return trouble_of(added);
  const int64_t id = database_->last_row();
  Outcome<void> shown =
      run(*database_, "UPDATE conversation SET leaf = ?2, touched = ?3 WHERE id = ?1", conversation,
          id, now_ms());
  if (!shown) return trouble_of(shown);
  return id;
}

Outcome<int64_t> History::add(int64_t conversation, int64_t parent, Role role,
                              std::string_view text) {
  Outcome<int64_t> id = 0;
  Outcome<void> done = transact(*database_, Durability::Machine, [&]() -> Outcome<void> {
    id = insert(conversation, parent, role, MessageState::Finished, text, "");
    if (!id) return trouble_of(id);
    return {};
  });
  if (!done) return trouble_of(done);
  return id;
}

Outcome<int64_t> History::begin(int64_t conversation, int64_t parent, std::string_view model) {
  Outcome<int64_t> id = 0;
  Outcome<void> done = transact(*database_, Durability::Process, [&]() -> Outcome<void> {
    id = insert(conversation, parent, Role::Assistant, MessageState::Writing, "", model);
    if (!id) return trouble_of(id);
    return {};
  });
  if (!done) return trouble_of(done);
  return id;
}

/// Where another window removed the message, its words go with it.
Outcome<void> History::append(int64_t message, std::string_view text) {
  return transact(*database_, Durability::Process, [&] {
    return run(*database_,
               "INSERT INTO piece(message, text) SELECT id, ?2 FROM message WHERE id = ?1", message,
               text);
  });
}

Outcome<void> History::finish(int64_t message, MessageState state) {
  return transact(*database_, Durability::Machine, [&] { return fold(message, state); });
}

Outcome<std::vector<Conversation>> History::conversations(int64_t limit) {
  auto rows =
      bound(*database_, CONVERSATION_COLUMNS "ORDER BY touched DESC, id DESC LIMIT ?", limit);
  if (!rows) return trouble_of(rows);
  std::vector<Conversation> found;
  for (;;) {
    Outcome<bool> row = rows->step();
    if (!row) return trouble_of(row);
    if (!*row) return found;
    found.push_back(read_conversation(*rows));
  }
}

Outcome<Conversation> History::conversation(int64_t id) {
  auto rows = bound(*database_, CONVERSATION_COLUMNS "WHERE id = ?", id);
  if (!rows) return trouble_of(rows);
  Outcome<bool> row = rows->step();
  if (!row) return trouble_of(row);
  if (!*row) {
    auto gone = trouble("chat history {}: this conversation is no longer there", database_->path());
    gone.value().gone = true;
    return gone;
  }
  return read_conversation(*rows);
}

Outcome<std::vector<Message>> History::messages(int64_t conversation) {
  auto rows = bound(
      *database_,
      "SELECT id, coalesce(parent, 0), role, state, text || (SELECT coalesce(group_concat(text, "
      "''), '') FROM (SELECT text FROM piece WHERE message = m.id ORDER BY id)), model, created "
      "FROM message m WHERE conversation = ? ORDER BY id",
      conversation);
  if (!rows) return trouble_of(rows);
  std::vector<Message> found;
  for (;;) {
    Outcome<bool> row = rows->step();
    if (!row) return trouble_of(row);
    if (!*row) return found;
    const Role role = rows->integer(2) == 2 ? Role::Assistant : Role::User;
    const auto state = static_cast<MessageState>(rows->integer(3) & 3);
    found.push_back({rows->integer(0), rows->integer(1), role, state, rows->text(4), rows->text(5),
                     rows->integer(6)});
  }
}

}  // namespace pumice::chat
