// Files of reference logits: round trip, other texts and vocabularies, and damaged ones.
#include "engine/quant/reference_file.h"

#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <limits>

#include "engine/quant/compare.h"
#include "tests/unit/quant/made_up_source.h"
#include "tests/unit/text/fixtures.h"

namespace pumice::quant {
namespace {

namespace fs = std::filesystem;
constexpr uint32_t kVocab = 259;

class ReferenceFiles : public testing::Test {
 protected:
  void SetUp() override {
    const auto* info = testing::UnitTest::GetInstance()->current_test_info();
    folder_ = fs::temp_directory_path() / (std::string("pumice-reference-") + info->name());
    fs::create_directories(folder_);
    path_ = (folder_ / "r.logits").string();
    text_tests::add_llama_head(vocabulary_);
    tokenizer_.emplace(*Tokenizer::create(vocabulary_.finish("llama")));
  }
  void TearDown() override { fs::remove_all(folder_); }

  void save() {
    auto writer =
        ReferenceWriter::create(path_, "exact.gguf", kVocab, vocabulary_hash(*tokenizer_), text_);
    ASSERT_TRUE(writer) << writer.error().text;
    const auto done =
        for_all_rows(source_, text_, {},
                     [&](uint32_t, uint32_t, const LogitsView& v) { return writer->write(v); });
    ASSERT_TRUE(done) << done.error().text;
    EXPECT_FALSE(fs::exists(path_)) << "not yet whole";
    const auto finished = writer->finish();
    ASSERT_TRUE(finished) << finished.error().text;
  }
  std::string bytes() {
    std::ifstream in(path_, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  void write(const std::string& bytes) { std::ofstream(path_, std::ios::binary) << bytes; }

  fs::path folder_;
  std::string path_;
  text_tests::OwnedVocabulary vocabulary_;
  std::optional<Tokenizer> tokenizer_;
  EvaluationText text_ = made_up_text(kVocab, 3);
  MadeUpSource source_{"exact.gguf", kVocab, 4, scatter};
};

TEST_F(ReferenceFiles, RoundTripIsExact) {
  save();
  EXPECT_TRUE(ReferenceFile::recognise(path_));
  auto file = ReferenceFile::open(path_);
  ASSERT_TRUE(file) << file.error().text;
  EXPECT_EQ(file->model(), "exact.gguf");
  EXPECT_EQ(file->text().tokens, text_.tokens);
  EXPECT_TRUE(file->check_text(text_));
  EXPECT_TRUE(file->check_vocabulary(*tokenizer_, kVocab));
  const auto comparison = compare(&*file, source_, text_);
  ASSERT_TRUE(comparison) << comparison.error().text;
  for (const PositionScore& score : comparison->positions) {
    EXPECT_EQ(score.kld, 0.0);
    EXPECT_EQ(score.nll, score.nll_reference);
  }
  EXPECT_EQ(fs::file_size(path_) % 64, text_.scored() * kVocab * 4 % 64);
}

TEST_F(ReferenceFiles, AnotherEvaluationIsNamed) {
  save();
  const auto file = ReferenceFile::open(path_);
  ASSERT_TRUE(file);
  EvaluationText other = text_;
  other.tokens[20] = 1;
  EXPECT_NE(file->check_text(other).error().text.find("token 4 of chunk 1"), std::string::npos);
  EXPECT_NE(file->check_text(made_up_text(kVocab, 3, 12)).error().text.find("tokens per chunk"),
            std::string::npos);
  EXPECT_NE(file->check_text(made_up_text(kVocab, 4)).error().text.find("--chunks 3"),
            std::string::npos);
  EXPECT_NE(file->check_text(made_up_text(kVocab, 3, 16, true)).error().text.find("first scored"),
            std::string::npos);
  EXPECT_TRUE(file->check_text(made_up_text(kVocab, 2))) << "fewer chunks of the same text";
  EXPECT_FALSE(file->check_vocabulary(*tokenizer_, kVocab + 1));
  vocabulary_.texts[9] = "other";
  vocabulary_.types[9] = int32_t(TokenType::Normal);
  const auto tokenizer = Tokenizer::create(vocabulary_.finish("llama"));
  ASSERT_TRUE(tokenizer) << tokenizer.error().text;
  EXPECT_NE(file->check_vocabulary(*tokenizer, kVocab).error().text.find("exact.gguf"),
            std::string::npos);
  EXPECT_NE(check_same_vocabulary(*tokenizer_, *tokenizer).error().text.find("token 9 is"),
            std::string::npos);
}

TEST_F(ReferenceFiles, UnfinishedOnesLeaveNothing) {
  {
    auto writer = ReferenceWriter::create(path_, "m", kVocab, 0, text_);
    ASSERT_TRUE(writer);
    EXPECT_FALSE(writer->finish()) << "rows are missing";
  }
  EXPECT_TRUE(fs::is_empty(folder_));
  EXPECT_FALSE(ReferenceWriter::create((folder_ / "no" / "r").string(), "m", kVocab, 0, text_));
  EvaluationText huge = text_;
  huge.chunks = UINT32_MAX;  // only the size of it is looked at before the disk is asked
  const auto refused = ReferenceWriter::create(path_, "m", 1u << 20, 0, huge);
  EXPECT_FALSE(refused);
  EXPECT_TRUE(fs::is_empty(folder_));
}

// Every word of the header with hostile values, and every length: an error, nothing worse.
TEST_F(ReferenceFiles, DamagedOnesAreErrors) {
  save();
  const std::string good = bytes();
  for (size_t word = 0; word < 12; ++word)
    for (const uint32_t value : {0u, 1u, 7u, 0x7FFFFFFFu, 0x80000000u, 0xFFFFFFFFu}) {
      std::string bad = good;
      std::memcpy(bad.data() + word * 4, &value, 4);
      if (bad == good) continue;
      write(bad);
      const auto file = ReferenceFile::open(path_);
      const bool is_vocabulary = word == 8 || word == 9;
      if (is_vocabulary)
        EXPECT_TRUE(file && !file->check_vocabulary(*tokenizer_, kVocab));
      else
        EXPECT_FALSE(file) << "word " << word << " = " << value;
    }
  for (const size_t length : {size_t(0), size_t(7), size_t(47), size_t(60), good.size() - 1}) {
    write(good.substr(0, length));
    EXPECT_FALSE(ReferenceFile::open(path_)) << length;
  }
  write(good + "x");
  EXPECT_FALSE(ReferenceFile::open(path_));
  std::string token = good;
  token[70] = char(token[70] ^ 1);
  write(token);
  EXPECT_NE(ReferenceFile::open(path_).error().text.find("checksum"), std::string::npos);
}

TEST_F(ReferenceFiles, NaNInTheRowsIsNamed) {
  save();
  std::string bad = bytes();
  const float nan = std::numeric_limits<float>::quiet_NaN();
  std::memcpy(bad.data() + bad.size() - 4, &nan, 4);
  write(bad);
  auto file = ReferenceFile::open(path_);
  ASSERT_TRUE(file);
  const auto comparison = compare(&*file, source_, text_);
  ASSERT_FALSE(comparison);
  EXPECT_NE(comparison.error().text.find("r.logits: a logit at chunk 2, position 14"),
            std::string::npos)
      << comparison.error().text;
}

}  // namespace
}  // namespace pumice::quant
