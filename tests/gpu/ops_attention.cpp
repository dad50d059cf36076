// Rotation, the cache and attention: every position of sequences that cross pages and windows, on
// every tier, against the double-precision reference.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <iostream>

#include "tests/gpu/row_blocks.h"
#include "tests/gpu/row_graph.h"

namespace pumice::test {
namespace {

using graph::kNone;
using graph::RopePairs;
using reference::Matrix;

struct AttentionRow {
  const char* name;
  uint32_t heads, kv_heads, head_k, head_v;
  uint32_t n_rot;  ///< 0 = no rotation
  RopePairs pairs = RopePairs::Adjacent;
  bool norms = false, views = false;  ///< views: q, k, v are rows of one value
  uint32_t window = 0;
  float softcap = 0;
  bool factors = false;  ///< rope factors per pair
};

constexpr AttentionRow kRows[] = {
    {"halves, all rotate, 2 queries a key head", 4, 2, 32, 32, 32, RopePairs::Halves},
    {"adjacent, part rotates, norms, window, softcap", 4, 1, 64, 48, 24, RopePairs::Adjacent, true,
     true, 40, 20.0f},
    {"halves, head of 80, window over a page", 2, 2, 80, 80, 40, RopePairs::Halves, false, true,
     270, 0.0f, true},
    {"no rotation, head of 256", 2, 1, 256, 256, 0, RopePairs::Halves, true},
};

enum : graph::ValueId { kQ, kK, kV, kQOut, kOut, kAll };
enum : graph::WeightId { kQNorm, kKNorm, kFactors };

graph::Graph graph_of(const AttentionRow& row) {
  graph::Graph graph;
  const uint32_t q = row.heads * row.head_k, k = row.kv_heads * row.head_k,
                 v = row.kv_heads * row.head_v;
  graph.values = {{.name = "q", .width = q},
                  {.name = "k", .width = k},
                  {.name = "v", .width = v},
                  {.name = "q_out", .width = q},
                  {.name = "out", .width = row.heads * row.head_v},
                  {.name = "qkv", .width = q + k + v}};
  if (row.views)
    for (const auto& [id, offset] : {std::pair{kQ, 0u}, {kK, q}, {kV, q + k}}) {
      graph.values[id].base = kAll;
      graph.values[id].offset = offset;
    }
  graph.weights = {{"q_norm", QuantType::F32, row.head_k}, {"k_norm", QuantType::F32, row.head_k}};
  graph.layers = {{row.kv_heads, row.head_k, row.head_v, row.window}};
  graph::RopeStore store{.q = kQ,
                         .k = kK,
                         .v = kV,
                         .q_out = kQOut,
                         .norm_eps = 1e-5f,
                         .n_heads = row.heads,
                         .layer = 0,
                         .rope = kNone};
  if (row.norms) {
    store.q_norm = kQNorm;
    store.k_norm = kKNorm;
  }
  if (row.n_rot != 0) {
    graph::RopeSpec rope{.n_rot = row.n_rot, .pairs = row.pairs};
    if (row.factors) {
      graph.weights.push_back({"factors", QuantType::F32, row.n_rot / 2});
      rope.factors = kFactors;
    }
    graph.ropes = {rope};
    store.rope = 0;
  }
  const graph::Attention attention{.q = kQOut,
                                   .out = kOut,
                                   .n_heads = row.heads,
                                   .layer = 0,
                                   .scale = 1.0f / std::sqrt(float(row.head_k)),
                                   .softcap = row.softcap};
  graph.nodes = {{store, "rope"}, {attention, "attention"}};
  return graph;
}

std::shared_ptr<const GgufFile> weights_of(const AttentionRow& row) {
  GgufWriter file;
  file.set("general.architecture", std::string("rows"));
  add_random(file, "q_norm", QuantType::F32, {row.head_k});
  add_random(file, "k_norm", QuantType::F32, {row.head_k});
  if (row.factors) add_random(file, "factors", QuantType::F32, {row.n_rot / 2});
  return open_in_memory(file);
}

/// q, k and v of `tokens` columns, the same for a token however it is batched.
std::vector<Matrix> inputs_of(const graph::Graph& graph, uint32_t tokens) {
  std::vector<Matrix> inputs;
  for (const graph::ValueId id : {kQ, kK, kV})
    inputs.push_back(random_matrix(graph.values[id].width, tokens, 1.5f, 11 + id));
  return inputs;
}

Matrix columns_of(const Matrix& all, uint32_t first, uint32_t count) {
  Matrix out(all.rows, count);
  std::copy_n(all.data.begin() + ptrdiff_t(first) * all.rows, size_t(count) * all.rows,
              out.data.begin());
  return out;
}

void append(Matrix& all, const Matrix& more) {
  all.rows = more.rows;
  all.columns += more.columns;
  all.data.insert(all.data.end(), more.data.begin(), more.data.end());
}

struct Outputs {
  Matrix q_out, out;
};

/// Runs columns [first, last) of the places in steps of `chunk`.
Result<Outputs> on_device(GraphRunner& runner, const std::vector<Matrix>& inputs,
                          std::span<const reference::TokenAt> tokens, uint32_t chunk,
                          uint32_t first = 0) {
  Outputs all;
  for (uint32_t at = first; at < tokens.size(); at += chunk) {
    const uint32_t count = std::min<uint32_t>(chunk, uint32_t(tokens.size()) - at);
    runner.set_tokens(tokens.subspan(at, count));
    for (const graph::ValueId id : {kQ, kK, kV})
      runner.set_value(id, columns_of(inputs[id], at, count));
    PUMICE_TRY(runner.run({chunk, 0, Ending::None, false}));
    append(all.q_out, runner.value(kQOut, count));
    append(all.out, runner.value(kOut, count));
  }
  return all;
}

Outputs on_reference(reference::Interpreter& interpreter, const std::vector<Matrix>& inputs,
                     std::span<const reference::TokenAt> tokens) {
  interpreter.begin(tokens);
  for (const graph::ValueId id : {kQ, kK, kV}) interpreter.set_value(id, inputs[id]);
  for (const graph::Node& node : interpreter.graph().nodes) interpreter.run_node(node);
  return {interpreter.value(kQOut), interpreter.value(kOut)};
}

/// Two sequences, interleaved: one of 300 tokens over a page, one of 20.
std::vector<reference::TokenAt> interleaved() {
  std::vector<reference::TokenAt> tokens;
  for (uint32_t i = 0; i < 300; ++i) {
    tokens.push_back({0, {0, i}});
    if (i < 20) tokens.push_back({0, {1, i}});
  }
  return tokens;
}

constexpr CapabilityMask kNoTexel{.texel = true};
constexpr Tier kTiers[] = {
    {.name = "default"},
    {.name = "storage buffers", .without = kNoTexel},
    {.name = "as a GPU", .without = kNoTexel, .gpu = true},
};

class OpsAttention : public RowTest {};

void check_row(vk::Device& device, const AttentionRow& row, Tier tier, CacheType cache,
               uint32_t chunk) {
  tier.cache = cache;
  const std::string name = std::string(row.name) + ", " + tier.name +
                           (cache == CacheType::F32 ? ", f32" : ", f16") + ", steps of " +
                           std::to_string(chunk);
  const auto file = weights_of(row);
  ASSERT_NE(file, nullptr);
  const graph::Graph graph = graph_of(row);
  RunOptions options;
  options.max_chunk = 64;
  options.max_sequences = 2;
  auto runner = GraphRunner::create(device, *file, graph, tier, options);
  ASSERT_TRUE(runner) << name << ": " << runner.error().text;
  auto interpreter = reference::Interpreter::load(*file, graph);
  ASSERT_TRUE(interpreter) << interpreter.error().text;
  const auto tokens = interleaved();
  const auto inputs = inputs_of(graph, uint32_t(tokens.size()));
  const auto actual = on_device(**runner, inputs, tokens, chunk);
  ASSERT_TRUE(actual) << name << ": " << actual.error().text;
  const Outputs expected = on_reference(*interpreter, inputs, tokens);
  expect_close(name + ": q", actual->q_out, expected.q_out, kExactOp);
  expect_close(name, actual->out, expected.out, cache == CacheType::F32 ? kExactOp : kHalfOp);
}

TEST_F(OpsAttention, EveryPositionInChunks) {
  for (const AttentionRow& row : kRows)
    for (const Tier& tier : kTiers) {
      if (&tier == &kTiers[1] && !choose_policy(device().capabilities(), {}).lane) continue;
      for (const CacheType cache : {CacheType::F32, CacheType::F16})
        check_row(device(), row, tier, cache, &tier == &kTiers[2] ? 8 : 64);
    }
}

TEST_F(OpsAttention, TokenByToken) {
  for (const Tier& tier : kTiers) check_row(device(), kRows[1], tier, CacheType::F16, 1);
}

// Pages apart and merged, or folded by one workgroup: the same operations, so the same bits.
TEST_F(OpsAttention, SplitEqualsUnsplitBitForBit) {
  for (const AttentionRow& row : kRows) {
    const auto file = weights_of(row);
    ASSERT_NE(file, nullptr);
    const graph::Graph graph = graph_of(row);
    const auto tokens = interleaved();
    const auto inputs = inputs_of(graph, uint32_t(tokens.size()));
    std::vector<Matrix> results;
    for (const Tier& tier : {kTiers[1], kTiers[2]}) {
      RunOptions options;
      options.context = 800;
      options.max_chunk = 8;
      options.max_sequences = 2;
      auto runner = GraphRunner::create(device(), *file, graph, tier, options);
      ASSERT_TRUE(runner) << row.name << ": " << runner.error().text;
      const auto kernels = (*runner)->kernels({8, 0, Ending::None, false});
      ASSERT_TRUE(kernels) << kernels.error().text;
      EXPECT_EQ(std::count(kernels->begin(), kernels->end(), "attention_merge"), tier.gpu ? 1 : 0);
      const auto outputs = on_device(**runner, inputs, tokens, 8);
      ASSERT_TRUE(outputs) << row.name << ": " << outputs.error().text;
      results.push_back(outputs->out);
    }
    EXPECT_EQ(results[0].data, results[1].data) << row.name;
  }
}

// One query's bits do not depend on the step it came in.
TEST_F(OpsAttention, BitsDoNotDependOnChunks) {
  for (const Tier& tier : kTiers) {
    const auto file = weights_of(kRows[2]);
    ASSERT_NE(file, nullptr);
    const graph::Graph graph = graph_of(kRows[2]);
    const auto tokens = interleaved();
    const auto inputs = inputs_of(graph, uint32_t(tokens.size()));
    std::vector<Matrix> results;
    for (const uint32_t chunk : {1u, 4u, 64u}) {
      RunOptions options;
      options.max_chunk = 64;
      options.max_sequences = 2;
      auto runner = GraphRunner::create(device(), *file, graph, tier, options);
      ASSERT_TRUE(runner) << runner.error().text;
      const auto outputs = on_device(**runner, inputs, tokens, chunk);
      ASSERT_TRUE(outputs) << outputs.error().text;
      results.push_back(outputs->out);
    }
    EXPECT_EQ(results[0].data, results[1].data) << tier.name;
    EXPECT_EQ(results[0].data, results[2].data) << tier.name;
  }
}

}  // namespace
}  // namespace pumice::test
