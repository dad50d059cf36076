// `pumice quantize` as a user meets it: names of outputs, tables, what is refused and how.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

#include "loader/gguf.h"
#include "shell.h"
#include "tests/support/gguf_writer.h"

namespace pumice::test {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

std::vector<float> wave(size_t n) {
  std::vector<float> values(n);
  for (size_t i = 0; i < n; ++i) values[i] = std::sin(float(i) * 0.37f) * 0.1f;
  return values;
}

class Quantize : public testing::Test {
 protected:
  void SetUp() override {
    fs::create_directories(work());
    model_file().write(work() + "/m.gguf");
    nan_file().write(work() + "/nan.gguf");
  }

  static GgufWriter base() {
    GgufWriter file;
    file.set("general.architecture", std::string("llama")).set("llama.block_count", uint32_t(1));
    return file;
  }
  static GgufWriter model_file() {
    GgufWriter file = base();
    file.tensor_f32("token_embd.weight", {256, 8}, wave(2048));
    file.tensor_f32("output_norm.weight", {256}, wave(256));
    file.tensor_f32("blk.0.attn_v.weight", {256, 4}, wave(1024));
    file.tensor_f32("blk.0.ffn_down.weight", {96, 4}, wave(384));
    return file;
  }
  static GgufWriter nan_file() {
    GgufWriter file = base();
    auto values = wave(1024);
    values[300] = NAN;
    file.tensor_f32("blk.0.attn_v.weight", {256, 4}, values);
    return file;
  }
  /// An importance matrix with one tensor.
  static GgufWriter importance(const std::string& tensor, uint64_t width) {
    GgufWriter file;
    file.set("general.type", std::string("imatrix"));
    file.set_array("imatrix.datasets", std::vector<std::string>{"words.txt"});
    file.set("imatrix.chunk_count", uint32_t(2)).set("imatrix.chunk_size", uint32_t(512));
    std::vector<float> sums(width, 2.0f);
    for (size_t i = 0; i < width; i += 3) sums[i] = 9.0f;
    file.tensor_f32(tensor + ".in_sum2", {width, 1}, sums);
    file.tensor_f32(tensor + ".counts", {1, 1}, std::vector<float>{4.0f});
    return file;
  }

  [[nodiscard]] std::string work() const { return folder.file("work"); }
  void keep(const std::string& name, const std::string& text) const {
    std::ofstream(work() + "/" + name, std::ios::binary) << text;
  }
  [[nodiscard]] Ran run(const std::string& line) const {
    return shell(folder, fmt::format("cd {} || exit 9\n{}", quoted(work()), line));
  }
  [[nodiscard]] std::vector<std::string> files() const {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(work()))
      names.push_back(entry.path().filename().string());
    std::ranges::sort(names);
    return names;
  }
  [[nodiscard]] bool has(const std::string& name) const { return fs::exists(work() + "/" + name); }

  Folder folder;
};

TEST_F(Quantize, TheOutputIsNamedOrDerived) {
  const Ran named = run("@ quantize m.gguf out.gguf Q4_K_M");
  EXPECT_EQ(named.exit, 0) << named.err;
  EXPECT_EQ(named.out, "");
  EXPECT_TRUE(has("out.gguf"));
  for (const char* word : {"out.gguf", "bits per weight", "q6_k 2", "q8_0 1", "f32 1"})
    EXPECT_NE(named.err.find(word), std::string::npos) << word << " is not in " << named.err;
  const Ran derived = run("@ quantize m.gguf q4_k");
  EXPECT_EQ(derived.exit, 0) << derived.err;
  EXPECT_TRUE(has("m-Q4_K_M.gguf"));
  EXPECT_EQ(content(work() + "/out.gguf"), content(work() + "/m-Q4_K_M.gguf"));
}

TEST_F(Quantize, ADryRunWritesATableAndNoFile) {
  const auto before = files();
  const Ran ran = run("@ quantize --dry-run m.gguf Q4_K_M --output-tensor-type q8_0");
  ASSERT_EQ(ran.exit, 0) << ran.err;
  EXPECT_EQ(ran.err, "");
  for (const char* word : {"token_embd.weight", "[256, 8]", "q8_0", "fallback", "MiB"})
    EXPECT_NE(ran.out.find(word), std::string::npos) << word << " is not in\n" << ran.out;
  const Ran machine = run("@ quantize --dry-run --json m.gguf out.gguf Q4_K_M");
  ASSERT_EQ(machine.exit, 0) << machine.err;
  const json plan = json::parse(machine.out);
  EXPECT_EQ(plan["tensors"][2]["name"], "blk.0.attn_v.weight");
  EXPECT_EQ(plan["tensors"][2]["to"], "q6_k");
  EXPECT_EQ(plan["bytes"], 2048 / 256 * 210 + 256 * 4 + 1024 / 256 * 210 + 384 / 32 * 34);
  EXPECT_EQ(plan["file_type"], 15);
  EXPECT_EQ(files(), before);
}

TEST_F(Quantize, RecipesAndFlagsTogether) {
  keep("recipe", "# a comment\nattn_v q5_0\n. q8_0\n");
  const Ran ran =
      run("@ quantize m.gguf out.gguf --recipe recipe --tensor-type ffn_down=q5_1 "
          "--token-embedding-type bf16 --json");
  ASSERT_EQ(ran.exit, 0) << ran.err;
  const auto file = open_gguf(work() + "/out.gguf");
  ASSERT_TRUE(file) << file.error().text;
  EXPECT_EQ((*file)->find_tensor("token_embd.weight")->type, QuantType::BF16);
  EXPECT_EQ((*file)->find_tensor("blk.0.attn_v.weight")->type, QuantType::Q5_0);
  EXPECT_EQ((*file)->find_tensor("blk.0.ffn_down.weight")->type, QuantType::Q5_1);
  EXPECT_EQ((*file)->find_tensor("output_norm.weight")->type, QuantType::F32);
  EXPECT_EQ(json::parse(ran.out)["output"], "out.gguf");
}

TEST_F(Quantize, AnImportanceMatrixIsUsedAndNamed) {
  importance("blk.0.attn_v.weight", 256).write(work() + "/i.gguf");
  const Ran ran =
      run("@ quantize m.gguf with.gguf Q4_K_S --imatrix i.gguf && "
          "@ quantize m.gguf without.gguf Q4_K_S");
  ASSERT_EQ(ran.exit, 0) << ran.err;
  const auto with = open_gguf(work() + "/with.gguf"), without = open_gguf(work() + "/without.gguf");
  ASSERT_TRUE(with && without);
  EXPECT_EQ(*(*with)->metadata().get_string("quantize.imatrix.file"), "i.gguf");
  EXPECT_EQ(*(*with)->metadata().get_string("quantize.imatrix.dataset"), "words.txt");
  const TensorInfo* a = (*with)->find_tensor("blk.0.attn_v.weight");
  const TensorInfo* b = (*without)->find_tensor("blk.0.attn_v.weight");
  EXPECT_FALSE(std::ranges::equal(a->data, b->data));
}

TEST_F(Quantize, ASplitModelBecomesOneFile) {
  for (uint16_t part = 0; part < 2; ++part) {
    GgufWriter file = base();
    file.set("split.no", part).set("split.count", uint16_t(2));
    file.set("split.tensors.count", int32_t(2));
    file.tensor_f32(fmt::format("blk.0.attn_{}.weight", part ? "v" : "q"), {256, 4}, wave(1024));
    file.write(fmt::format("{}/s-0000{}-of-00002.gguf", work(), part + 1));
  }
  const Ran ran = run("@ quantize s-00001-of-00002.gguf out.gguf Q8_0");
  ASSERT_EQ(ran.exit, 0) << ran.err;
  const auto file = open_gguf(work() + "/out.gguf");
  ASSERT_TRUE(file) << file.error().text;
  EXPECT_EQ((*file)->n_parts(), 1u);
  EXPECT_EQ((*file)->tensors().size(), 2u);
  EXPECT_FALSE((*file)->metadata().contains("split.count"));
  const Ran over = run("@ quantize s-00001-of-00002.gguf s-00002-of-00002.gguf Q8_0");
  EXPECT_EQ(over.exit, 1);
  EXPECT_NE(over.err.find("s-00002-of-00002.gguf"), std::string::npos) << over.err;
}

struct Refused {
  const char* line;
  int exit;
  const char* says;
};

TEST_F(Quantize, WhatIsRefusedSaysWhyAndLeavesNothing) {
  importance("blk.7.attn_v.weight", 256).write(work() + "/other-name.gguf");
  importance("blk.0.attn_v.weight", 128).write(work() + "/other-width.gguf");
  keep("nobody", "# tensors of another model\nblk\\.9\\.attn q4_k\n");
  keep("wrong", "attn_v q4_k\nffn( q4_k\n");
  ASSERT_EQ(run("@ quantize m.gguf small.gguf Q8_0 && ln m.gguf hard.gguf && "
                "ln -s m.gguf soft.gguf")
                .exit,
            0);
  const auto before = files();
  const Refused rows[] = {
      {"m.gguf", 2, "TYPE"},
      {"m.gguf out.gguf", 2, "out.gguf"},
      {"m.gguf out.gguf Q9_Z", 2, "Q9_Z"},
      {"m.gguf out.gguf Q4_0 more", 2, "At Most 3"},
      {"m.gguf --recipe nobody", 2, "OUT"},
      {"m.gguf out.gguf --pure --recipe nobody", 2, "--pure"},
      {"m.gguf out.gguf Q4_0 --tensor-type attn_v", 2, "attn_v"},
      {"m.gguf out.gguf Q4_0 --tensor-type 'attn(=q4_0'", 2, "attn("},
      {"m.gguf out.gguf Q4_0 --output-tensor-type q9", 2, "q9"},
      {"m.gguf out.gguf Q4_0 --threads 0", 2, "--threads"},
      {"m.gguf out.gguf Q4_0 --search tpu", 2, "--search"},
      {"missing.gguf out.gguf Q4_0", 1, "missing.gguf"},
      {"m.gguf m.gguf Q4_0", 1, "m.gguf: is read from"},
      {"m.gguf hard.gguf Q4_0", 1, "is read from"},
      {"m.gguf soft.gguf Q4_0", 1, "is read from"},
      {"m.gguf ./../work/m.gguf Q4_0", 1, "is read from"},
      {"m.gguf out.gguf Q4_0 --imatrix other-name.gguf", 1, "blk.7.attn_v.weight"},
      {"m.gguf out.gguf Q4_0 --imatrix other-width.gguf", 1, "blk.0.attn_v.weight"},
      {"m.gguf out.gguf Q4_0 --imatrix missing.imatrix", 1, "missing.imatrix"},
      {"m.gguf out.gguf --recipe nobody", 1, "nobody, line 2"},
      {"m.gguf out.gguf --recipe wrong", 1, "wrong, line 2"},
      {"m.gguf out.gguf --recipe missing", 1, "missing"},
      {"m.gguf out.gguf Q4_0 --tensor-type nobody=q4_0", 1, "nobody"},
      {"m.gguf out.gguf Q4_0 --tensor-type ffn_down=q4_k", 1, "blk.0.ffn_down.weight"},
      {"m.gguf out.gguf Q4_0 --tensor-type '^(([a-z._0-9]+)*)*[!?]$=q4_k'", 1, "limit"},
      {"nan.gguf out.gguf Q4_0", 1, "blk.0.attn_v.weight: the weight in row 1, column 44 is nan"},
      {"m.gguf missing/out.gguf Q4_0", 1, "missing/out.gguf"},
      {"m.gguf /proc/out.gguf Q4_0", 1, "/proc/out.gguf"},
      {"m.gguf . Q4_0", 1, "folder"},
      {"m.gguf /dev/null Q4_0", 1, "/dev/null"},
      {"small.gguf out.gguf Q4_K_M", 1, "--allow-requantize"},
      {"m.gguf out.gguf IQ3_S", 1, "iq3_s"},
  };
  for (const Refused& row : rows) {
    const Ran ran = run(fmt::format("@ quantize {}", row.line));
    EXPECT_EQ(ran.exit, row.exit) << row.line << ": " << ran.err;
    EXPECT_EQ(ran.out, "") << row.line;
    EXPECT_NE(ran.err.find(row.says), std::string::npos) << row.line << ": " << ran.err;
    EXPECT_EQ(ran.err.find('\n'), ran.err.size() - 1) << "not one line:\n" << ran.err;
    EXPECT_EQ(files(), before) << row.line;
  }
}

TEST_F(Quantize, TheGpuWritesTheSameFile) {
  if (shell(folder, "@ devices").exit != 0) GTEST_SKIP() << "no Vulkan device is here";
  importance("blk.0.attn_v.weight", 256).write(work() + "/i.gguf");
  const char* flags = "--imatrix i.gguf --tensor-type token_embd=q4_k";
  const Ran ran =
      run(fmt::format("@ quantize m.gguf cpu.gguf Q6_K {} --search cpu && "
                      "@ quantize m.gguf gpu.gguf Q6_K {} --search gpu --json",
                      flags, flags));
  ASSERT_EQ(ran.exit, 0) << ran.err;
  EXPECT_EQ(json::parse(ran.out)["slices_on_gpu"], 3);
  EXPECT_EQ(content(work() + "/cpu.gguf"), content(work() + "/gpu.gguf"));
}

TEST_F(Quantize, WithoutAGpuOnlyTheWishForOneFails) {
  const std::string nowhere = "export VK_ICD_FILENAMES=/nowhere VK_DRIVER_FILES=/nowhere; ";
  const auto before = files();
  const Ran wished = run(nowhere + "@ quantize m.gguf out.gguf Q4_0 --search gpu");
  EXPECT_EQ(wished.exit, 1);
  EXPECT_NE(wished.err.find("--search gpu: "), std::string::npos) << wished.err;
  EXPECT_EQ(wished.err.find('\n'), wished.err.size() - 1) << "not one line:\n" << wished.err;
  EXPECT_EQ(files(), before);
  EXPECT_EQ(run(nowhere + "@ quantize m.gguf out.gguf Q4_0").exit, 0);
}

TEST_F(Quantize, AFullDiskIsNoticedBeforeAndWhile) {
  GgufWriter file = base();
  file.tensor_f32("blk.0.attn_v.weight", {256, 4000}, wave(256 * 4000));
  file.write(work() + "/big.gguf");
  const auto before = files();
  const Ran limited = run("ulimit -f 100; @ quantize big.gguf out.gguf Q8_0");
  EXPECT_EQ(limited.exit, 1);
  EXPECT_NE(limited.err.find("out.gguf.part: cannot write"), std::string::npos) << limited.err;
  EXPECT_EQ(files(), before);

  // Twice as many weights as the disk has bytes: a file of holes.
  const uint64_t rows = fs::space(work()).available * 2 / 256;
  GgufWriter huge = base();
  huge.tensors.push_back({"blk.0.attn_v.weight", {256, rows}, uint32_t(QuantType::F16), {}});
  huge.write(work() + "/huge.gguf");
  std::error_code error;
  const uint64_t head = (fs::file_size(work() + "/huge.gguf") + 31) / 32 * 32;
  fs::resize_file(work() + "/huge.gguf", head + rows * 512, error);
  if (error) GTEST_SKIP() << "this file system has no room for holes of that size";
  const Ran full = run("@ quantize huge.gguf out.gguf Q8_0");
  EXPECT_EQ(full.exit, 1);
  EXPECT_NE(full.err.find("free"), std::string::npos) << full.err;
  EXPECT_FALSE(has("out.gguf") || has("out.gguf.part"));
}

TEST_F(Quantize, CtrlCLeavesNothing) {
  GgufWriter file = base();  // a gigabyte of zeros, all holes: seconds of work
  const uint64_t rows = uint64_t(1) << 21;
  file.tensors.push_back({"blk.0.attn_v.weight", {256, rows}, uint32_t(QuantType::F16), {}});
  file.write(work() + "/zeros.gguf");
  fs::resize_file(work() + "/zeros.gguf",
                  (fs::file_size(work() + "/zeros.gguf") + 31) / 32 * 32 + rows * 512);
  const auto before = files();
  const Ran ran =
      run("@ quantize zeros.gguf out.gguf Q6_K -t 1 & "
          "for i in {1..300}; do [ -e out.gguf.part ] && break; sleep 0.02; done; "
          "kill -INT $!; wait $!; echo code $? >&2");
  EXPECT_NE(ran.err.find("interrupted"), std::string::npos) << ran.err;
  EXPECT_NE(ran.err.find("code 1"), std::string::npos) << ran.err;
  EXPECT_EQ(files(), before);
}

std::vector<float> floats(const std::string& bytes) {
  std::vector<float> out(bytes.size() / 4);
  std::memcpy(out.data(), bytes.data(), out.size() * 4);
  return out;
}

// A quantised file is its own dequantised weights: the engine computes the same from both.
TEST_F(Quantize, TheEngineRunsWhatWasWritten) {
  const std::string model = PUMICE_ORACLE_DIR "/types/F32.gguf";
  if (!fs::exists(model)) GTEST_SKIP() << model << " is not here";
  if (shell(folder, "@ devices").exit != 0) GTEST_SKIP() << "no Vulkan device is here";
  const char* flags = "--tokens 1,17,99,4,63,2,80,31 --act f32 --kv f32 --deterministic";
  const Ran ran =
      run(fmt::format("@ quantize {} q.gguf Q4_K_M && "
                      "@ quantize --allow-requantize q.gguf f.gguf F32 && "
                      "@ logits -m q.gguf {} -o q.rows && @ logits -m f.gguf {} -o f.rows",
                      model, flags, flags));
  ASSERT_EQ(ran.exit, 0) << ran.err;
  const auto a = floats(content(work() + "/q.rows")), b = floats(content(work() + "/f.rows"));
  ASSERT_EQ(a.size(), b.size());
  ASSERT_GT(a.size(), 100u);
  double error = 0, power = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    error += double(a[i] - b[i]) * double(a[i] - b[i]);
    power += double(b[i]) * double(b[i]);
  }
  EXPECT_LE(error / power, 1e-6);
}

}  // namespace
}  // namespace pumice::test
