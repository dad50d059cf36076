// The history's tables, version by version.
#pragma once

namespace pumice::chat {

/// "pumc": tells our files from other SQLite files.
inline constexpr int kApplicationId = 0x70756D63;

/// Row i brings a file of version i to version i + 1.
inline constexpr const char* kMigrations[] = {
    R"sql(
-- AUTOINCREMENT: an id is not given again, which another window may still write to.
CREATE TABLE conversation(
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  title TEXT NOT NULL,
  system TEXT NOT NULL,
  leaf INTEGER NOT NULL DEFAULT 0,
  touched INTEGER NOT NULL);
CREATE INDEX conversation_touched ON conversation(touched);

CREATE TABLE message(
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  conversation INTEGER NOT NULL REFERENCES conversation(id) ON DELETE CASCADE,
  parent INTEGER REFERENCES message(id) ON DELETE CASCADE,
  role INTEGER NOT NULL,
  state INTEGER NOT NULL,
  text TEXT NOT NULL,
  model TEXT NOT NULL,
  created INTEGER NOT NULL);
CREATE INDEX message_conversation ON message(conversation);
CREATE INDEX message_parent ON message(parent);
CREATE INDEX message_unfinished ON message(state) WHERE state = 0;

-- What an unfinished answer has grown by: a row each, so that a long answer is not rewritten
-- for every word. finish() moves them into message.text.
CREATE TABLE piece(
  id INTEGER PRIMARY KEY,
  message INTEGER NOT NULL REFERENCES message(id) ON DELETE CASCADE,
  text TEXT NOT NULL);
CREATE INDEX piece_message ON piece(message);

CREATE TABLE setting(key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;

-- Groups of three characters find any part of a word in every script, also those without spaces.
CREATE VIRTUAL TABLE found USING fts5(text, content='message', content_rowid='id',
                                      tokenize='trigram');
CREATE TRIGGER message_found AFTER INSERT ON message BEGIN
  INSERT INTO found(rowid, text) VALUES (new.id, new.text);
END;
CREATE TRIGGER message_lost AFTER DELETE ON message BEGIN
  INSERT INTO found(found, rowid, text) VALUES ('delete', old.id, old.text);
END;
CREATE TRIGGER message_changed AFTER UPDATE OF text ON message BEGIN
  INSERT INTO found(found, rowid, text) VALUES ('delete', old.id, old.text);
  INSERT INTO found(rowid, text) VALUES (new.id, new.text);
END;
)sql",
};

inline constexpr int kSchemaVersion = sizeof kMigrations / sizeof kMigrations[0];

}  // namespace pumice::chat
