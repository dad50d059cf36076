// The reference models: they open, and each type's weights are as near to the f32 model's as that
// type can be.
#include <gtest/gtest.h>

#include <chrono>
#include <cmath>
#include <filesystem>
#include <map>

#include "loader/codec.h"
#include "loader/gguf.h"

namespace pumice::test {
namespace {

namespace fs = std::filesystem;

const fs::path kOracle = PUMICE_ORACLE_DIR;

/// sqrt(sum((a - b)^2) / sum(b^2)) over all tensors of `type`, and how many weights those are.
struct Distance {
  double error = 0, norm = 0;
  uint64_t n_weights = 0;
  [[nodiscard]] double relative() const { return std::sqrt(error / norm); }
};

void add_distance(Distance& sum, const TensorInfo& tensor, const TensorInfo& exact) {
  std::vector<float> a(tensor.shape[0]), b(tensor.shape[0]);
  for (uint64_t row = 0; row < tensor.n_rows(); ++row) {
    decode_rows(tensor, row, 1, a.data());
    decode_rows(exact, row, 1, b.data());
    for (size_t i = 0; i < a.size(); ++i) {
      sum.error += (double(a[i]) - b[i]) * (double(a[i]) - b[i]);
      sum.norm += double(b[i]) * b[i];
    }
  }
  sum.n_weights += tensor.n_weights;
}

struct TypeRow {
  const char* file;
  QuantType type;
  double min,
      max;  ///< relative RMS error; the lower bound shows that the type really is that coarse
};

class OracleTypes : public testing::TestWithParam<TypeRow> {};

TEST_P(OracleTypes, WeightsAreNear) {
  const TypeRow& row = GetParam();
  const fs::path path = kOracle / "types" / row.file;
  if (!fs::exists(path)) GTEST_SKIP() << "no reference data at " << path;
  const auto file = open_gguf(path.string());
  const auto exact = open_gguf((kOracle / "types" / "F32.gguf").string());
  ASSERT_TRUE(file && exact) << (file ? "" : file.error().text);
  Distance sum;
  for (const TensorInfo& tensor : (*file)->tensors()) {
    EXPECT_TRUE(check_finite(tensor));
    if (tensor.type != row.type) continue;
    const auto same = (*exact)->require_tensor(tensor.name, tensor.shape);
    ASSERT_TRUE(same) << same.error().text;
    add_distance(sum, tensor, **same);
  }
  RecordProperty("relative_error", std::to_string(sum.relative()));
  EXPECT_GT(sum.n_weights, 0u) << "no tensor of this type in " << path;
  EXPECT_LE(sum.relative(), row.max);
  EXPECT_GE(sum.relative(), row.min);
}

INSTANTIATE_TEST_SUITE_P(All, OracleTypes,
                         testing::Values(TypeRow{"F32.gguf", QuantType::F32, 0, 0},
                                         TypeRow{"F16.gguf", QuantType::F16, 0.00019, 0.00022},
                                         TypeRow{"BF16.gguf", QuantType::BF16, 0.0015, 0.0018},
                                         TypeRow{"Q4_0.gguf", QuantType::Q4_0, 0.077, 0.091},
                                         TypeRow{"Q4_1.gguf", QuantType::Q4_1, 0.07, 0.083},
                                         TypeRow{"Q5_0.gguf", QuantType::Q5_0, 0.038, 0.045},
                                         TypeRow{"Q5_1.gguf", QuantType::Q5_1, 0.034, 0.04},
                                         TypeRow{"Q8_0.gguf", QuantType::Q8_0, 0.0048, 0.0057},
                                         TypeRow{"Q2_K.gguf", QuantType::Q2_K, 0.27, 0.31},
                                         TypeRow{"Q3_K_M.gguf", QuantType::Q3_K, 0.14, 0.16},
                                         TypeRow{"Q4_K_M.gguf", QuantType::Q4_K, 0.064, 0.076},
                                         TypeRow{"Q4_K_S.gguf", QuantType::Q4_K, 0.064, 0.076},
                                         TypeRow{"Q5_K_M.gguf", QuantType::Q5_K, 0.032, 0.038},
                                         TypeRow{"Q6_K.gguf", QuantType::Q6_K, 0.016, 0.019},
                                         TypeRow{"IQ4_NL.gguf", QuantType::IQ4_NL, 0.068, 0.081},
                                         TypeRow{"IQ4_XS.gguf", QuantType::IQ4_XS, 0.069, 0.081},
                                         TypeRow{"MXFP4_MOE.gguf", QuantType::MXFP4, 0.11, 0.13},
                                         TypeRow{"TQ1_0.gguf", QuantType::TQ1_0, 0.73, 0.85},
                                         TypeRow{"TQ2_0.gguf", QuantType::TQ2_0, 0.73, 0.85},
                                         TypeRow{"Q1_0.gguf", QuantType::Q1_0, 0.54, 0.64},
                                         TypeRow{"Q2_0.gguf", QuantType::Q2_0, 0.65, 0.76}),
                         [](const auto& row) {
                           std::string name = row.param.file;
                           name = name.substr(0, name.find('.')) + "_" +
                                  std::string(pumice::info(row.param.type).name);
                           return name;
                         });

TEST(Oracle, EveryReadableFileOpens) {
  if (!fs::exists(kOracle / "vocab")) GTEST_SKIP() << "no reference data at " << kOracle;
  size_t n = 0;
  for (const auto& entry : fs::recursive_directory_iterator(kOracle)) {
    if (entry.path().extension() != ".gguf") continue;
    const auto start = std::chrono::steady_clock::now();
    const auto file = open_gguf(entry.path().string());
    const std::chrono::duration<double, std::milli> ms = std::chrono::steady_clock::now() - start;
    if (entry.path().filename() == "IQ3_S.gguf") {
      ASSERT_FALSE(file.has_value());
      EXPECT_EQ(file.error().code, ErrorCode::Unsupported);
      EXPECT_NE(file.error().text.find("type iq3_s (id 21)"), std::string::npos);
      continue;
    }
    ASSERT_TRUE(file.has_value()) << file.error().text;
    EXPECT_TRUE((*file)->metadata().get_string("general.architecture")) << entry.path();
    EXPECT_LT(ms.count(), 1000.0) << entry.path();
    ++n;
    if (entry.path().parent_path().filename() == "vocab")
      std::printf("%-28s %7.2f ms\n", entry.path().filename().c_str(), ms.count());
  }
  EXPECT_GT(n, 50u);
}

}  // namespace
}  // namespace pumice::test
