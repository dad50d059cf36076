// What keys and tensors do to a graph, and that other ways to the same model give the same logits.
#include <gtest/gtest.h>

#include <cmath>

#include "engine/graph/fusions.h"
#include "engine/model/architectures.h"
#include "tests/reference/reference.h"
#include "tests/unit/model/synthetic.h"

namespace pumice {
namespace {

using test::Absent;
using test::SyntheticModel;

constexpr uint32_t kTokens[] = {3, 1, 4, 1, 5, 9, 2, 6, 11, 0};

graph::Graph build(const SyntheticModel& model, model::BuildOptions options = {}) {
  const auto file = model.open();
  EXPECT_TRUE(file) << file.error().text;
  auto graph = model::build_graph(**file, options);
  EXPECT_TRUE(graph) << graph.error().text;
  return graph ? *graph : graph::Graph{};
}

reference::Interpreter interpreter(const SyntheticModel& model) {
  const auto file = model.open();
  EXPECT_TRUE(file) << file.error().text;
  auto graph = model::build_graph(**file);
  EXPECT_TRUE(graph) << graph.error().text;
  auto run = reference::Interpreter::load(**file, graph::fuse(*graph));
  EXPECT_TRUE(run) << run.error().text;
  return std::move(*run);
}

std::vector<double> logits(const SyntheticModel& model) {
  auto out = interpreter(model).logits(kTokens);
  EXPECT_TRUE(out) << out.error().text;
  return out->data;
}

template <class T>
std::vector<T> ops(const graph::Graph& graph) {
  std::vector<T> all;
  for (const graph::Node& node : graph.nodes)
    if (const T* op = std::get_if<T>(&node.op)) all.push_back(*op);
  return all;
}

TEST(Models, KeysOfOtherArchitecturesAreIgnored) {
  SyntheticModel plain("llama"), noisy("llama");
  noisy.set("attn_logit_softcapping", 50.0f).set("final_logit_softcapping", 30.0f);
  noisy.set("attention.sliding_window", 3u).set("kda.gate_lower_bound", -INFINITY);
  EXPECT_EQ(logits(plain), logits(noisy));
}

TEST(Models, TiedEmbeddingsStandInForTheOutputMatrix) {
  SyntheticModel tied("llama"), copied("llama");
  tied.drop("output.weight");
  copied.tensor("output.weight", {16, 12}, QuantType::F32,
                SyntheticModel::random("token_embd.weight", {16, 12}));
  EXPECT_EQ(logits(tied), logits(copied));
  const graph::Graph graph = build(tied);
  EXPECT_EQ(ops<graph::MatMul>(graph).back().weights[0], ops<graph::Embed>(graph)[0].weight);
}

TEST(Models, FusedQkvEqualsSeparateOnes) {
  SyntheticModel fused("phi3"), separate("phi3");
  for (const char* layer : {"blk.0.", "blk.1."}) {
    std::vector<float> all, all_bias;
    for (const char* part : {"attn_q", "attn_k", "attn_v"}) {
      const std::string name = std::string(layer) + part;
      const uint64_t rows = part == std::string("attn_q") ? 16 : 8;
      const auto values = SyntheticModel::random(name + ".weight", {16, rows});
      const auto bias = SyntheticModel::random(name + ".bias", {rows});
      all.insert(all.end(), values.begin(), values.end());
      all_bias.insert(all_bias.end(), bias.begin(), bias.end());
      separate.tensor(name + ".bias", {rows});
      fused.drop(name + ".weight");
    }
    fused.tensor(layer + std::string("attn_qkv.weight"), {16, 32}, QuantType::F32, all);
    fused.tensor(layer + std::string("attn_qkv.bias"), {32}, QuantType::F32, all_bias);
  }
  EXPECT_EQ(logits(fused), logits(separate));
}

TEST(Models, BiasesAddWhereTheFileHasThem) {
  SyntheticModel plain("llama"), zero("llama"), biased("llama");
  zero.tensor("blk.0.ffn_down.bias", {16}, QuantType::F32, std::vector<float>(16, 0.0f));
  biased.tensor("blk.0.ffn_down.bias", {16}, QuantType::F32, std::vector<float>(16, 0.5f));
  EXPECT_EQ(logits(plain), logits(zero));
  EXPECT_NE(logits(plain), logits(biased));
}

TEST(Models, HalfOfFfnUpIsTheGate) {
  SyntheticModel phi("phi3"), qwen("qwen2");
  for (const char* layer : {"blk.0.", "blk.1."}) {
    const std::string p = layer;
    auto gate = SyntheticModel::random(p + "ffn_gate.weight", {16, 24});
    const auto up = SyntheticModel::random(p + "ffn_up.weight", {16, 24});
    gate.insert(gate.end(), up.begin(), up.end());
    phi.tensor(p + "ffn_up.weight", {16, 48}, QuantType::F32, gate);
  }
  EXPECT_EQ(logits(phi), logits(qwen));
}

TEST(Models, LongRopeChoosesFactorsByContext) {
  SyntheticModel model("phi3");
  model.set("rope.scaling.original_context_length", 32u).set("rope.scaling.attn_factor", 1.25f);
  model.set("rope.scaling.type", std::string("longrope")).set("rope.scaling.factor", 4.0f);
  model.tensor("rope_factors_long.weight", {4}, QuantType::F32, {1.0f, 2.0f, 4.0f, 8.0f});
  model.tensor("rope_factors_short.weight", {4}, QuantType::F32, {1.0f, 1.0f, 1.5f, 2.0f});
  const auto factors = [&](uint32_t context) {
    const graph::Graph graph = build(model, {.context = context});
    EXPECT_EQ(graph.ropes.size(), 1u);
    EXPECT_EQ(graph.ropes[0].freq_scale, 1.0);
    EXPECT_EQ(graph.ropes[0].attn_factor, 1.25);
    return graph.weights[graph.ropes[0].factors].tensor;
  };
  EXPECT_EQ(factors(0), "rope_factors_long.weight");
  EXPECT_EQ(factors(33), "rope_factors_long.weight");
  EXPECT_EQ(factors(32), "rope_factors_short.weight");
}

TEST(Models, YarnAndLinearScaling) {
  SyntheticModel yarn("qwen2"), linear("qwen2"), none("qwen2");
  yarn.set("rope.scaling.type", std::string("yarn")).set("rope.scaling.factor", 4.0f);
  yarn.set("rope.scaling.original_context_length", 16u);
  const graph::RopeSpec y = build(yarn).ropes[0];
  EXPECT_EQ(y.ext_factor, 1.0);
  EXPECT_EQ(y.freq_scale, 0.25);
  EXPECT_EQ(y.original_context, 16u);
  EXPECT_NEAR(y.attn_factor, 1.0 + 0.1 * std::log(4.0), 1e-12);
  linear.set("rope.scaling.factor", 2.0f);
  EXPECT_EQ(build(linear).ropes[0].freq_scale, 0.5);
  EXPECT_EQ(build(linear).ropes[0].ext_factor, 0.0);
  none.set("rope.scaling.type", std::string("none")).set("rope.scaling.factor", 2.0f);
  EXPECT_EQ(build(none).ropes[0].freq_scale, 1.0);
}

TEST(Models, LlamaRotatesNeighboursTheOthersHalves) {
  for (const model::Architecture& row : model::architectures()) {
    const graph::Graph graph = build(SyntheticModel(std::string(row.name)));
    EXPECT_EQ(graph.ropes[0].pairs,
              row.name == "llama" ? graph::RopePairs::Adjacent : graph::RopePairs::Halves);
  }
}

TEST(Models, Gemma2Defaults) {
  SyntheticModel model("gemma2");
  graph::Graph graph = build(model);
  EXPECT_EQ(graph.layers[0].window, 4096u);
  EXPECT_EQ(graph.layers[1].window, 0u);
  EXPECT_EQ(ops<graph::Attention>(graph)[0].softcap, 50.0f);
  ASSERT_EQ(ops<graph::Softcap>(graph).size(), 1u);
  EXPECT_EQ(ops<graph::Softcap>(graph)[0].cap, 30.0f);
  EXPECT_EQ(ops<graph::Embed>(graph)[0].scale, 4.0f);
  graph = build(model.set("attention.sliding_window", 5u).set("attn_logit_softcapping", 7.0f));
  EXPECT_EQ(graph.layers[0].window, 5u);
  EXPECT_EQ(ops<graph::Attention>(graph)[0].softcap, 7.0f);
}

TEST(Models, Gemma3HasTwoRotationsAndAPattern) {
  SyntheticModel model("gemma3");
  model.set("rope.freq_base", 1e6f).set("rope.scaling.factor", 8.0f);
  graph::Graph graph = build(model);  // no window: every layer is global
  EXPECT_EQ(graph.ropes.size(), 1u);
  EXPECT_EQ(graph.layers[0].window, 0u);
  EXPECT_TRUE(ops<graph::Softcap>(graph).empty());
  model.set("attention.sliding_window", 4u);
  model.set("attention.sliding_window_pattern", std::vector<uint32_t>{1, 0});
  graph = build(model);
  EXPECT_EQ(graph.layers[0].window, 4u);
  EXPECT_EQ(graph.layers[1].window, 0u);
  ASSERT_EQ(graph.ropes.size(), 2u);
  EXPECT_EQ(graph.ropes[0].freq_base, 10000.0);
  EXPECT_EQ(graph.ropes[0].freq_scale, 1.0);
  EXPECT_EQ(graph.ropes[1].freq_base, 1e6);
  EXPECT_EQ(graph.ropes[1].freq_scale, 0.125);
  EXPECT_EQ(ops<graph::Softcap>(build(model.set("final_logit_softcapping", 20.0f))).size(), 1u);
}

TEST(Models, EverySixthLayerOfGemma3IsGlobal) {
  model::Config config;
  config.n_layers = 13;
  model::slide_all_but_every(config, 6);
  for (uint32_t layer = 0; layer < 13; ++layer)
    EXPECT_EQ(config.sliding[layer], layer != 5 && layer != 11);
}

TEST(Models, PhiKeepsItsWindow) {
  SyntheticModel model("phi3");
  EXPECT_EQ(build(model.set("attention.sliding_window", 7u)).layers[1].window, 7u);
}

TEST(Models, PerLayerArraysOfEqualValuesAreOneValue) {
  SyntheticModel model("llama");
  model.set("attention.head_count_kv", std::vector<int32_t>{1, 1});
  EXPECT_EQ(logits(model), logits(SyntheticModel("llama")));
}

TEST(Models, ExpertsRouteToTheChosenFew) {
  SyntheticModel model("llama");
  model.with_experts(4, 2);
  const graph::Graph graph = graph::fuse(build(model));
  ASSERT_EQ(ops<graph::Route>(graph).size(), 2u);
  EXPECT_TRUE(ops<graph::Route>(graph)[0].normalise);
  EXPECT_EQ(ops<graph::Glu>(graph).size(), 0u);
  const auto all = logits(model);
  for (const double value : all) EXPECT_TRUE(std::isfinite(value));
  EXPECT_NE(all, logits(model.set("expert_weights_scale", 2.0f)));
}

TEST(Models, ContextIsTheSessionsOrTheFiles) {
  EXPECT_EQ(build(SyntheticModel("llama")).context_length, 64u);
  EXPECT_EQ(build(SyntheticModel("llama"), {.context = 17}).context_length, 17u);
}

class Steps : public testing::TestWithParam<const char*> {};

TEST_P(Steps, ChunksAndSequencesSideBySideGiveTheSameBits) {
  SyntheticModel model(GetParam());
  model.set("attention.sliding_window", 3u);
  reference::Interpreter run = interpreter(model);
  const auto whole = run.logits(kTokens, 9);
  ASSERT_TRUE(whole) << whole.error().text;
  run.reset();
  std::vector<double> last;
  for (uint32_t i = 0; i < 10; ++i) {
    std::vector<reference::TokenAt> batch{{kTokens[i], {0, i}, i == 9}};
    batch.push_back({kTokens[9 - i], {7, i}, false});
    const auto out = run.step(batch);
    ASSERT_TRUE(out) << out.error().text;
    last = out->data;
  }
  EXPECT_EQ(last, whole->data);
}

INSTANTIATE_TEST_SUITE_P(Models, Steps,
                         testing::Values("llama", "qwen3", "gemma2", "gemma3", "phi3"),
                         [](const auto& row) { return std::string(row.param); });

TEST(Reference, TokensOutsideTheVocabularyAreAnError) {
  reference::Interpreter run = interpreter(SyntheticModel("llama"));
  const uint32_t tokens[] = {12};
  EXPECT_FALSE(run.logits(tokens));
}

}  // namespace
}  // namespace pumice
