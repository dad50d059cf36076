#include "database.h"

namespace pumice::chat {
namespace {

/// How long a writer waits for another window's transaction; those take milliseconds.
constexpr int kBusyMilliseconds = 4000;

struct Words {
  int code;  ///< SQLite's primary result code
  const char* text;
};

constexpr Words kWords[] = {
    {SQLITE_FULL, "the disk is full; make room, and what is on screen will be written then"},
    {SQLITE_READONLY, "the file or its folder is read-only; nothing new can be kept there"},
    {SQLITE_PERM, "the file may not be opened; check its permissions"},
    {SQLITE_CANTOPEN, "the file cannot be opened; check that its folder exists and is writable"},
    {SQLITE_BUSY, "another window is writing to it and did not finish in time; try again"},
    {SQLITE_LOCKED, "another window is writing to it and did not finish in time; try again"},
    {SQLITE_NOTADB, "the file is not a chat history; move it away and a new one is begun"},
    {SQLITE_CORRUPT, "the file is damaged; move it away and a new one is begun"},
    {SQLITE_IOERR, "the disk refused to read or write it"},
    {SQLITE_NOMEM, "out of memory"},
    {SQLITE_TOOBIG, "the text is too long to be kept"},
};

/// For a file that nobody writes: SQLite then looks for no log and makes no files beside it.
std::string uri_of(const std::string& path) {
  std::string uri = "file:";
  for (char byte : path)
    uri += byte == '%' || byte == '?' || byte == '#'
               ? fmt::format("%{:02X}", static_cast<unsigned char>(byte))
               : std::string(1, byte);
  return uri + "?immutable=1";
}

}  // namespace

Statement::~Statement() {
  if (!handle_) return;
  sqlite3_reset(handle_);
  sqlite3_clear_bindings(handle_);
}

Statement& Statement::bind(int64_t value) {
  sqlite3_bind_int64(handle_, ++bound_, value);
  return *this;
}

Statement& Statement::bind(std::string_view text) {
  // A failed bind leaves NULL, which the schema's NOT NULL refuses at the step.
  sqlite3_bind_text64(handle_, ++bound_, text.data() ? text.data() : "", text.size(),
                      SQLITE_TRANSIENT, SQLITE_UTF8);
  return *this;
}

Statement& Statement::bind_null() {
  sqlite3_bind_null(handle_, ++bound_);
  return *this;
}

Outcome<bool> Statement::step() {
  const int code = sqlite3_step(handle_);
  if (code == SQLITE_ROW) return true;
  if (code == SQLITE_DONE) return false;
  return database_->failure();
}

Outcome<void> Statement::run() {
  for (;;) {
    Outcome<bool> row = step();
    if (!row) return trouble_of(row);
    if (!*row) return {};
  }
}

int64_t Statement::integer(int column) const {
  return sqlite3_column_int64(handle_, column);
}

std::string Statement::text(int column) const {
  const auto* bytes = reinterpret_cast<const char*>(sqlite3_column_text(handle_, column));
  return bytes ? std::string(bytes, static_cast<size_t>(sqlite3_column_bytes(handle_, column)))
               : std::string();
}

Outcome<std::unique_ptr<Database>> Database::open(const std::string& path, Mode mode) {
  std::unique_ptr<Database> database(new Database(path));
  const int access = mode == Mode::ReadWrite ? SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE
                                             : SQLITE_OPEN_READONLY | SQLITE_OPEN_URI;
  const int flags = access | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
  const std::string name = mode == Mode::Immutable ? uri_of(path) : path;
  if (sqlite3_open_v2(name.c_str(), &database->handle_, flags, nullptr) != SQLITE_OK)
    return database->failure();
  sqlite3_busy_timeout(database->handle_, kBusyMilliseconds);
  return database;
}

/// A log that was left beside the file belongs to it, so the file is first read as what it is.
/// Where the folder does not let SQLite put its index of the log beside it, there is no log either.
Outcome<std::unique_ptr<Database>> Database::open_copy(const std::string& path) {
  Outcome<std::unique_ptr<Database>> copy = open(":memory:", Mode::ReadWrite);
  if (!copy) return copy;
  (*copy)->path_ = path;
  for (Mode mode : {Mode::ReadOnly, Mode::Immutable}) {
    auto file = open(path, mode);
    if (!file) return file;
    sqlite3_backup* backup =
        sqlite3_backup_init((*copy)->handle_, "main", (*file)->handle_, "main");
    if (!backup) return (*copy)->failure();
    sqlite3_backup_step(backup, -1);
    if (sqlite3_backup_finish(backup) == SQLITE_OK) return copy;
  }
  return (*copy)->failure();
}

Database::~Database() {
  for (const auto& [sql, statement] : statements_) sqlite3_finalize(statement);
  sqlite3_close(handle_);
}

Outcome<void> Database::execute(const char* sql) {
  if (sqlite3_exec(handle_, sql, nullptr, nullptr, nullptr) != SQLITE_OK) return failure();
  return {};
}

Outcome<Statement> Database::prepare(const char* sql) {
  sqlite3_stmt*& handle = statements_[sql];
  if (!handle && sqlite3_prepare_v3(handle_, sql, -1, SQLITE_PREPARE_PERSISTENT, &handle,
                                    nullptr) != SQLITE_OK)
    return failure();
  return Statement(*this, handle);
}

Outcome<int64_t> Database::number(const char* sql) {
  Outcome<Statement> statement = prepare(sql);
  if (!statement) return trouble_of(statement);
  Outcome<bool> row = statement->step();
  if (!row) return trouble_of(row);
  return *row ? statement->integer(0) : 0;
}

tl::unexpected<Trouble> Database::failure(int code) const {
  for (const Words& words : kWords)
    if (words.code == code) return trouble("chat history {}: {}", path_, words.text);
  return trouble("chat history {}: {}", path_, sqlite3_errmsg(handle_));
}

tl::unexpected<Trouble> Database::failure() const {
  return failure(handle_ ? sqlite3_errcode(handle_) & 0xFF : SQLITE_NOMEM);
}

Outcome<void> Database::check_writable() const {
  if (sqlite3_db_readonly(handle_, "main") == 1) return failure(SQLITE_READONLY);
  return {};
}

Outcome<Transaction> Transaction::begin(Database& database, Durability durability) {
  const char* wait =
      durability == Durability::Machine ? "PRAGMA synchronous=FULL" : "PRAGMA synchronous=NORMAL";
  if (auto set = database.execute(wait); !set) return trouble_of(set);
  if (auto begun = database.execute("BEGIN IMMEDIATE"); !begun) return trouble_of(begun);
  return Transaction(database);
}

Transaction::~Transaction() {
  if (database_) (void)database_->execute("ROLLBACK");
}

Outcome<void> Transaction::commit() {
  Outcome<void> done = database_->execute("COMMIT");
  if (done) database_ = nullptr;
  return done;
}

}  // namespace pumice::chat
