// The cuts of every family of pre-tokenizers: rows worked out from their published expressions.
#include "engine/text/pre_tokenizer.h"

#include <random>

#include "tests/unit/text/fixtures.h"

namespace pumice::text_tests {
namespace {

using Words = std::vector<std::string>;

Words words_of(std::string_view key, std::string_view text) {
  const auto rules = text::find_pre_tokenizer(key);
  EXPECT_TRUE(rules) << key;
  text::Cuts cuts, scratch;
  text::cut_words(**rules, text, cuts, scratch);
  Words words;
  size_t begin = 0;
  for (const uint32_t end : cuts) {
    words.emplace_back(text.substr(begin, end - begin));
    begin = end;
  }
  EXPECT_EQ(begin, text.size());
  return words;
}

struct Row {
  const char* key;
  const char* text;
  Words words;
};

const Row kRows[] = {
    {"gpt-2", "I'll go, 'RE  now", {"I", "'ll", " go", ",", " '", "RE", " ", " now"}},
    {"gpt-2", "a1234 5\n\n b", {"a", "1234", " 5", "\n\n", " b"}},
    {"gpt-2", "x\t\ty   ", {"x", "\t", "\t", "y", "   "}},
    {"gpt-2", "e\xCC\x81t\xC3\xA9", {"e", "\xCC\x81", "té"}},
    {"gpt-2", "a\xFF\xFF b", {"a", "\xFF\xFF", " b"}},
    {"llama-bpe", "I'LL pay 12345!\n\nOk", {"I", "'LL", " pay", " ", "123", "45", "!\n\n", "Ok"}},
    {"llama-bpe", "(word \n  \n x", {"(word", " \n  \n", " x"}},
    {"llama-bpe", "a   b", {"a", "  ", " b"}},
    {"llama-bpe", "\tif\xC2\xA0x", {"\tif", "\xC2\xA0x"}},
    {"qwen2", "42 '", {"4", "2", " '"}},
    {"qwen2", "e\xCC\x81", {"e", "\xCC\x81"}},
    {"qwen35", "e\xCC\x81!", {"e\xCC\x81", "!"}},
    {"smollm", "in 1999", {"in", " ", "1", "9", "9", "9"}},
    {"starcoder", "x12  y", {"x", "1", "2", " ", " y"}},
    {"falcon", "a,b 12345", {"a", ",", "b", " ", "123", "45"}},
    {"falcon", "don't", {"don", "'", "t"}},
    {"default", "a,b` 12345", {"a", ",", "b", "`", " ", "123", "45"}},
    {"deepseek-coder", "a b\n\n12,", {"a", " b", "\n", "\n", "1", "2", ","}},
    {"deepseek-llm", "go 你好 12\n", {"go", " ", "你好", " ", "12", "\n"}},
    {"deepseek-llm", "a.b  ", {"a", ".", "b", "  "}},
    {"gpt-4o", "HelloWorld's ABCd", {"Hello", "World's", " ABCd"}},
    {"gpt-4o", "ABC 1234//\n", {"ABC", " ", "123", "4", "//\n"}},
    {"tekken", "CamelCASE's 12", {"Camel", "CASE", "'s", " ", "1", "2"}},
    {"tekken", "AB文CD", {"AB文", "CD"}},
};

TEST(PreTokenizer, Rows) {
  for (const Row& row : kRows) EXPECT_EQ(words_of(row.key, row.text), row.words) << row.key;
}

TEST(PreTokenizer, EveryKeyCutsAnythingWithoutLoss) {
  std::mt19937 random(9);
  const std::string keys = text::pre_tokenizer_keys() + ", ";
  for (size_t at = 0, end; (end = keys.find(", ", at)) != std::string::npos; at = end + 2) {
    const std::string key = keys.substr(at, end - at);
    EXPECT_EQ(words_of(key, ""), Words{});
    for (int round = 0; round < 200; ++round) {
      std::string text(random() % 40, ' ');
      for (char& c : text) c = round % 2 ? char(random()) : " \n\t'sA1.\xE3\x80\x80"[random() % 11];
      for (const std::string& word : words_of(key, text)) EXPECT_FALSE(word.empty());
    }
  }
}

TEST(PreTokenizer, UnknownKeyListsTheKnownOnes) {
  const auto rules = text::find_pre_tokenizer("tokenizer-of-tomorrow");
  ASSERT_FALSE(rules);
  EXPECT_EQ(rules.error().code, ErrorCode::Unsupported);
  for (const char* word : {"tokenizer-of-tomorrow", "llama-bpe", "qwen2", "gpt-2"})
    EXPECT_NE(rules.error().text.find(word), std::string::npos) << word;
  EXPECT_EQ((*text::find_pre_tokenizer(""))->key, "default");
}

}  // namespace
}  // namespace pumice::text_tests
