// Round-to-nearest error against files that a public quantiser made from the same f32 model: no
// type may lose more, and the k-quants must lose less.
#include <gtest/gtest.h>

#include <cstdio>
#include <filesystem>

#include "engine/quant/encode.h"
#include "loader/gguf.h"
#include "tests/unit/quant/samples.h"

namespace pumice::test {
namespace {

namespace fs = std::filesystem;

const fs::path kTypes = fs::path(PUMICE_ORACLE_DIR) / "types";

struct FileRow {
  const char* file;
  QuantType type;
  bool strictly;  ///< must be better, not only as good
};

constexpr FileRow kFiles[] = {
    {"F16.gguf", QuantType::F16, false},       {"BF16.gguf", QuantType::BF16, false},
    {"Q4_0.gguf", QuantType::Q4_0, false},     {"Q4_1.gguf", QuantType::Q4_1, false},
    {"Q5_0.gguf", QuantType::Q5_0, false},     {"Q5_1.gguf", QuantType::Q5_1, false},
    {"Q8_0.gguf", QuantType::Q8_0, false},     {"Q2_K.gguf", QuantType::Q2_K, true},
    {"Q3_K_M.gguf", QuantType::Q3_K, true},    {"Q4_K_M.gguf", QuantType::Q4_K, true},
    {"Q4_K_S.gguf", QuantType::Q4_K, true},    {"Q5_K_M.gguf", QuantType::Q5_K, true},
    {"Q6_K.gguf", QuantType::Q6_K, true},      {"IQ4_NL.gguf", QuantType::IQ4_NL, false},
    {"IQ4_XS.gguf", QuantType::IQ4_XS, false}, {"MXFP4_MOE.gguf", QuantType::MXFP4, false},
};

struct Errors {
  double ours = 0, theirs = 0, norm = 0;
  uint64_t weights = 0;
};

std::vector<float> all_weights(const TensorInfo& tensor) {
  std::vector<float> out(tensor.n_weights);
  decode_rows(tensor, 0, tensor.n_rows(), out.data());
  return out;
}

void add_tensor(Errors& sum, const TensorInfo& stored, const TensorInfo& source) {
  const std::vector<float> exact = all_weights(source), theirs = all_weights(stored);
  std::vector<std::byte> bytes(stored.n_bytes);
  quant::encode_rows(stored.type, exact, stored.shape[0], {}, bytes);
  const std::vector<float> ours = decoded(stored.type, bytes, exact.size());
  for (size_t i = 0; i < exact.size(); ++i) {
    const double x = exact[i];
    sum.ours += (ours[i] - x) * (ours[i] - x);
    sum.theirs += (theirs[i] - x) * (theirs[i] - x);
    sum.norm += x * x;
  }
  sum.weights += exact.size();
}

TEST(OracleError, NoTypeLosesMoreThanThePublicFiles) {
  if (!fs::exists(kTypes)) GTEST_SKIP() << "no reference data at " << kTypes;
  const auto exact = open_gguf((kTypes / "F32.gguf").string());
  ASSERT_TRUE(exact) << exact.error().text;
  std::printf("%-16s %-8s %9s %12s %12s %8s\n", "file", "type", "weights", "ours", "theirs",
              "ratio");
  for (const FileRow& row : kFiles) {
    const auto file = open_gguf((kTypes / row.file).string());
    ASSERT_TRUE(file) << file.error().text;
    Errors sum;
    for (const TensorInfo& tensor : (*file)->tensors()) {
      if (tensor.type != row.type) continue;
      const auto source = (*exact)->require_tensor(tensor.name, tensor.shape);
      ASSERT_TRUE(source) << source.error().text;
      add_tensor(sum, tensor, **source);
    }
    ASSERT_GT(sum.weights, 0u) << row.file;
    std::printf("%-16s %-8s %9llu %12.5e %12.5e %8.4f\n", row.file,
                std::string(info(row.type).name).c_str(), (unsigned long long)sum.weights,
                sum.ours / sum.norm, sum.theirs / sum.norm, sum.ours / sum.theirs);
    if (row.strictly)
      EXPECT_LT(sum.ours, sum.theirs) << row.file;
    else
      EXPECT_LE(sum.ours, sum.theirs) << row.file;
  }
}

}  // namespace
}  // namespace pumice::test
