// Vocabularies for the text tests: real ones from the reference data, and small ones made here.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "engine/text/tokenizer.h"
#include "loader/gguf.h"

namespace pumice::text_tests {

inline std::string oracle_path(const std::string& name) {
  return std::string(PUMICE_ORACLE_DIR) + "/vocab/ggml-vocab-" + name + ".gguf";
}

inline std::string read_text(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream bytes;
  bytes << file.rdbuf();
  return bytes.str();
}

inline const std::vector<std::string> kOracleNames = {"llama-spm", "phi-3", "gpt-2", "llama-bpe",
                                                      "qwen2"};

inline Tokenizer load_tokenizer(const std::string& path) {
  auto file = open_gguf(path);
  EXPECT_TRUE(file) << (file ? "" : file.error().text);
  auto tokenizer = Tokenizer::create((*file)->metadata());
  EXPECT_TRUE(tokenizer) << (tokenizer ? "" : tokenizer.error().text);
  return std::move(*tokenizer);
}

#define SKIP_WITHOUT_ORACLE(name)                                        \
  if (!std::filesystem::exists(::pumice::text_tests::oracle_path(name))) \
  GTEST_SKIP() << "no reference vocabulary at " << ::pumice::text_tests::oracle_path(name)

/// A vocabulary that owns what its views point to.
struct OwnedVocabulary {
  std::vector<std::string> texts;
  std::vector<std::string_view> views;
  std::vector<float> scores;
  std::vector<int32_t> types;
  std::vector<std::string> merge_texts;
  std::vector<std::string_view> merges;
  Vocabulary vocabulary;

  void add(std::string text, TokenType type = TokenType::Normal, float score = 0) {
    texts.push_back(std::move(text));
    types.push_back(int32_t(type));
    scores.push_back(score);
  }

  Vocabulary& finish(std::string_view model) {
    views.assign(texts.begin(), texts.end());
    merges.assign(merge_texts.begin(), merge_texts.end());
    vocabulary.model = model;
    vocabulary.tokens = views;
    vocabulary.types = types;
    vocabulary.merges = merges;
    if (model == "llama") vocabulary.scores = scores;
    return vocabulary;
  }
};

/// GPT-2's printable character for a byte, as UTF-8.
inline std::string byte_character(int byte) {
  int code = byte, next = 256;
  for (int b = 0; b <= byte; ++b) {
    const bool prints = (b >= 0x21 && b <= 0x7E) || (b >= 0xA1 && b <= 0xAC) || b >= 0xAE;
    if (!prints && b == byte) code = next;
    if (!prints) ++next;
  }
  if (code < 0x80) return std::string(1, char(code));
  return {char(0xC0 | code >> 6), char(0x80 | (code & 0x3F))};
}

/// 256 byte tokens, then nothing: callers add tokens and merges.
inline void add_byte_characters(OwnedVocabulary& v) {
  for (int b = 0; b < 256; ++b) v.add(byte_character(b));
}

/// <unk> <s> </s> and the 256 byte tokens, as llama models begin.
inline void add_llama_head(OwnedVocabulary& v) {
  v.add("<unk>", TokenType::Unknown);
  v.add("<s>", TokenType::Control);
  v.add("</s>", TokenType::Control);
  const char* digits = "0123456789ABCDEF";
  for (int b = 0; b < 256; ++b)
    v.add(std::string("<0x") + digits[b >> 4] + digits[b & 15] + ">", TokenType::Byte);
}

}  // namespace pumice::text_tests
