// Searching the history: words of three characters and more go through the index, shorter ones are
// looked for in what the index leaves, or in everything where there is nothing longer.
#include "database.h"
#include "history.h"

namespace pumice::chat {
namespace {

constexpr size_t kIndexedCharacters = 3;
/// More words than this tell nothing new and would make the statement long.
constexpr size_t kWords = 16;

size_t characters(std::string_view word) {
  size_t count = 0;
  for (char byte : word) count += (static_cast<unsigned char>(byte) & 0xC0) != 0x80;
  return count;
}

std::vector<std::string_view> split(std::string_view text) {
  std::vector<std::string_view> words;
  for (size_t at = 0; at < text.size() && words.size() < kWords;) {
    const size_t begin = text.find_first_not_of(" \t\r\n", at);
    if (begin == std::string_view::npos) break;
    const size_t end = std::min(text.find_first_of(" \t\r\n", begin), text.size());
    words.push_back(text.substr(begin, end - begin));
    at = end;
  }
  return words;
}

/// A word as an FTS5 string: nothing in it is an operator.
std::string quoted(std::string_view word) {
  std::string out = "\"";
  for (char byte : word) out += byte == '"' ? std::string("\"\"") : std::string(1, byte);
  return out + "\"";
}

/// A word as a LIKE pattern, escaped with a backslash.
std::string pattern(std::string_view word) {
  std::string out = "%";
  for (char byte : word) {
    if (byte == '%' || byte == '_' || byte == '\\') out += '\\';
    out += byte;
  }
  return out + "%";
}

struct Query {
  std::string match;                  ///< FTS5 expression; empty = no word is long enough
  std::vector<std::string> patterns;  ///< for LIKE
};

Query query_of(std::string_view text) {
  Query query;
  for (std::string_view word : split(text)) {
    if (characters(word) >= kIndexedCharacters)
      query.match += (query.match.empty() ? "" : " AND ") + quoted(word);
    else
      query.patterns.push_back(pattern(word));
  }
  return query;
}

constexpr const char* kIndexed =
    "SELECT m.conversation, m.id, c.title, snippet(found, 0, char(2), char(3), '\u2026', 24), "
    "m.text FROM found JOIN message m ON m.id = found.rowid JOIN conversation c ON c.id = "
    "m.conversation WHERE found MATCH ?1 ORDER BY m.id DESC";

constexpr const char* kScanned =
    "SELECT m.conversation, m.id, c.title, substr(m.text, 1, 80), m.text FROM message m "
    "JOIN conversation c ON c.id = m.conversation WHERE m.text LIKE ?1 ESCAPE '\\' "
    "ORDER BY m.id DESC";

}  // namespace

Outcome<std::vector<SearchHit>> History::search(std::string_view words, int64_t limit) {
  Query query = query_of(words);
  std::vector<SearchHit> hits;
  if (query.match.empty() && query.patterns.empty()) return hits;
  auto rows = database_->prepare(query.match.empty() ? kScanned : kIndexed);
  if (!rows) return trouble_of(rows);
  rows->bind(std::string_view(query.match.empty() ? query.patterns[0] : query.match));
  while (static_cast<int64_t>(hits.size()) < limit) {
    Outcome<bool> row = rows->step();
    if (!row) return trouble_of(row);
    if (!*row) break;
    bool all = true;
    for (const std::string& each : query.patterns) {
      auto like = database_->prepare("SELECT ?1 LIKE ?2 ESCAPE '\\'");
      if (!like) return trouble_of(like);
      const std::string text = rows->text(4);
      Outcome<bool> answer = like->bind(std::string_view(text)).bind(std::string_view(each)).step();
      if (!answer) return trouble_of(answer);
      all = all && like->integer(0) == 1;
    }
    if (all) hits.push_back({rows->integer(0), rows->integer(1), rows->text(2), rows->text(3)});
  }
  return hits;
}

}  // namespace pumice::chat
