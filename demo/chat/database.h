// One SQLite file and its statements: opening it so that commits outlive the process, waiting for
// other writers, and turning SQLite's codes into words.
#pragma once

#include <sqlite3.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>

#include "outcome.h"

namespace pumice::chat {

class Database;

/// A prepared statement in use. Values are bound from 1, in order; columns count from 0.
class Statement {
 public:
  Statement(Database& database, sqlite3_stmt* handle) : database_(&database), handle_(handle) {}
  Statement(Statement&& other) noexcept
      : database_(other.database_), handle_(std::exchange(other.handle_, nullptr)) {}
  Statement& operator=(Statement&&) = delete;
  ~Statement();

  Statement& bind(int64_t value);
  Statement& bind(std::string_view text);
  Statement& bind_null();

  /// True: a row is there. False: the end.
  [[nodiscard]] Outcome<bool> step();
  /// Runs a statement that returns no rows, or whose rows nobody wants.
  [[nodiscard]] Outcome<void> run();

  [[nodiscard]] int64_t integer(int column) const;
  [[nodiscard]] std::string text(int column) const;

 private:
  Database* database_;
  sqlite3_stmt* handle_;
  int bound_ = 0;
};

class Database {
 public:
  enum class Mode { ReadWrite, ReadOnly, Immutable };

  /// `path` may be ":memory:". Creates the file, not its folder.
  [[nodiscard]] static Outcome<std::unique_ptr<Database>> open(const std::string& path, Mode mode);
  /// All of a file that may not be written, in memory; the file is closed again.
  [[nodiscard]] static Outcome<std::unique_ptr<Database>> open_copy(const std::string& path);
  ~Database();
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;

  /// One or more statements without values.
  [[nodiscard]] Outcome<void> execute(const char* sql);
  /// Prepared once per text, which must be a literal; one use at a time.
  [[nodiscard]] Outcome<Statement> prepare(const char* sql);
  [[nodiscard]] Outcome<int64_t> number(const char* sql);
  [[nodiscard]] int64_t last_row() const { return sqlite3_last_insert_rowid(handle_); }
  [[nodiscard]] int changed_rows() const { return sqlite3_changes(handle_); }

  /// What the last call on this connection failed with, as a sentence that names the file.
  [[nodiscard]] tl::unexpected<Trouble> failure() const;
  /// Trouble where the file was opened but cannot be written.
  [[nodiscard]] Outcome<void> check_writable() const;
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  explicit Database(std::string path) : path_(std::move(path)) {}
  [[nodiscard]] tl::unexpected<Trouble> failure(int code) const;

  std::string path_;
  sqlite3* handle_ = nullptr;
  std::unordered_map<const char*, sqlite3_stmt*> statements_;
};

/// How long a commit is safe for: the process's death needs no wait, the machine's waits for the
/// disk.
enum class Durability { Process, Machine };

/// Begins at once as a writer; without commit() everything is undone.
class Transaction {
 public:
  [[nodiscard]] static Outcome<Transaction> begin(Database& database, Durability durability);
  Transaction(Transaction&& other) noexcept : database_(std::exchange(other.database_, nullptr)) {}
  Transaction& operator=(Transaction&&) = delete;
  ~Transaction();
  [[nodiscard]] Outcome<void> commit();

 private:
  explicit Transaction(Database& database) : database_(&database) {}
  Database* database_;
};

}  // namespace pumice::chat
