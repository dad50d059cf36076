// Whole models that need no reference files: rows of five super-blocks over 320 tokens (beyond a
// window, over a page of the cache) against the double-precision interpreter, and equal bits where
// they are promised. Everything runs under validation.
#include <cmath>
#include <iostream>

#include "engine/graph/fusions.h"
#include "tests/gpu/row_engine.h"
#include "tests/gpu/row_model.h"

namespace pumice::test {
namespace {

constexpr uint32_t kTokens = 320, kFirstRow = 250;

std::vector<uint32_t> token_ids(uint32_t n, uint32_t vocab) {
  std::vector<uint32_t> ids;
  for (uint32_t i = 0; i < n; ++i) ids.push_back((i * i * 7 + i * 13 + 5) % vocab);
  return ids;
}

LoadOptions options_for(const std::string& path, const Precision& precision) {
  LoadOptions options = load_options(path, precision);
  options.run.context = 400;
  options.device.validation = true;
  return options;
}

void expect_silence(Engine& engine) {
  for (const std::string& message : engine.device().validation_log())
    ADD_FAILURE() << "validation: " << message;
}

std::vector<double> reference_rows(const std::string& path, std::span<const uint32_t> ids) {
  const auto file = open_gguf(path);
  EXPECT_TRUE(file) << file.error().text;
  auto graph = model::build_graph(**file);
  EXPECT_TRUE(graph) << graph.error().text;
  auto interpreter = reference::Interpreter::load(**file, graph::fuse(std::move(*graph)));
  EXPECT_TRUE(interpreter) << interpreter.error().text;
  const auto logits = interpreter->logits(ids, kFirstRow);
  EXPECT_TRUE(logits) << logits.error().text;
  return logits->data;
}

class ModelsSynthetic : public ModelTest {};

TEST_F(ModelsSynthetic, WideRowsBeyondPageAndWindow) {
  const ModelShape shape{.architecture = "gemma2",
                         .embd = 1280,
                         .ff = 512,
                         .heads = 4,
                         .kv_heads = 2,
                         .head = 64,
                         .window = 100};
  const TemporaryModel model(shape);
  const std::vector<uint32_t> ids = token_ids(kTokens, shape.vocab);
  const std::vector<double> expected = reference_rows(model.path(), ids);
  for (const Precision& precision : {kExact, kFast})
    for (const bool texel : texel_choices()) {
      LoadOptions options = options_for(model.path(), precision);
      options.device.without.texel = !texel;
      auto engine = Engine::load(options);
      ASSERT_TRUE(engine) << engine.error().text;
      const auto rows = logits_of(**engine, signed_ids(ids), kFirstRow);
      ASSERT_TRUE(rows) << rows.error().text;
      const double error = reference::nmse(*rows, expected);
      std::cout << describe((*engine)->plan().policy) << ": NMSE " << error << "\n";
      EXPECT_LE(error, precision.activations == ActivationType::Q8 ? kFastLimit : 1e-9);
      expect_silence(**engine);
    }
}

/// Rows of the tokens after the first `prefix` ones, asked for in chunks.
std::vector<float> in_chunks(Engine& engine, std::span<const int32_t> ids, size_t prefix,
                             size_t chunk) {
  engine.rewind(0, uint32_t(prefix));
  std::vector<float> all;
  for (size_t at = prefix; at < ids.size(); at += chunk) {
    const auto rows = engine.logits(0, ids.subspan(at, std::min(chunk, ids.size() - at)));
    EXPECT_TRUE(rows) << rows.error().text;
    if (!rows) return {};
    all.insert(all.end(), rows->begin(), rows->end());
  }
  return all;
}

bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && !a.empty() &&
         std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

void expect_bits_of_chunks(const std::string& path, std::span<const int32_t> ids, bool texel,
                           const Precision& precision) {
  LoadOptions options = options_for(path, precision);
  options.run.deterministic = true;
  options.run.max_chunk = options.run.max_outputs = 128;
  options.device.without.texel = !texel;
  options.device.validation = false;
  auto engine = Engine::load(options);
  ASSERT_TRUE(engine) << engine.error().text;
  // All at once, then the last 40 again on top of what the cache holds of the others.
  const size_t prefix = ids.size() > 64 ? ids.size() - 40 : 0;
  std::vector<float> whole = in_chunks(**engine, ids, 0, ids.size());
  whole.erase(whole.begin(), whole.begin() + ptrdiff_t(prefix * whole.size() / ids.size()));
  for (const size_t chunk : {size_t{1}, size_t{2}, size_t{7}, ids.size()})
    EXPECT_TRUE(same_bits(in_chunks(**engine, ids, prefix, chunk), whole))
        << path << ": chunks of " << chunk << ", " << describe((*engine)->plan().policy);
}

constexpr ModelShape kSmall[] = {
    {.architecture = "gemma2", .window = 48},
    {.architecture = "llama", .experts = 4},
};

TEST_F(ModelsSynthetic, DeterministicBitsDoNotDependOnChunks) {
  for (const ModelShape& shape : kSmall) {
    const TemporaryModel model(shape);
    const auto ids = signed_ids(token_ids(270, shape.vocab));
    for (const bool texel : texel_choices())
      expect_bits_of_chunks(model.path(), ids, texel, (&shape == kSmall) == texel ? kFast : kExact);
  }
}

TEST_F(ModelsSynthetic, TwoLoadsGiveTheSameBits) {
  const TemporaryModel model(kSmall[0]);
  const auto ids = signed_ids(token_ids(100, kSmall[0].vocab));
  std::vector<float> first;
  for (int run = 0; run < 2; ++run) {
    auto engine = Engine::load(options_for(model.path(), kFast));
    ASSERT_TRUE(engine) << engine.error().text;
    std::vector<float> rows = in_chunks(**engine, ids, 0, ids.size());
    if (run == 0) first = rows;
    EXPECT_TRUE(same_bits(rows, first));
    expect_silence(**engine);
  }
}

/// Tokens and hashes of `steps` greedy steps of each prompt, together or one after the other.
std::vector<std::vector<Sampled>> greedy(Engine& engine,
                                         const std::vector<std::vector<int32_t>>& prompts,
                                         uint32_t steps, bool together) {
  std::vector<std::vector<Sampled>> out(prompts.size());
  for (uint32_t s = 0; s < prompts.size(); ++s) {
    const auto sampled = engine.append_and_sample(s, prompts[s]);
    EXPECT_TRUE(sampled) << sampled.error().text;
    if (!sampled) return out;
    out[s].push_back(*sampled);
    for (uint32_t i = 0; i < steps && !together; ++i) {
      const StepToken token{s, out[s].back().token};
      const auto next = engine.step({&token, 1});
      EXPECT_TRUE(next) << next.error().text;
      if (next) out[s].push_back(next->front());
    }
  }
  for (uint32_t i = 0; i < steps && together; ++i) {
    std::vector<StepToken> tokens;
    for (uint32_t s = 0; s < prompts.size(); ++s) tokens.push_back({s, out[s].back().token});
    const auto next = engine.step(tokens);
    EXPECT_TRUE(next) << next.error().text;
    for (uint32_t s = 0; next && s < prompts.size(); ++s) out[s].push_back((*next)[s]);
  }
  return out;
}

TEST_F(ModelsSynthetic, SequencesSteppedTogetherEqualSeparateRuns) {
  for (const ModelShape& shape : kSmall) {
    const TemporaryModel model(shape);
    const auto ids = signed_ids(token_ids(260, shape.vocab));
    const std::vector<std::vector<int32_t>> prompts{
        {ids.begin(), ids.begin() + 250}, {ids.begin() + 20, ids.begin() + 29}, {7}};
    for (const bool texel : texel_choices()) {
      LoadOptions options = options_for(model.path(), kFast);
      options.run.deterministic = true;
      options.run.max_sequences = 3;
      options.device.without.texel = !texel;
      auto engine = Engine::load(options);
      ASSERT_TRUE(engine) << engine.error().text;
      const auto apart = greedy(**engine, prompts, 12, false);
      for (uint32_t s = 0; s < prompts.size(); ++s) (*engine)->rewind(s, 0);
      const auto together = greedy(**engine, prompts, 12, true);
      for (uint32_t s = 0; s < prompts.size(); ++s)
        for (size_t i = 0; i < apart[s].size(); ++i) {
          EXPECT_EQ(apart[s][i].token, together[s][i].token) << "sequence " << s << " step " << i;
          EXPECT_EQ(apart[s][i].logits_hash, together[s][i].logits_hash)
              << "sequence " << s << " step " << i;
        }
      expect_silence(**engine);
    }
  }
}

using ModelsBits = OracleTest;

TEST_F(ModelsBits, ReferenceModelsInChunks) {
  for (const char* name : {"archs/llama-dense", "archs/llama-moe", "archs/gemma3-dense"}) {
    const auto expected = read_oracle(std::string(name) + ".logits");
    ASSERT_TRUE(expected);
    for (const bool texel : texel_choices())
      expect_bits_of_chunks(oracle_path(std::string(name) + ".gguf"), signed_ids(expected->tokens),
                            texel, kFast);
  }
}

}  // namespace
}  // namespace pumice::test
