// Whole files through the pipeline: what is written is what the encoders make of each row, whatever
// the number of threads; what cannot be done leaves nothing behind.
#include "engine/quant/quantise.h"

#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>

#include "engine/base/half.h"
#include "engine/quant/encode.h"
#include "loader/codec.h"
#include "tests/support/folder_test.h"
#include "tests/support/gguf_writer.h"

namespace pumice::quant::test {
namespace {

namespace fs = std::filesystem;
using pumice::test::GgufWriter;

class Quantise : public pumice::test::FolderTest {
 protected:
  std::shared_ptr<const GgufFile> written(GgufWriter& writer) const {
    writer.write(in);
    const auto file = open_gguf(in);
    EXPECT_TRUE(file) << file.error().text;
    return *file;
  }
  Result<void> run(const GgufFile& model, const QuantiseRequest& request, uint32_t threads = 2,
                   QuantiseWatch watch = {}) const {
    PUMICE_TRY_ASSIGN(const QuantisePlan plan, plan_quantise(model, request));
    return quantise(model, plan, request, {out, {in}, threads, std::move(watch)});
  }

  std::string in = (folder / "in.gguf").string(), out = (folder / "out.gguf").string();
};

/// Numbers that look like weights; the same on every machine.
std::vector<float> noise(size_t n, uint32_t seed) {
  std::vector<float> values(n);
  for (float& value : values) {
    seed = seed * 1664525u + 1013904223u;
    value = (float(seed >> 8) * 0x1p-24f - 0.5f) * 0.25f;
  }
  return values;
}

void add_half(GgufWriter& file, const std::string& name, std::vector<uint64_t> shape,
              uint32_t seed) {
  uint64_t n = 1;
  for (const uint64_t dim : shape) n *= dim;
  std::vector<std::byte> bytes(n * 2);
  const auto values = noise(n, seed);
  for (uint64_t i = 0; i < n; ++i) {
    const uint16_t half = float_to_half(values[i]);
    std::memcpy(bytes.data() + 2 * i, &half, 2);
  }
  file.tensor(name, QuantType::F16, std::move(shape), std::move(bytes));
}

GgufWriter small_model() {
  GgufWriter file;
  file.set("general.architecture", std::string("llama")).set("llama.block_count", uint32_t(1));
  file.set("general.file_type", uint32_t(1)).set("general.alignment", uint32_t(64));
  file.alignment = 64;
  add_half(file, "token_embd.weight", {256, 2100}, 1);  // more than two slices
  file.tensor_f32("output_norm.weight", {256}, noise(256, 2));
  add_half(file, "blk.0.ffn_up_exps.weight", {512, 3, 2}, 3);
  add_half(file, "blk.0.ffn_down.weight", {96, 4}, 4);
  return file;
}

QuantiseRequest asked(const char* mix) {
  QuantiseRequest request;
  request.types.mix = find_mix(mix);
  return request;
}

/// What the encoder makes of one tensor of the model, row by row.
std::vector<std::byte> encoded(const TensorInfo& tensor, QuantType type,
                               const ActivationStatistics* statistics = nullptr) {
  std::vector<float> row(tensor.shape[0]);
  const QuantTypeInfo& layout = info(type);
  const size_t row_bytes = row.size() / layout.block_weights * layout.block_bytes;
  std::vector<std::byte> all(tensor.n_rows() * row_bytes);
  for (uint64_t i = 0; i < tensor.n_rows(); ++i) {
    decode_rows(tensor, i, 1, row.data());
    std::vector<float> importance;
    if (statistics) importance = mean_squares(*statistics, i / tensor.shape[1]);
    encode_rows(type, row, row.size(), importance,
                std::span(all).subspan(i * row_bytes, row_bytes));
  }
  return all;
}

TEST_F(Quantise, WritesWhatTheEncodersMakeOfEachRow) {
  auto writer = small_model();
  const auto model = written(writer);
  ASSERT_TRUE(run(*model, asked("Q4_K_M")));
  const auto file = open_gguf(out);
  ASSERT_TRUE(file) << file.error().text;
  const std::map<std::string, QuantType> types = {{"token_embd.weight", QuantType::Q6_K},  // tied
                                                  {"output_norm.weight", QuantType::F32},
                                                  {"blk.0.ffn_up_exps.weight", QuantType::Q4_K},
                                                  {"blk.0.ffn_down.weight", QuantType::Q8_0}};
  for (const TensorInfo& tensor : (*file)->tensors()) {
    const TensorInfo& before = *model->find_tensor(tensor.name);
    ASSERT_EQ(tensor.type, types.at(std::string(tensor.name))) << tensor.name;
    EXPECT_EQ(tensor.shape, before.shape);
    EXPECT_EQ(tensor.file_offset % 64, 0u);
    const auto expected = encoded(before, tensor.type);
    EXPECT_TRUE(std::ranges::equal(tensor.data, expected)) << tensor.name;
  }
  EXPECT_EQ(*(*file)->metadata().get_u32("general.file_type"), 15u);
  EXPECT_EQ(*(*file)->metadata().get_u32("general.quantization_version"), 2u);
  EXPECT_EQ(*(*file)->metadata().get_u32("llama.block_count"), 1u);
}

TEST_F(Quantise, TheSameBytesForEveryNumberOfThreads) {
  auto writer = small_model();
  const auto model = written(writer);
  std::string first;
  for (const uint32_t threads : {1u, 2u, 3u, 16u}) {
    ASSERT_TRUE(run(*model, asked("Q5_K_S"), threads));
    const std::string bytes = content(out);
    if (first.empty()) first = bytes;
    EXPECT_TRUE(bytes == first) << threads;
  }
}

TEST_F(Quantise, RowsLongerThanASlice) {
  GgufWriter writer;
  writer.set("general.architecture", std::string("llama"));
  add_half(writer, "long.weight", {(uint64_t(1) << 18) + 512, 2}, 9);
  const auto model = written(writer);
  ActivationStatistics statistics;
  statistics.width = (uint64_t(1) << 18) + 512;
  statistics.sum_squares = noise(statistics.width, 5);
  for (float& x : statistics.sum_squares) x = x * x + 0.01f;
  statistics.counts = {3.0f};
  ImportanceMatrix importance;
  importance.tensors["long.weight"] = statistics;
  QuantiseRequest request = asked("Q4_K_S");
  request.importance = &importance;
  ASSERT_TRUE(run(*model, request));
  const auto file = open_gguf(out);
  ASSERT_TRUE(file);
  std::vector<float> row(statistics.width);
  const auto importances = mean_squares(statistics);
  std::vector<std::byte> expected((*file)->tensors()[0].n_bytes);
  for (uint64_t i = 0; i < 2; ++i) {
    decode_rows(model->tensors()[0], i, 1, row.data());
    encode_rows(QuantType::Q4_K, row, row.size(), importances,
                std::span(expected).subspan(i * expected.size() / 2, expected.size() / 2));
  }
  EXPECT_TRUE(std::ranges::equal((*file)->tensors()[0].data, expected));
}

TEST_F(Quantise, ExpertsHaveTheirOwnImportance) {
  auto writer = small_model();
  const auto model = written(writer);
  ActivationStatistics statistics;
  statistics.width = 512;
  statistics.matrices = 2;
  for (const float x : noise(1024, 77)) statistics.sum_squares.push_back(x * x * 100 + 1e-4f);
  statistics.counts = {5.0f, 2.0f};
  ImportanceMatrix importance;
  importance.datasets = {"some text"};
  importance.chunk_count = 12;
  importance.tensors["blk.0.ffn_up_exps.weight"] = statistics;
  QuantiseRequest request = asked("Q4_K_M");
  request.importance = &importance;
  request.importance_name = "x.imatrix";
  ASSERT_TRUE(run(*model, request));
  const auto file = open_gguf(out);
  ASSERT_TRUE(file);
  const TensorInfo& after = *(*file)->find_tensor("blk.0.ffn_up_exps.weight");
  const TensorInfo& before = *model->find_tensor("blk.0.ffn_up_exps.weight");
  EXPECT_TRUE(std::ranges::equal(after.data, encoded(before, QuantType::Q4_K, &statistics)));
  EXPECT_FALSE(std::ranges::equal(after.data, encoded(before, QuantType::Q4_K)));
  const Metadata& keys = (*file)->metadata();
  EXPECT_EQ(*keys.get_string("quantize.imatrix.file"), "x.imatrix");
  EXPECT_EQ(*keys.get_string("quantize.imatrix.dataset"), "some text");
  EXPECT_EQ(*keys.get_u32("quantize.imatrix.entries_count"), 1u);
  EXPECT_EQ(*keys.get_u32("quantize.imatrix.chunks_count"), 12u);
}

TEST_F(Quantise, QuantisedModelsNeedLeave) {
  GgufWriter writer;
  writer.set("general.architecture", std::string("llama"));
  writer.tensor_zero("a.weight", QuantType::Q4_K, {256, 2});
  const auto model = written(writer);
  const auto refused = run(*model, asked("Q6_K"));
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().text.find("a.weight"), std::string::npos) << refused.error().text;
  EXPECT_NE(refused.error().text.find("--allow-requantize"), std::string::npos);
  EXPECT_EQ(files(), 1u);
  ASSERT_TRUE(run(*model, asked("Q4_K"))) << "the same type is a copy";
  QuantiseRequest again = asked("Q6_K");
  again.allow_requantize = true;
  ASSERT_TRUE(run(*model, again));
  EXPECT_EQ((*open_gguf(out))->tensors()[0].type, QuantType::Q6_K);
}

TEST_F(Quantise, WeightsThatAreNoNumbersAreNamed) {
  struct Row {
    const char* tensor;
    float bad;
    size_t at;
    const char* says;
  };
  for (const Row& row : {Row{"a.weight", NAN, 256 * 1500 + 7, "row 1500, column 7"},
                         Row{"a.weight", -INFINITY, 0, "row 0, column 0"},
                         Row{"b_norm.weight", INFINITY, 3, "column 3"}}) {
    GgufWriter writer;
    writer.set("general.architecture", std::string("llama"));
    auto a = noise(256 * 2000, 1), b = noise(32, 2);
    (row.tensor[0] == 'a' ? a : b)[row.at] = row.bad;
    writer.tensor_f32("a.weight", {256, 2000}, a).tensor_f32("b_norm.weight", {32}, b);
    const auto model = written(writer);
    const auto result = run(*model, asked("Q4_0"));
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().code, ErrorCode::NonFinite);
    EXPECT_NE(result.error().text.find(row.tensor), std::string::npos) << result.error().text;
    EXPECT_NE(result.error().text.find(row.says), std::string::npos) << result.error().text;
    EXPECT_EQ(files(), 1u);
  }
}

TEST_F(Quantise, StoppingLeavesNothing) {
  auto writer = small_model();
  const auto model = written(writer);
  int calls = 0;
  const auto result = run(*model, asked("Q4_0"), 2, [&](const QuantiseProgress& progress) {
    EXPECT_LE(progress.bytes_read, progress.bytes_to_read);
    EXPECT_LT(progress.tensor, progress.tensors);
    return ++calls < 3;
  });
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, ErrorCode::Cancelled);
  EXPECT_EQ(files(), 1u);
}

TEST_F(Quantise, TheInputIsNeverTheOutput) {
  auto writer = small_model();
  const auto model = written(writer);
  const std::string before = content(in);
  fs::create_hard_link(in, folder / "hard.gguf");
  fs::create_symlink("in.gguf", folder / "soft.gguf");
  fs::create_hard_link(in, folder / "other.gguf.part");
  for (const char* name : {"in.gguf", "hard.gguf", "soft.gguf", "other.gguf"}) {
    out = (folder / name).string();
    const auto result = run(*model, asked("Q4_0"));
    ASSERT_FALSE(result) << name;
    EXPECT_NE(result.error().text.find("in.gguf"), std::string::npos) << result.error().text;
    EXPECT_TRUE(content(in) == before);
  }
}

TEST_F(Quantise, TypesWithoutEncoderAreForDryRuns) {
  auto writer = small_model();
  const auto model = written(writer);
  const auto plan = plan_quantise(*model, asked("IQ3_S"));
  ASSERT_TRUE(plan);
  EXPECT_GT(plan->bytes, 0u);
  const auto result = run(*model, asked("IQ3_S"));
  ASSERT_FALSE(result);
  EXPECT_NE(result.error().text.find("iq3_s"), std::string::npos) << result.error().text;
  EXPECT_EQ(files(), 1u);
}

TEST_F(Quantise, AnImportanceMatrixOfOtherWidths) {
  auto writer = small_model();
  const auto model = written(writer);
  ImportanceMatrix importance;
  ActivationStatistics& statistics = importance.tensors["blk.0.ffn_down.weight"];
  statistics.width = 64;
  statistics.sum_squares.resize(64);
  statistics.counts = {1};
  QuantiseRequest request = asked("Q4_0");
  request.importance = &importance;
  const auto result = run(*model, request);
  ASSERT_FALSE(result);
  EXPECT_NE(result.error().text.find("blk.0.ffn_down.weight"), std::string::npos);
  EXPECT_EQ(files(), 1u);
}

}  // namespace
}  // namespace pumice::quant::test
