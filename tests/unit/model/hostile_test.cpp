// Hyper-parameters and tensors that contradict the format, each other or what can run: every row
// must end in its own words, and never in a crash.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>

#include "engine/graph/fusions.h"
#include "engine/graph/placement.h"
#include "engine/model/architectures.h"
#include "tests/unit/model/synthetic.h"

namespace pumice {
namespace {

using test::Absent;
using test::KeyValue;
using test::SyntheticModel;

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInf = std::numeric_limits<float>::infinity();

struct KeyRow {
  const char* architecture;
  const char* key;
  KeyValue value;
  const char* words;  ///< in the error's text, which must also name the key's last part
};

using U32s = std::vector<uint32_t>;

const KeyRow kKeyRows[] = {
    // clang-format off
    {"llama", "general.architecture", std::string("mamba2"), "architecture \"mamba2\" is not supported; supported: gemma2, gemma3, llama, phi3, qwen2, qwen3"},
    {"llama", "general.architecture", std::string(""), "architecture \"\" is not supported"},
    {"llama", "general.architecture", Absent{}, "general.architecture"},
    {"llama", "general.architecture", 7u, "general.architecture"},
    {"llama", "block_count", Absent{}, "llama.block_count"},
    {"llama", "block_count", 0u, "llama.block_count"},
    {"llama", "block_count", 513u, "llama.block_count"},
    {"llama", "block_count", 0x80000000u, "llama.block_count"},
    {"llama", "block_count", -1, "llama.block_count"},
    {"llama", "block_count", std::string("2"), "llama.block_count"},
    {"llama", "block_count", U32s{2, 2}, "llama.block_count"},
    {"llama", "block_count", 1u, "tensor blk.1.attn_k.weight is not part of a llama model of 1 layers"},
    {"llama", "block_count", 3u, "blk.2."},
    {"gemma2", "block_count", 100000u, "gemma2.block_count"},
    {"llama", "context_length", 0u, "llama.context_length"},
    {"llama", "context_length", 0xFFFFFFFFu, "llama.context_length"},
    {"llama", "context_length", Absent{}, "llama.context_length"},
    {"llama", "embedding_length", 0u, "llama.embedding_length"},
    {"llama", "embedding_length", 18u, "llama.embedding_length is 18, but only multiples of 4"},
    {"llama", "embedding_length", 0xFFFFFFF0u, "llama.embedding_length"},
    {"llama", "embedding_length", 20u, "token_embd.weight"},
    {"llama", "feed_forward_length", 0u, "llama.feed_forward_length"},
    {"llama", "feed_forward_length", 26u, "only multiples of 4"},
    {"llama", "feed_forward_length", 0xFFFFFFFCu, "llama.feed_forward_length"},
    {"llama", "feed_forward_length", U32s{24, 28}, "layers differ"},
    {"llama", "feed_forward_length", U32s{24}, "llama.feed_forward_length"},
    {"llama", "feed_forward_length", U32s{24, 24, 24}, "llama.feed_forward_length"},
    {"llama", "feed_forward_length", 28u, "blk.0.ffn_down.weight"},
    {"llama", "vocab_size", 0u, "llama.vocab_size"},
    {"llama", "vocab_size", 1048577u, "llama.vocab_size"},
    {"llama", "vocab_size", 13u, "token_embd.weight"},
    {"llama", "vocab_size", Absent{}, "neither llama.vocab_size nor tokenizer.ggml.tokens"},
    {"llama", "tokenizer.ggml.tokens", std::vector<std::string>(11, "a"), "llama.vocab_size is 12, but tokenizer.ggml.tokens has 11 tokens"},
    {"llama", "tokenizer.ggml.tokens", std::vector<std::string>{}, "tokenizer.ggml.tokens has 0 tokens"},
    {"llama", "tokenizer.ggml.tokens", U32s{1, 2, 3}, "tokenizer.ggml.tokens"},
    {"llama", "attention.head_count", Absent{}, "attention.head_count"},
    {"llama", "attention.head_count", 0u, "attention.head_count"},
    {"llama", "attention.head_count", 0xFFFFFFFFu, "attention.head_count"},
    {"llama", "attention.head_count", U32s{2, 0}, "attention.head_count"},
    {"llama", "attention.head_count", U32s{2, 1}, "layers differ"},
    {"llama", "attention.head_count", 4u, "attn_q.weight"},
    {"llama", "attention.head_count_kv", 0u, "attention.head_count_kv"},
    {"llama", "attention.head_count_kv", 3u, "attention.head_count is 2, but it must be a multiple of attention.head_count_kv, 3"},
    {"llama", "attention.head_count_kv", 2u, "attn_k.weight"},
    {"llama", "attention.key_length", 0u, "attention.key_length"},
    {"llama", "attention.key_length", 12u, "attention.key_length is 12, but only head sizes that are a multiple of 8"},
    {"llama", "attention.key_length", 2048u, "attention.key_length"},
    {"llama", "attention.key_length", 16u, "attn_q.weight"},
    {"llama", "attention.value_length", 0u, "attention.value_length"},
    {"llama", "attention.value_length", 4u, "attention.value_length is 4, but only head sizes"},
    {"llama", "attention.value_length", 16u, "attn_v.weight"},
    {"llama", "attention.layer_norm_rms_epsilon", 0.0f, "layer_norm_rms_epsilon"},
    {"llama", "attention.layer_norm_rms_epsilon", kNan, "layer_norm_rms_epsilon"},
    {"llama", "attention.layer_norm_rms_epsilon", -1e-5f, "layer_norm_rms_epsilon"},
    {"llama", "attention.layer_norm_rms_epsilon", 1u, "layer_norm_rms_epsilon"},
    {"llama", "attention.layer_norm_rms_epsilon", Absent{}, "layer_norm_rms_epsilon"},
    {"llama", "attention.scale", kInf, "attention.scale"},
    {"llama", "attention.scale", -1.0f, "attention.scale"},
    {"llama", "rope.dimension_count", 0u, "rope.dimension_count"},
    {"llama", "rope.dimension_count", 7u, "rope.dimension_count is 7, but pairs rotate"},
    {"llama", "rope.dimension_count", 10u, "rope.dimension_count is 10, but a head has 8 elements"},
    {"llama", "rope.freq_base", 0.0f, "rope.freq_base"},
    {"llama", "rope.freq_base", 1.0f, "rope.freq_base"},
    {"llama", "rope.freq_base", kNan, "rope.freq_base"},
    {"llama", "rope.freq_base", -10000.0f, "rope.freq_base"},
    {"llama", "rope.scaling.type", std::string("magic"), "rope.scaling.type is \"magic\"; supported: none, linear, yarn, longrope"},
    {"llama", "rope.scaling.type", 1u, "rope.scaling.type"},
    {"llama", "rope.scaling.factor", kNan, "rope.scaling.factor"},
    {"llama", "rope.scaling.factor", -2.0f, "rope.scaling.factor"},
    {"llama", "rope.scaling.factor", 1e-30f, "rope.scaling.factor"},
    {"llama", "rope.scaling.attn_factor", 0.0f, "rope.scaling.attn_factor"},
    {"llama", "rope.scaling.original_context_length", 0xFFFFFFFFu, "original_context_length"},
    {"llama", "rope.scaling.yarn_beta_fast", 0.0f, "yarn_beta_fast"},
    {"llama", "rope.scaling.yarn_beta_slow", kInf, "yarn_beta_slow"},
    {"llama", "expert_count", 1025u, "expert_count"},
    {"llama", "expert_count", 4u, "llama.expert_used_count is 0, but expert_count is 4"},
    {"llama", "expert_used_count", 2u, "llama.expert_used_count is 2, but expert_count is 0"},
    {"llama", "expert_used_count", -1, "expert_used_count"},
    {"llama", "expert_weights_scale", kNan, "expert_weights_scale"},
    {"gemma2", "attention.sliding_window", -1, "attention.sliding_window"},
    {"gemma2", "attn_logit_softcapping", kNan, "attn_logit_softcapping"},
    {"gemma2", "final_logit_softcapping", -1.0f, "final_logit_softcapping"},
    {"gemma2", "attention.sliding_window_pattern", U32s{1}, "sliding_window_pattern"},
    {"gemma2", "attention.sliding_window_pattern", U32s{1, 2}, "sliding_window_pattern"},
    {"gemma2", "attention.sliding_window_pattern", 0u, "sliding_window_pattern"},
    {"gemma3", "rope.freq_base_swa", 0.0f, "rope.freq_base_swa"},
    {"gemma3", "final_logit_softcapping", kInf, "final_logit_softcapping"},
    {"phi3", "attention.sliding_window", std::string("2047"), "attention.sliding_window"},
    // clang-format on
};

void expect_refused(const SyntheticModel& model, const std::string& words) {
  const auto file = model.open();
  ASSERT_TRUE(file) << file.error().text;
  const auto graph = model::build_graph(**file);
  ASSERT_FALSE(graph) << "expected: " << words;
  EXPECT_NE(graph.error().text.find(words), std::string::npos) << graph.error().text;
  EXPECT_NE(graph.error().text.find("tiny.gguf"), std::string::npos) << graph.error().text;
  EXPECT_EQ(graph.error().text.find('\n'), std::string::npos);
}

class HostileKey : public testing::TestWithParam<KeyRow> {};

TEST_P(HostileKey, IsRefusedWithWords) {
  SyntheticModel model(GetParam().architecture);
  model.set(GetParam().key, GetParam().value);
  expect_refused(model, GetParam().words);
}

std::string key_name(const testing::TestParamInfo<KeyRow>& info) {
  std::string name = fmt::format("{}_{}_{}", info.index, info.param.architecture, info.param.key);
  for (char& c : name)
    if (!std::isalnum(static_cast<unsigned char>(c))) c = '_';
  return name;
}

INSTANTIATE_TEST_SUITE_P(Keys, HostileKey, testing::ValuesIn(kKeyRows), key_name);

TEST(HostileKeys, MoreExpertsUsedThanThere) {
  SyntheticModel model("llama");
  model.with_experts(4, 5);
  expect_refused(model, "llama.expert_used_count is 5, but expert_count is 4");
}

TEST(HostileKeys, HeadsThatDoNotDivideTheEmbedding) {
  SyntheticModel model("llama");
  model.set("attention.key_length", Absent{}).set("attention.head_count", 3u);
  expect_refused(model, "llama.attention.head_count is 3, but it must");
}

TEST(HostileKeys, AContextBeyondTheCap) {
  const auto file = SyntheticModel("llama").open();
  ASSERT_TRUE(file);
  const auto graph = model::build_graph(**file, {.context = UINT32_MAX});
  ASSERT_FALSE(graph);
  EXPECT_EQ(graph.error().code, ErrorCode::BadArgument);
}

class EveryArchitecture : public testing::TestWithParam<const char*> {};

/// Tensors a model can do without.
bool optional(const std::string& name) {
  return name == "output.weight";
}

TEST_P(EveryArchitecture, SaysWhichTensorIsMissing) {
  const auto all = SyntheticModel(GetParam()).tensors();
  for (const auto& [name, tensor] : all)
    if (!optional(name)) expect_refused(SyntheticModel(GetParam()).drop(name), name);
}

TEST_P(EveryArchitecture, SaysWhichTensorHasAnotherShape) {
  const auto all = SyntheticModel(GetParam()).tensors();
  for (const auto& [name, tensor] : all) {
    for (size_t dim = 0; dim < tensor.shape.size(); ++dim)
      for (const uint64_t length : {uint64_t(1), tensor.shape[dim] + 1}) {
        std::vector<uint64_t> shape = tensor.shape;
        shape[dim] = length;
        SyntheticModel model(GetParam());
        expect_refused(model.tensor(name, shape), name);
      }
    SyntheticModel deeper(GetParam());
    std::vector<uint64_t> shape = tensor.shape;
    shape.resize(3, 1);
    shape[2] = 2;
    expect_refused(deeper.tensor(name, shape), name);
    if (tensor.shape.size() == 2 && tensor.shape[0] != tensor.shape[1]) {
      SyntheticModel transposed(GetParam());
      expect_refused(transposed.tensor(name, {tensor.shape[1], tensor.shape[0]}), name);
    }
  }
}

TEST_P(EveryArchitecture, VectorsMustBeF32) {
  const auto all = SyntheticModel(GetParam()).tensors();
  for (const auto& [name, tensor] : all)
    if (tensor.shape.size() == 1) {
      SyntheticModel model(GetParam());
      expect_refused(model.tensor(name, tensor.shape, QuantType::F16),
                     name + " has type f16; vectors must be f32");
    }
}

TEST_P(EveryArchitecture, RefusesTensorsThatItWouldLeaveOut) {
  for (const char* name : {"blk.0.attn_norm.bias", "blk.0.attn_sinks.weight", "output_norm.bias",
                           "blk.0.attn_q.scale", "blk.2.attn_q.weight", "token_embd_norm.weight"}) {
    SyntheticModel model(GetParam());
    expect_refused(model.tensor(name, {16}), std::string(name) + " is not part of a");
  }
}

/// Everything before the weights, one to three bytes changed: whatever happens, it is an error or
/// a graph that fuses and can be placed.
TEST_P(EveryArchitecture, SurvivesChangedBytes) {
  const std::vector<std::byte> good = SyntheticModel(GetParam()).bytes();
  size_t weights = 0;
  const auto all = SyntheticModel(GetParam()).tensors();
  for (const auto& [name, tensor] : all)
    weights += SyntheticModel::random(name, tensor.shape).size() * sizeof(float);
  std::mt19937 random(20);
  uint32_t built = 0, refused = 0;
  for (uint32_t round = 0; round < 1500; ++round) {
    std::vector<std::byte> bytes = good;
    for (auto change = random() % 3 + 1; change > 0; --change)
      bytes[random() % (good.size() - weights)] = std::byte(random());
    const auto file = open_gguf(own_memory("tiny.gguf", std::move(bytes)));
    if (!file) continue;
    const auto graph = model::build_graph(**file);
    ++(graph ? built : refused);
    if (!graph) continue;
    const auto placement = graph::place_values(graph::fuse(*graph), 3, 1);
    EXPECT_TRUE(placement) << placement.error().text;
  }
  EXPECT_GT(built, 0u);
  EXPECT_GT(refused, 0u);
}

INSTANTIATE_TEST_SUITE_P(Tensors, EveryArchitecture,
                         testing::Values("llama", "qwen2", "qwen3", "gemma2", "gemma3", "phi3"),
                         [](const auto& row) { return std::string(row.param); });

TEST(HostileTensors, RopeFactorsThatDivideByZero) {
  for (const float bad : {0.0f, kNan, kInf, 1e-30f}) {
    SyntheticModel model("llama");
    model.tensor("rope_freqs.weight", {4}, QuantType::F32, {1.0f, 1.0f, bad, 1.0f});
    expect_refused(model, "rope_freqs.weight: element 2");
  }
}

TEST(HostileTensors, OnlyOneOfLongAndShortFactors) {
  SyntheticModel model("phi3");
  model.tensor("rope_factors_long.weight", {4});
  expect_refused(model, "rope_factors_short.weight");
}

TEST(HostileTensors, ExpertsAndADenseBlockAtOnce) {
  SyntheticModel model("llama");
  model.with_experts(4, 2).tensor("blk.0.ffn_up.weight", {16, 24});
  expect_refused(model, "blk.0.ffn_up.weight is not part of a");
}

TEST(HostileTensors, AnExpertTensorOfAnotherCount) {
  SyntheticModel model("llama");
  model.with_experts(4, 2).tensor("blk.1.ffn_up_exps.weight", {16, 24, 3});
  expect_refused(model, "blk.1.ffn_up_exps.weight");
}

TEST(HostileTensors, ABiasOfAnotherLength) {
  SyntheticModel model("qwen2");
  model.tensor("blk.1.attn_k.bias", {7});
  expect_refused(model, "blk.1.attn_k.bias");
}

}  // namespace
}  // namespace pumice
