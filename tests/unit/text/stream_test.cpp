// Streaming output: whole characters whatever the cuts, and stop strings never shown in part.
#include <random>

#include "engine/text/stop_matcher.h"
#include "engine/text/stream_decoder.h"
#include "engine/text/unicode.h"
#include "tests/unit/text/fixtures.h"

namespace pumice::text_tests {
namespace {

bool is_utf8(std::string_view text) {
  for (size_t at = 0; at < text.size();) {
    const size_t n = text::utf8_length(text, at);
    if (n == 0) return false;
    at += n;
  }
  return true;
}

TEST(Utf8Stream, SplitAtEveryByte) {
  const std::string text = "aé€😀z\xF0\x90\x8D\x88 ﷽";
  for (size_t a = 0; a <= text.size(); ++a)
    for (size_t b = a; b <= text.size(); ++b) {
      Utf8Stream stream;
      std::string out;
      for (const std::string& piece : {text.substr(0, a), text.substr(a, b - a), text.substr(b)}) {
        const std::string shown = stream.push(piece);
        EXPECT_TRUE(is_utf8(shown));
        out += shown;
      }
      EXPECT_EQ(out + stream.flush(), text);
    }
}

TEST(Utf8Stream, ReplacesWhatIsNoCharacter) {
  const struct {
    const char* bytes;
    const char* shown;
  } rows[] = {
      {"\x80", "\uFFFD"},
      {"a\xFF"
       "b",
       "a\uFFFDb"},
      {"\xC0\xAF", "\uFFFD\uFFFD"},                      // overlong
      {"\xE0\x80\x80", "\uFFFD\uFFFD\uFFFD"},            // overlong
      {"\xED\xA0\x80", "\uFFFD\uFFFD\uFFFD"},            // surrogate
      {"\xF4\x90\x80\x80", "\uFFFD\uFFFD\uFFFD\uFFFD"},  // past U+10FFFF
      {"\xE2\x82x", "\uFFFDx"},                          // one for the longest start
      {"\xF0\x9F\x98", "\uFFFD"},                        // never completes
      {"\xF0\x9F\x98\xC3\xA9", "\uFFFDé"},
  };
  for (const auto& row : rows) {
    Utf8Stream whole, bytewise;
    std::string out = whole.push(row.bytes);
    EXPECT_EQ(out + whole.flush(), row.shown);
    out.clear();
    for (const char* c = row.bytes; *c; ++c) out += bytewise.push({c, 1});
    EXPECT_EQ(out + bytewise.flush(), row.shown);
  }
}

TEST(Utf8Stream, RandomBytesGiveUtf8) {
  std::mt19937 random(11);
  for (int round = 0; round < 200; ++round) {
    Utf8Stream stream;
    std::string out;
    for (int i = 0; i < 50; ++i) {
      std::string piece(random() % 5, ' ');
      for (char& c : piece) c = char(random() | (random() % 2 ? 0x80 : 0));
      const std::string shown = stream.push(piece);
      EXPECT_TRUE(is_utf8(shown));
      out += shown;
    }
    EXPECT_TRUE(is_utf8(out + stream.flush()));
    EXPECT_EQ(stream.flush(), "");
  }
}

TEST(StreamDecoder, ByteTokensBecomeCharacters) {
  OwnedVocabulary v;
  add_llama_head(v);
  const auto tokenizer = Tokenizer::create(v.finish("llama"));
  ASSERT_TRUE(tokenizer);
  StreamDecoder stream(*tokenizer), special(*tokenizer, true);
  EXPECT_EQ(stream.push(3 + 0xE2), "");
  EXPECT_EQ(stream.push(3 + 0x82), "");
  EXPECT_EQ(stream.push(3 + 0xAC), "€");
  EXPECT_EQ(stream.push(2), "");  // </s>
  EXPECT_EQ(special.push(2), "</s>");
  EXPECT_EQ(stream.push(-1), "");
  EXPECT_EQ(stream.push(1 << 30), "");
  EXPECT_EQ(stream.push(3 + 0xE2), "");
  EXPECT_EQ(stream.flush(), "\uFFFD");
}

/// Everything that a matcher shows for these pieces.
std::string shown(StopMatcher& stop, const std::vector<std::string>& pieces) {
  std::string out;
  for (const std::string& piece : pieces) out += stop.push(piece);
  return out + stop.flush();
}

TEST(StopMatcher, Rows) {
  const struct {
    std::vector<std::string> stops, pieces;
    const char* shown;
    const char* matched;
  } rows[] = {
      {{"END"}, {"one E", "N", "D two"}, "one ", "END"},
      {{"END"}, {"one EN", "E two"}, "one ENE two", ""},
      {{"\n\n"}, {"a\n", "b\n", "\nc"}, "a\nb", "\n\n"},
      {{"aab"}, {"a", "a", "a", "b"}, "a", "aab"},
      {{"User:", "\n"}, {"x Us", "er: y\n"}, "x ", "User:"},
      {{"abcd", "bc"}, {"xabcd"}, "xa", "bc"},
      {{"bc", "abc"}, {"xabcd"}, "x", "abc"},
      {{"", "z"}, {"a"}, "a", ""},
      {{}, {"a", "b"}, "ab", ""},
      {{"long stop"}, {"a long st"}, "a long st", ""},  // the end comes first: shown by flush
  };
  for (const auto& row : rows) {
    StopMatcher stop(row.stops);
    EXPECT_EQ(shown(stop, row.pieces), row.shown);
    EXPECT_EQ(stop.matched(), row.matched);
    EXPECT_EQ(stop.stopped(), *row.matched != 0);
    if (stop.stopped()) {
      EXPECT_EQ(stop.push("more"), "");
    }
  }
}

TEST(StopMatcher, RandomTextsAgreeWithFind) {
  std::mt19937 random(5);
  const auto word = [&](size_t n) {
    std::string text(n, ' ');
    for (char& c : text) c = char('a' + random() % 2);
    return text;
  };
  for (int round = 0; round < 500; ++round) {
    const std::string stop_text = word(1 + random() % 6), text = word(random() % 30);
    StopMatcher stop({stop_text});
    std::string out;
    for (size_t at = 0; at < text.size();) {
      const size_t n = 1 + random() % 4;
      out += stop.push(std::string_view(text).substr(at, n));
      EXPECT_EQ(text.compare(0, out.size(), out), 0);
      at += n;
    }
    out += stop.flush();
    const size_t found = text.find(stop_text);
    EXPECT_EQ(out, found == std::string::npos ? text : text.substr(0, found));
  }
}

}  // namespace
}  // namespace pumice::text_tests
