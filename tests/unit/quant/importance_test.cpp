// Importance matrices: files there and back, the older form, damaged ones, and arithmetic.
#include "engine/quant/importance.h"

#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <random>

#include "tests/support/gguf_writer.h"
#include "tests/support/sized_model.h"

namespace pumice::quant {
namespace {

using test::Bytes;

/// A path in a folder of its own, removed with the object.
class Scratch {
 public:
  Scratch()
      : folder_(std::filesystem::temp_directory_path() /
                ("pumice-importance-" + std::to_string(std::random_device{}()))) {
    std::filesystem::create_directory(folder_);
  }
  ~Scratch() {
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
  }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  [[nodiscard]] std::string path() const { return (folder_ / "file.gguf").string(); }
  [[nodiscard]] std::string write(const std::vector<std::byte>& bytes) const {
    std::ofstream(path(), std::ios::binary)
        .write(reinterpret_cast<const char*>(bytes.data()), std::streamsize(bytes.size()));
    return path();
  }

 private:
  std::filesystem::path folder_;
};

TapStatistics tap(std::vector<std::string> tensors, uint32_t width, uint32_t matrices, bool gram) {
  TapStatistics out{std::move(tensors), width, matrices, {}, {}, {}};
  for (uint32_t i = 0; i < width * matrices; ++i) out.sum_squares.push_back(1.5 * i + 0.25);
  for (uint32_t i = 0; i < matrices; ++i) out.counts.push_back(10 * i);
  for (uint32_t i = 0; gram && i < width * width * matrices; ++i)
    out.gram.push_back(0.5f * float(i));
  return out;
}

ImportanceMatrix sample() {
  ImportanceMatrix matrix;
  std::vector<TapStatistics> taken{tap({"blk.0.attn_q.weight", "blk.0.attn_k.weight"}, 6, 1, true),
                                   tap({"blk.0.ffn_down_exps.weight"}, 4, 3, true),
                                   tap({"blk.0.ffn_up.weight"}, 5, 1, false)};
  EXPECT_TRUE(add_statistics(matrix, std::move(taken)));
  matrix.datasets = {"one.txt", "two.txt"};
  matrix.chunk_count = 7;
  matrix.chunk_size = 512;
  return matrix;
}

TEST(Importance, FileThereAndBack) {
  const Scratch scratch;
  const ImportanceMatrix matrix = sample();
  const auto written = write_importance(matrix, scratch.path());
  ASSERT_TRUE(written) << written.error().text;
  const auto read = read_importance(scratch.path());
  ASSERT_TRUE(read) << read.error().text;
  EXPECT_EQ(read->datasets, matrix.datasets);
  EXPECT_EQ(read->chunk_count, 7u);
  EXPECT_EQ(read->chunk_size, 512u);
  ASSERT_EQ(read->tensors.size(), 4u);
  for (const auto& [name, entry] : matrix.tensors) {
    const ActivationStatistics& found = read->tensors.at(name);
    EXPECT_EQ(found.width, entry.width);
    EXPECT_EQ(found.matrices, entry.matrices);
    EXPECT_EQ(found.sum_squares, entry.sum_squares);
    EXPECT_EQ(found.counts, entry.counts);
    ASSERT_EQ(found.gram == nullptr, entry.gram == nullptr) << name;
    EXPECT_TRUE(entry.gram == nullptr || *found.gram == *entry.gram) << name;
  }
  EXPECT_EQ(read->tensors.at("blk.0.attn_q.weight").gram,
            read->tensors.at("blk.0.attn_k.weight").gram);
  const auto without = read_importance(scratch.path(), false);
  ASSERT_TRUE(without);
  EXPECT_EQ(without->tensors.at("blk.0.attn_q.weight").gram, nullptr);
}

/// Names, shapes, types and keys as other programs look for them.
TEST(Importance, FileIsThePublicForm) {
  const Scratch scratch;
  ASSERT_TRUE(write_importance(sample(), scratch.path()));
  const auto file = open_gguf(scratch.path());
  ASSERT_TRUE(file) << file.error().text;
  const Metadata& metadata = (*file)->metadata();
  EXPECT_EQ(metadata.get_string("general.type"), "imatrix");
  EXPECT_EQ(metadata.get_u32("imatrix.chunk_count"), 7u);
  EXPECT_EQ(metadata.get_u32("imatrix.chunk_size"), 512u);
  EXPECT_EQ(metadata.get_strings("imatrix.datasets")->size(), 2u);
  const std::string down = "blk.0.ffn_down_exps.weight";
  EXPECT_TRUE((*file)->require_tensor(down + ".in_sum2", {4, 3}));
  EXPECT_TRUE((*file)->require_tensor(down + ".counts", {1, 3}));
  EXPECT_TRUE((*file)->require_tensor(down + ".gram", {4, 4, 3}));
  EXPECT_TRUE((*file)->find_tensor("blk.0.attn_k.weight.gram"));
  EXPECT_FALSE((*file)->find_tensor("blk.0.attn_q.weight.gram"));
  for (const TensorInfo& tensor : (*file)->tensors()) EXPECT_EQ(tensor.type, QuantType::F32);
}

Bytes legacy(int32_t entries = 2, bool tail = true) {
  Bytes bytes;
  bytes.put(entries);
  for (const std::string_view name : {"blk.0.ffn_up.weight", "blk.0.ffn_gate.weight"}) {
    bytes.put(int32_t(name.size())).raw(name).put(int32_t(4)).put(int32_t(3));
    for (const float value : {4.0f, 8.0f, 12.0f}) bytes.put(value);
  }
  if (tail) bytes.put(int32_t(9)).put(int32_t(5)).raw("a.txt");
  return bytes;
}

TEST(Importance, ReadsTheOlderForm) {
  const Scratch scratch;
  const auto read = read_importance(scratch.write(legacy().data));
  ASSERT_TRUE(read) << read.error().text;
  EXPECT_EQ(read->chunk_count, 9u);
  EXPECT_EQ(read->datasets, std::vector<std::string>{"a.txt"});
  EXPECT_EQ(mean_squares(read->tensors.at("blk.0.ffn_up.weight")),
            (std::vector<float>{1.0f, 2.0f, 3.0f}));
  EXPECT_TRUE(read_importance(scratch.write(legacy(2, false).data)));
}

TEST(Importance, DamagedOlderFilesAreErrors) {
  const Scratch scratch;
  const std::vector<std::byte> whole = legacy(2, false).data;
  for (size_t length = 1; length < whole.size(); ++length)
    EXPECT_FALSE(read_importance(scratch.write({whole.begin(), whole.begin() + ptrdiff_t(length)})))
        << length;
  for (const int32_t entries : {0, -1, 3, INT32_MAX})
    EXPECT_FALSE(read_importance(scratch.write(legacy(entries).data))) << entries;
  Bytes twice;
  twice.put(int32_t(2));
  for (int i = 0; i < 2; ++i)
    twice.put(int32_t(1)).raw("a").put(int32_t(1)).put(int32_t(1)).put(1.0f);
  const auto doubled = read_importance(scratch.write(twice.data));
  ASSERT_FALSE(doubled);
  EXPECT_NE(doubled.error().text.find("second time"), std::string::npos);
}

/// A correct file with one thing changed, and part of what the error says.
struct Damage {
  const char* name;
  std::vector<uint64_t> sums{3, 2}, counts{1, 2}, gram{3, 3, 2};
  float value = 1.0f;
  std::string type = "imatrix", sharer, counts_name = "a.weight.counts";
  const char* says;
};

test::GgufWriter damaged(const Damage& damage) {
  test::GgufWriter file;
  file.set("general.type", damage.type);
  const auto add = [&](const std::string& name, const std::vector<uint64_t>& shape) {
    uint64_t n = 1;
    for (const uint64_t dim : shape) n *= dim;
    file.tensor_f32(name, shape, std::vector<float>(n, damage.value));
  };
  add("a.weight.in_sum2", damage.sums);
  add(damage.counts_name, damage.counts);
  add("a.weight.gram", damage.gram);
  if (!damage.sharer.empty())
    file.set_array("imatrix.gram.tensors", std::vector<std::string>{damage.sharer})
        .set_array("imatrix.gram.stored_as", std::vector<std::string>{"b.weight"});
  return file;
}

TEST(Importance, DamagedFilesAreErrors) {
  const Damage rows[] = {
      {.name = "model", .type = "model", .says = "expected an importance matrix"},
      {.name = "no counts", .counts_name = "b.weight.counts", .says = "a.weight.counts"},
      {.name = "counts", .counts = {1, 3}, .says = "a.weight.counts"},
      {.name = "three dimensions", .sums = {3, 2, 2}, .says = "at most two"},
      {.name = "gram", .gram = {3, 2, 2}, .says = "a.weight.gram"},
      {.name = "negative", .value = -1.0f, .says = "a.weight.in_sum2: value 0 is -1"},
      {.name = "infinite", .value = INFINITY, .says = "value 0 is inf"},
      {.name = "not a number", .value = NAN, .says = "nan"},
      {.name = "sharer", .sharer = "c.weight", .says = "entry 0 names no Gram matrix"},
      {.name = "owner", .sharer = "a.weight", .says = "entry 0 names no Gram matrix"},
  };
  const Scratch scratch;
  for (const Damage& damage : rows) {
    const auto read = read_importance(scratch.write(damaged(damage).bytes()));
    ASSERT_FALSE(read) << damage.name;
    EXPECT_NE(read.error().text.find(damage.says), std::string::npos) << read.error().text;
  }
  EXPECT_TRUE(read_importance(scratch.write(damaged({.name = "none", .says = ""}).bytes())));
}

TEST(Importance, OfAnotherModel) {
  const auto model = test::sized_model("llama", {.experts = 3}).open();
  ASSERT_TRUE(model);
  ImportanceMatrix matrix;
  const auto one = [&](const char* name, uint32_t width, uint32_t matrices) {
    matrix.tensors.clear();
    EXPECT_TRUE(add_statistics(matrix, {tap({name}, width, matrices, false)}));
    return check_importance(matrix, **model);
  };
  EXPECT_TRUE(one("blk.0.attn_q.weight", 256, 1));
  EXPECT_TRUE(one("blk.1.ffn_down_exps.weight", 512, 3));
  const auto width = one("blk.0.attn_q.weight", 128, 1);
  ASSERT_FALSE(width);
  EXPECT_NE(width.error().text.find("blk.0.attn_q.weight: 128 channels"), std::string::npos);
  EXPECT_FALSE(one("blk.1.ffn_down_exps.weight", 512, 4));
  EXPECT_FALSE(one("blk.9.attn_q.weight", 256, 1));
  // The older form: experts end to end.
  EXPECT_TRUE(one("blk.1.ffn_down_exps.weight", 512 * 3, 1));
  EXPECT_EQ(matrix.tensors.begin()->second.matrices, 3u);
  EXPECT_EQ(matrix.tensors.begin()->second.counts.size(), 3u);
}

TEST(Importance, AddsAndMerges) {
  ImportanceMatrix matrix = sample();
  ASSERT_TRUE(merge_importance(matrix, sample()));
  const ImportanceMatrix once = sample();
  EXPECT_EQ(matrix.chunk_count, 14u);
  EXPECT_EQ(matrix.datasets, once.datasets);
  const ActivationStatistics& q = matrix.tensors.at("blk.0.attn_q.weight");
  EXPECT_EQ(q.sum_squares[3], 2 * once.tensors.at("blk.0.attn_q.weight").sum_squares[3]);
  EXPECT_EQ((*q.gram)[7], 7.0f);
  EXPECT_EQ(q.gram, matrix.tensors.at("blk.0.attn_k.weight").gram);
  EXPECT_EQ(matrix.tensors.at("blk.0.ffn_down_exps.weight").counts[2], 40.0f);

  ASSERT_TRUE(add_statistics(matrix, {tap({"blk.0.attn_q.weight"}, 6, 1, false)}));
  EXPECT_EQ(matrix.tensors.at("blk.0.attn_q.weight").gram, nullptr);
  const auto other = add_statistics(matrix, {tap({"blk.0.ffn_up.weight"}, 6, 1, false)});
  ASSERT_FALSE(other);
  EXPECT_NE(other.error().text.find("blk.0.ffn_up.weight"), std::string::npos);
}

TEST(Importance, ExpertsWithoutTokensTakeTheMeanOfTheOthers) {
  ActivationStatistics entry{2, 3, {0, 0, 4, 8, 2, 10}, {0, 2, 4}, nullptr};
  EXPECT_EQ(mean_squares(entry, 1), (std::vector<float>{2, 4}));
  EXPECT_EQ(mean_squares(entry, 0), (std::vector<float>{1, 3}));
  entry.counts = {0, 0, 0};
  EXPECT_EQ(mean_squares(entry, 0), (std::vector<float>{1, 1}));
}

}  // namespace
}  // namespace pumice::quant
