// Every hostile file meets exactly its error, in words, in time; and what lies between the rows of
// the corpus (every prefix, many flipped bytes) at least keeps its promises.
#include "hostile.h"

#include <gtest/gtest.h>

#include <chrono>
#include <random>

#include "loader/codec.h"
#include "loader/gguf.h"
#include "tests/support/gguf_writer.h"

namespace pumice::test {
namespace {

using std::chrono::steady_clock;

Result<void> open_and_scan(std::span<const std::byte> bytes) {
  auto file = open_gguf(borrow_memory("hostile.gguf", bytes));
  if (!file) return tl::unexpected(std::move(file.error()));
  for (const TensorInfo& tensor : (*file)->tensors()) {
    // What tensor_info.h promises, whatever the file was.
    EXPECT_GE(tensor.data.data(), bytes.data());
    EXPECT_LE(tensor.data.data() + tensor.n_bytes, bytes.data() + bytes.size());
    EXPECT_EQ(tensor.data.size(), tensor.n_bytes);
    EXPECT_EQ(tensor.n_rows() * tensor.row_bytes(), tensor.n_bytes);
    PUMICE_TRY(check_finite(tensor));
  }
  return {};
}

void expect_one_line(const Error& error) {
  EXPECT_FALSE(error.text.empty());
  EXPECT_LE(error.text.size(), 600u);
  for (const char c : error.text) EXPECT_GE(uint8_t(c), 0x20) << error.text;
}

TEST(HostileFiles, MeetTheirError) {
  const auto corpus = hostile_files();
  EXPECT_GE(corpus.size(), 300u);
  size_t refused = 0;
  for (const HostileFile& row : corpus) {
    SCOPED_TRACE(row.name);
    const auto start = steady_clock::now();
    const auto result = open_and_scan(row.bytes);
    const std::chrono::duration<double> seconds = steady_clock::now() - start;
    EXPECT_LT(seconds.count(), 1.0);
    if (!row.code) {
      EXPECT_TRUE(result.has_value()) << result.error().text;
      continue;
    }
    ++refused;
    ASSERT_FALSE(result.has_value()) << "was accepted";
    EXPECT_EQ(int(result.error().code), int(*row.code)) << result.error().text;
    EXPECT_NE(result.error().text.find(row.word), std::string::npos)
        << "wanted \"" << row.word << "\" in: " << result.error().text;
    expect_one_line(result.error());
  }
  RecordProperty("files", int(corpus.size()));
  RecordProperty("refused", int(refused));
}

std::vector<std::byte> sample() {
  GgufWriter file;
  file.set("general.architecture", std::string("llama")).set("general.alignment", uint32_t(32));
  file.set("llama.block_count", uint32_t(1)).set("x.flag", true).set("x.eps", 1e-5f);
  file.set_array("tokens", std::vector<std::string>{"<s>", "a", "bc"});
  file.set_array("scores", std::vector<float>{0, -1, -2});
  file.tensor_zero("a.weight", QuantType::Q4_K, {256, 2}).tensor_zero("b", QuantType::F32, {3});
  return file.bytes();
}

TEST(HostileFiles, EveryPrefixIsRefused) {
  const auto whole = sample();
  ASSERT_TRUE(open_and_scan(whole).has_value());
  for (size_t n = 0; n < whole.size(); ++n) {
    // A heap copy of exactly n bytes: a sanitizer sees a read past them.
    const std::vector<std::byte> prefix(whole.begin(), whole.begin() + std::ptrdiff_t(n));
    const auto result = open_and_scan(prefix);
    ASSERT_FALSE(result.has_value()) << n;
    EXPECT_EQ(result.error().code, ErrorCode::BadFile) << result.error().text;
    expect_one_line(result.error());
  }
}

TEST(HostileFiles, EveryFlippedByteIsAnErrorOrAValidFile) {
  const auto whole = sample();
  size_t refused = 0;
  for (size_t at = 0; at < whole.size(); ++at)
    for (const unsigned flip : {0x01u, 0x80u, 0xFFu}) {
      auto copy = whole;
      copy[at] ^= std::byte(flip);
      const auto result = open_and_scan(copy);
      if (result) continue;
      ++refused;
      expect_one_line(result.error());
    }
  EXPECT_GT(refused, 300u);
}

TEST(HostileFiles, RandomEditsAreAnErrorOrAValidFile) {
  const auto whole = sample();
  std::mt19937 random(20240607);
  for (int round = 0; round < 20'000; ++round) {
    auto copy = whole;
    for (uint32_t edits = 1 + random() % 4; edits > 0; --edits) {
      const size_t at = random() % (copy.size() - 8);
      const uint64_t value = random() % 2 ? uint64_t(random()) << (random() % 33) : random() % 300;
      std::memcpy(copy.data() + at, &value, 1 + random() % 8);
    }
    if (const auto result = open_and_scan(copy); !result) expect_one_line(result.error());
  }
}

}  // namespace
}  // namespace pumice::test
