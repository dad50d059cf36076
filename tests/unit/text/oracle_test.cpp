// Real vocabularies against reference ids, and what must hold for any text.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <random>

#include "tests/unit/text/fixtures.h"

namespace pumice::text_tests {
namespace {

std::vector<std::string> split_texts(const std::string& all) {
  const std::string separator = "\n__ggml_vocab_test__\n";
  std::vector<std::string> texts;
  for (size_t at = 0;;) {
    const size_t end = all.find(separator, at);
    if (end == std::string::npos) break;
    texts.push_back(all.substr(at, end - at));
    at = end + separator.size();
  }
  return texts;
}

class Oracle : public testing::TestWithParam<std::string> {};

TEST_P(Oracle, GivesTheReferenceIds) {
  SKIP_WITHOUT_ORACLE(GetParam());
  const std::string path = oracle_path(GetParam());
  const Tokenizer tokenizer = load_tokenizer(path);
  const auto texts = split_texts(read_text(path + ".inp"));
  std::istringstream lines(read_text(path + ".out"));
  ASSERT_GT(texts.size(), 40u);
  for (const std::string& text : texts) {
    std::string line;
    ASSERT_TRUE(std::getline(lines, line));
    std::istringstream numbers(line);
    std::vector<int32_t> expected;
    for (int32_t id; numbers >> id;) expected.push_back(id);
    const auto ids = tokenizer.encode(text);
    ASSERT_TRUE(ids) << ids.error().text;
    EXPECT_EQ(*ids, expected) << "text: [" << text << "]";
    EXPECT_EQ(tokenizer.decode(*ids, {.strip_space_prefix = true}), text);
  }
}

std::string random_text(std::mt19937& random, size_t characters) {
  const std::vector<std::string> pool = {
      "a", "e", "the",  " ", "  ",       "\n", "\r\n", "\t", "7", "é", "你", "😀", "'s",
      "<", ">", "0x0A", "|", "\xCC\x81", "Я",  "ß",    "_",  "{", "}", ".",  "-"};
  std::string text;
  for (size_t i = 0; i < characters; ++i) text += pool[random() % pool.size()];
  return text;
}

TEST_P(Oracle, RandomTextComesBack) {
  SKIP_WITHOUT_ORACLE(GetParam());
  const Tokenizer tokenizer = load_tokenizer(oracle_path(GetParam()));
  std::mt19937 random(7);
  for (int round = 0; round < 300; ++round) {
    std::string text = random_text(random, random() % 80);
    if (round % 2 == 1)  // any bytes at all, valid or not
      for (char& c : text) c = char(random());
    const auto ids = tokenizer.encode(text);
    ASSERT_TRUE(ids) << ids.error().text;
    EXPECT_EQ(tokenizer.decode(*ids, {.strip_space_prefix = true}), text);
    for (const int32_t id : *ids) EXPECT_FALSE(tokenizer.is_control(id)) << "text: " << text;
  }
}

TEST_P(Oracle, TextsOfControlTokensStayText) {
  SKIP_WITHOUT_ORACLE(GetParam());
  const Tokenizer tokenizer = load_tokenizer(oracle_path(GetParam()));
  int controls = 0;
  for (int32_t id = 0; id < tokenizer.n_vocab(); ++id) {
    if (tokenizer.type(id) != TokenType::Control) continue;
    ++controls;
    const std::string text = "a" + std::string(tokenizer.piece(id)) + "b";
    const auto plain = tokenizer.encode(text);
    const auto parsed = tokenizer.encode(text, {.parse_special = true});
    ASSERT_TRUE(plain && parsed);
    for (const int32_t got : *plain) EXPECT_FALSE(tokenizer.is_control(got)) << text;
    EXPECT_EQ(tokenizer.decode(*plain, {.strip_space_prefix = true}), text);
    EXPECT_NE(std::find(parsed->begin(), parsed->end(), id), parsed->end()) << text;
  }
  EXPECT_GT(controls, 0);
}

// The times are for people; the bound only catches a return of quadratic work.
TEST_P(Oracle, OneCharacterTakesLinearTime) {
  SKIP_WITHOUT_ORACLE(GetParam());
  const Tokenizer tokenizer = load_tokenizer(oracle_path(GetParam()));
  const auto seconds = [&](std::string_view unit, size_t bytes) {
    std::string text;
    while (text.size() < bytes) text += unit;
    const auto start = std::chrono::steady_clock::now();
    const auto ids = tokenizer.encode(text);
    const std::chrono::duration<double> passed = std::chrono::steady_clock::now() - start;
    EXPECT_TRUE(ids);
    EXPECT_TRUE(tokenizer.decode(*ids, {.strip_space_prefix = true}) == text);
    return passed.count();
  };
  for (const std::string_view unit : {"a", " ", "\n", "7", "😀", "ab", "'", "\xFF"}) {
    const double one = seconds(unit, 1 << 20), two = seconds(unit, 2 << 20);
    printf("%-10s %-6s 1 MB %.3f s, 2 MB %.3f s\n", GetParam().c_str(),
           unit == "\n"     ? "\\n"
           : unit == "\xFF" ? "0xFF"
                            : std::string(unit).c_str(),
           one, two);
    EXPECT_LT(two, 60.0);
  }
}

INSTANTIATE_TEST_SUITE_P(Vocabularies, Oracle, testing::ValuesIn(kOracleNames),
                         [](const auto& row) {
                           std::string name = row.param;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

}  // namespace
}  // namespace pumice::text_tests
