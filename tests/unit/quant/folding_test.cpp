// Folded factors change no model's answers: each architecture's file in f32 with factors that AWQ
// and SmoothQuant chose from uneven statistics, against the same file without, in f64.
#include "engine/quant/folding.h"

#include <gtest/gtest.h>

#include <cmath>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "engine/model/architectures.h"
#include "engine/quant/folding_sites.h"
#include "tests/reference/reference.h"
#include "tests/unit/model/oracle.h"

namespace pumice::quant {
namespace {

/// Channels of very different energy, no two matrices alike.
ImportanceMatrix uneven_statistics(const GgufFile& file) {
  ImportanceMatrix out;
  uint32_t seed = 1;
  for (const TensorInfo& tensor : file.tensors()) {
    if (tensor.n_dims != 2 || !tensor.name.starts_with("blk.")) continue;
    ActivationStatistics entry;
    entry.width = tensor.shape[0];
    entry.counts = {10.0f};
    for (uint64_t i = 0; i < entry.width; ++i) {
      seed = seed * 1664525u + 1013904223u;
      const float octaves = float(seed >> 16) / 65536.0f * 10.0f;
      entry.sum_squares.push_back(10.0f * std::exp2(octaves - 5.0f));
    }
    out.tensors.emplace(tensor.name, std::move(entry));
  }
  return out;
}

std::vector<float> logits_with(const GgufFile& file, const Folding& folding) {
  auto graph = model::build_graph(file);
  EXPECT_TRUE(graph) << graph.error().text;
  auto plain = reference::Interpreter::load(file, *graph);
  EXPECT_TRUE(plain) << plain.error().text;
  std::vector<reference::Dense> weights = plain->weights();
  std::set<std::string> folded;
  for (size_t i = 0; i < weights.size(); ++i) {
    const graph::Weight& weight = graph->weights[i];
    const auto at = folding.find(weight.tensor);
    if (at == folding.end()) continue;
    fold_weights(at->second, weight.columns, uint64_t{weight.first_row} * weight.columns,
                 weights[i].data);
    folded.insert(weight.tensor);
  }
  EXPECT_EQ(folded.size(), folding.size()) << "factors for tensors that the graph does not have";
  reference::Interpreter scaled(std::move(*graph), std::move(weights));
  const std::vector<uint32_t> tokens = {3, 17, 5, 99, 23, 64, 1, 42};
  auto logits = scaled.logits(tokens);
  EXPECT_TRUE(logits) << logits.error().text;
  return {logits->data.begin(), logits->data.end()};
}

double nmse(std::span<const float> got, std::span<const float> wanted) {
  double error = 0, power = 0;
  for (size_t i = 0; i < wanted.size(); ++i) {
    error += std::pow(double(got[i]) - double(wanted[i]), 2);
    power += std::pow(double(wanted[i]), 2);
  }
  return error / power;
}

class FoldingModels : public testing::TestWithParam<const char*> {};

TEST_P(FoldingModels, AnswersStay) {
  const std::string model = std::string("archs/") + GetParam() + ".gguf";
  if (!test::oracle_has(model)) GTEST_SKIP() << "no " << test::oracle_path(model);
  const auto file = open_gguf(test::oracle_path(model));
  ASSERT_TRUE(file) << file.error().text;
  const ImportanceMatrix statistics = uneven_statistics(**file);
  const std::vector<float> before = logits_with(**file, {});

  auto awq = search_awq(**file, statistics, {}, [](std::string_view) { return QuantType::Q4_0; });
  ASSERT_TRUE(awq) << awq.error().text;
  EXPECT_FALSE(awq->empty()) << "no site gains from any factors";
  EXPECT_LT(nmse(logits_with(**file, *awq), before), 1e-10);

  auto smoothed = smooth(**file, statistics);
  ASSERT_TRUE(smoothed) << smoothed.error().text;
  EXPECT_LT(nmse(logits_with(**file, *smoothed), before), 1e-10);

  merge_folding(*smoothed, *awq);
  EXPECT_LT(nmse(logits_with(**file, *smoothed), before), 1e-10);
}

INSTANTIATE_TEST_SUITE_P(Quant, FoldingModels,
                         testing::Values("llama-dense", "llama-moe", "qwen2-dense", "qwen3-dense",
                                         "gemma2-dense", "gemma3-dense", "phi3-dense"),
                         [](const auto& row) {
                           std::string name = row.param;
                           name[name.find('-')] = '_';
                           return name;
                         });

TEST(FoldingTest, StatisticsFollowTheFactors) {
  ImportanceMatrix statistics;
  statistics.tensors["w"] = {
      .width = 2,
      .matrices = 1,
      .sum_squares = {4, 9},
      .counts = {1},
      .gram = std::make_shared<const std::vector<float>>(std::vector<float>{4, 6, 6, 9})};
  fold_statistics(Folding{{"w", {.columns = {2, 3}, .rows = {}}}}, statistics);
  EXPECT_EQ(statistics.tensors["w"].sum_squares, (std::vector<float>{1, 1}));
  EXPECT_EQ(*statistics.tensors["w"].gram, (std::vector<float>{1, 1, 1, 1}));
}

TEST(FoldingTest, ForeignStatisticsAreRefused) {
  if (!test::oracle_has("archs/llama-dense.gguf")) GTEST_SKIP() << "no oracle";
  const auto file = open_gguf(test::oracle_path("archs/llama-dense.gguf"));
  ASSERT_TRUE(file);
  const auto folding = smooth(**file, ImportanceMatrix{});
  ASSERT_FALSE(folding);
  EXPECT_NE(folding.error().text.find("name none of the matrices"), std::string::npos);
  EXPECT_FALSE(smooth(**file, uneven_statistics(**file), 1.5));
}

}  // namespace
}  // namespace pumice::quant
