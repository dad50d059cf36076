// Whole models against reference logits: every architecture, every quant type, one trained model;
// and the fused graph against the unfused one.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <iostream>

#include "engine/graph/fusions.h"
#include "engine/model/architectures.h"
#include "tests/reference/reference.h"
#include "tests/unit/model/oracle.h"

namespace pumice {
namespace {

struct Row {
  const char* model;   ///< file without ".gguf"
  const char* logits;  ///< what to compare with
  double limit;        ///< NMSE
};

constexpr double kExact = 1e-6, kGelu = 1e-5;

constexpr Row kRows[] = {
    // clang-format off
    {"archs/llama-dense",  ".logits", kExact}, {"archs/llama-dense",  ".long", kExact},
    {"archs/llama-moe",    ".logits", kExact}, {"archs/llama-moe",    ".long", kExact},
    {"archs/qwen2-dense",  ".logits", kExact}, {"archs/qwen2-dense",  ".long", kExact},
    {"archs/qwen3-dense",  ".logits", kExact}, {"archs/qwen3-dense",  ".long", kExact},
    {"archs/gemma2-dense", ".logits", kGelu},  {"archs/gemma2-dense", ".long", kGelu},
    {"archs/gemma3-dense", ".logits", kGelu},  {"archs/gemma3-dense", ".long", kGelu},
    {"archs/phi3-dense",   ".logits", kExact}, {"archs/phi3-dense",   ".long", kExact},
    {"real/dreams260K-f32", ".logits", kExact},
    {"types/F32",    ".logits", kExact}, {"types/F16",    ".logits", kExact},
    {"types/BF16",   ".logits", kExact}, {"types/Q4_0",   ".logits", kExact},
    {"types/Q4_1",   ".logits", kExact}, {"types/Q5_0",   ".logits", kExact},
    {"types/Q5_1",   ".logits", kExact}, {"types/Q8_0",   ".logits", kExact},
    {"types/Q2_K",   ".logits", kExact}, {"types/Q3_K_M", ".logits", kExact},
    {"types/Q4_K_S", ".logits", kExact}, {"types/Q4_K_M", ".logits", kExact},
    {"types/Q5_K_M", ".logits", kExact}, {"types/Q6_K",   ".logits", kExact},
    {"types/IQ4_NL", ".logits", kExact}, {"types/IQ4_XS", ".logits", kExact},
    {"types/IQ3_S",  ".logits", kExact}, {"types/MXFP4_MOE", ".logits", kExact},
    {"types/Q1_0",   ".logits", kExact}, {"types/Q2_0",   ".logits", kExact},
    {"types/TQ1_0",  ".logits", kExact}, {"types/TQ2_0",  ".logits", kExact},
    // clang-format on
};

class OracleModel : public testing::TestWithParam<Row> {};

TEST_P(OracleModel, MatchesReferenceLogits) {
  const Row& row = GetParam();
  const std::string model = std::string(row.model) + ".gguf",
                    name = row.model + std::string(row.logits);
  if (!test::oracle_has(model)) GTEST_SKIP() << "no " << test::oracle_path(model);
  const auto expected = test::read_oracle(name);
  ASSERT_TRUE(expected) << name;

  const auto file = open_gguf(test::oracle_path(model));
  if (!file && std::string_view(row.model) == "types/IQ3_S" &&
      file.error().text.find("no codec") != std::string::npos)
    GTEST_SKIP() << file.error().text;
  ASSERT_TRUE(file) << file.error().text;
  auto unfused = model::build_graph(**file);
  ASSERT_TRUE(unfused) << unfused.error().text;
  auto fused = graph::fuse(*unfused);
  EXPECT_LT(fused.nodes.size(), unfused->nodes.size());

  auto plain = reference::Interpreter::load(**file, std::move(*unfused));
  ASSERT_TRUE(plain) << plain.error().text;
  const auto logits = plain->logits(expected->tokens, expected->first_row);
  ASSERT_TRUE(logits) << logits.error().text;
  ASSERT_EQ(logits->rows, expected->n_vocab);
  const double error = reference::nmse(logits->data, expected->logits);
  std::cout << name << ": NMSE " << error << "\n";
  EXPECT_LE(error, row.limit);

  auto merged = reference::Interpreter::load(**file, std::move(fused));
  ASSERT_TRUE(merged) << merged.error().text;
  const auto same = merged->logits(expected->tokens, expected->first_row);
  ASSERT_TRUE(same) << same.error().text;
  ASSERT_EQ(same->data.size(), logits->data.size());
  double worst = 0.0;
  for (size_t i = 0; i < same->data.size(); ++i)
    worst = std::max(worst, std::abs(same->data[i] - logits->data[i]));
  EXPECT_LE(worst, 1e-12);
}

std::string row_name(const testing::TestParamInfo<Row>& info) {
  std::string name = std::string(info.param.model) + info.param.logits;
  for (char& c : name)
    if (!std::isalnum(static_cast<unsigned char>(c))) c = '_';
  return name;
}

INSTANTIATE_TEST_SUITE_P(Oracle, OracleModel, testing::ValuesIn(kRows), row_name);

}  // namespace
}  // namespace pumice
