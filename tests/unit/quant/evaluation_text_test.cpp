// Chunk plans, and files of text that are too short, too long, or no text.
#include "engine/quant/evaluation_text.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <numeric>

#include "tests/unit/text/fixtures.h"

namespace pumice::quant {
namespace {

namespace fs = std::filesystem;
using text_tests::OwnedVocabulary;

std::vector<int32_t> counting(size_t n) {
  std::vector<int32_t> tokens(n);
  std::iota(tokens.begin(), tokens.end(), 100);
  return tokens;
}

TEST(Chunks, DoNotOverlapAndBeginWithBos) {
  const auto text = cut_chunks(counting(35), 1, {.context = 10}, "t");
  ASSERT_TRUE(text);
  EXPECT_EQ(text->chunks, 3u);
  EXPECT_EQ(text->text_tokens, 35u);
  EXPECT_EQ(text->first_scored, 5u);
  EXPECT_EQ(text->scored_per_chunk(), 4u) << "positions 5 to 8: 9 has no next token";
  EXPECT_EQ(text->scored(), 12u);
  for (uint32_t i = 0; i < 3; ++i) {
    EXPECT_EQ(text->chunk(i)[0], 1);
    for (int32_t k = 1; k < 10; ++k) EXPECT_EQ(text->chunk(i)[k], 100 + int32_t(i) * 10 + k);
  }
}

TEST(Chunks, OptionsCount) {
  const auto two =
      cut_chunks(counting(35), -1, {.context = 10, .chunks = 2, .score_all = true}, "t");
  ASSERT_TRUE(two);
  EXPECT_EQ(two->chunks, 2u);
  EXPECT_EQ(two->tokens, counting(20)) << "no BOS where the vocabulary adds none";
  EXPECT_EQ(two->scored_per_chunk(), 9u);
  const auto odd = cut_chunks(counting(11), -1, {.context = 11}, "t");
  ASSERT_TRUE(odd);
  EXPECT_EQ(odd->first_scored, 5u);
  EXPECT_EQ(odd->scored_per_chunk(), 5u);
}

TEST(Chunks, TooLittleTextSaysHowMuchIsNeeded) {
  struct Row {
    size_t tokens;
    ChunkOptions options;
    const char* says;
  };
  const Row rows[] = {
      {9, {.context = 10}, "9 tokens, and a chunk of 10 tokens need 10"},
      {0, {.context = 512}, "need 512"},
      {25, {.context = 10, .chunks = 3}, "3 chunks of 10 tokens need 30"},
      {25, {.context = 7}, "the least is 8"},
  };
  for (const Row& row : rows) {
    const auto text = cut_chunks(counting(row.tokens), 1, row.options, "some.txt");
    ASSERT_FALSE(text);
    EXPECT_NE(text.error().text.find(row.says), std::string::npos) << text.error().text;
  }
}

class TextFile : public testing::Test {
 protected:
  void SetUp() override {
    const auto* info = testing::UnitTest::GetInstance()->current_test_info();
    path_ = fs::temp_directory_path() / (std::string("pumice-text-") + info->name());
    text_tests::add_llama_head(vocabulary_);
    vocabulary_.vocabulary.special.bos = 1;
    auto made = Tokenizer::create(vocabulary_.finish("llama"));
    ASSERT_TRUE(made) << made.error().text;
    tokenizer_.emplace(std::move(*made));
  }
  void TearDown() override { fs::remove(path_); }
  void write(const std::string& bytes) { std::ofstream(path_, std::ios::binary) << bytes; }
  Result<EvaluationText> read(const ChunkOptions& options) {
    return read_evaluation_text(path_.string(), *tokenizer_, options);
  }

  fs::path path_;
  OwnedVocabulary vocabulary_;
  std::optional<Tokenizer> tokenizer_;
};

TEST_F(TextFile, IsReadAsFarAsWanted) {
  std::string text;
  for (int i = 0; i < 20'000; ++i) text += "abc\xC3\xA9 ";  // cuts fall inside a character
  write(text);
  const auto all = read({.context = 64});
  const auto some = read({.context = 64, .chunks = 5});
  ASSERT_TRUE(all && some) << some.error().text;
  EXPECT_GT(all->chunks, 1000u);
  EXPECT_LT(some->text_tokens, 10'000u) << "all of the file was tokenised";
  EXPECT_TRUE(std::equal(some->tokens.begin(), some->tokens.end(), all->tokens.begin()));
  EXPECT_EQ(all->chunk(7)[0], 1);
}

TEST_F(TextFile, WhatIsNoTextIsRefused) {
  struct Row {
    std::string bytes;
    const char* says;
  };
  const Row rows[] = {
      {"", "need 64"},
      {std::string(40, 'a'), "need 64"},
      {std::string(100, 'a') + "\xFF" + std::string(100, 'a'), "byte 100 is no UTF-8"},
      {std::string(100, 'a') + "\xED\xA0\x80", "byte 100"},  // a surrogate
      {std::string(100, 'a') + "\xE2\x82", "byte 100"},      // cut off at the end of the file
  };
  for (const Row& row : rows) {
    write(row.bytes);
    const auto text = read({.context = 64});
    ASSERT_FALSE(text);
    EXPECT_NE(text.error().text.find(row.says), std::string::npos) << text.error().text;
    EXPECT_NE(text.error().text.find(path_.string()), std::string::npos) << text.error().text;
  }
  fs::remove(path_);
  EXPECT_EQ(read({}).error().code, ErrorCode::NotFound);
  fs::create_directory(path_);
  EXPECT_EQ(read({}).error().code, ErrorCode::BadArgument);
}

TEST_F(TextFile, TokenIdsAreChecked) {
  write("[1, 2,3\n4 5 6 7 8 9]");
  const auto ids = read_token_ids(path_.string(), 10, {.context = 8});
  ASSERT_TRUE(ids) << ids.error().text;
  EXPECT_EQ(ids->tokens, (std::vector<int32_t>{1, 2, 3, 4, 5, 6, 7, 8}));
  for (const char* bad : {"1 2 3 10", "1 2 -3", "1 2 x", "1 2 99999999999"}) {
    write(bad);
    const auto refused = read_token_ids(path_.string(), 10, {.context = 8});
    ASSERT_FALSE(refused);
    EXPECT_NE(refused.error().text.find("begins no token id below 10"), std::string::npos);
  }
}

}  // namespace
}  // namespace pumice::quant
