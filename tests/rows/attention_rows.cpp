// Graphs of one layer's memory.
#include "tests/rows/attention_rows.h"

#include <bit>
#include <cmath>

#include "tests/rows/blocks.h"

namespace pumice::test {
namespace {

using namespace attention;
using graph::kNone;
using graph::RopePairs;
using reference::Matrix;

constexpr AttentionRow kRows[] = {
    {"halves, all rotate, 2 queries a key head", 4, 2, 32, 32, 32, RopePairs::Halves},
    {"adjacent, part rotates, norms, window, softcap", 4, 1, 64, 48, 24, RopePairs::Adjacent, true,
     true, 40, 20.0f},
    {"halves, head of 80, window over a page", 2, 2, 80, 80, 40, RopePairs::Halves, false, true,
     270, 0.0f, true},
    {"no rotation, head of 256", 2, 1, 256, 256, 0, RopePairs::Halves, true},
};

enum : graph::WeightId { kQNorm, kKNorm, kFactors };

}  // namespace

std::span<const AttentionRow> attention_rows() {
  return kRows;
}

graph::Graph attention_graph(const AttentionRow& row) {
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

std::shared_ptr<const GgufFile> attention_weights(const AttentionRow& row) {
  GgufWriter file;
  file.set("general.architecture", std::string("rows"));
  add_random(file, "q_norm", QuantType::F32, {row.head_k});
  add_random(file, "k_norm", QuantType::F32, {row.head_k});
  if (row.factors) add_random(file, "factors", QuantType::F32, {row.n_rot / 2});
  return open_in_memory(file);
}

std::vector<Matrix> attention_inputs(const graph::Graph& graph, uint32_t tokens) {
  std::vector<Matrix> inputs;
  for (const graph::ValueId id : {kQ, kK, kV})
    inputs.push_back(random_matrix(graph.values[id].width, tokens, 1.5f, 11 + id));
  return inputs;
}

Case attention_case(const AttentionRow& row, const Tier& tier, uint32_t depth, uint32_t columns) {
  constexpr uint32_t kChecked = 32;
  Case out;
  out.name = fmt::format("{}, {}, {} cache, {} tokens at {}", row.name, tier.name,
                         describe(tier.cache), columns, depth);
  out.type = cache_type_name(tier.cache.k);
  out.kernels = "attention";
  out.tier = tier;
  out.file = attention_weights(row);
  out.graph = attention_graph(row);
  out.options.max_chunk = std::max(kChecked, columns);
  out.options.context = std::bit_ceil(depth + columns + kChecked);
  out.shape = {kChecked, 0, Ending::None, false};
  const auto inputs = attention_inputs(out.graph, kChecked);
  for (const graph::ValueId id : {kQ, kK, kV}) out.inputs.emplace_back(id, inputs[id]);
  for (uint32_t i = 0; i < kChecked; ++i) out.tokens.push_back({0, {0, i}});
  out.out = kOut;
  out.columns = kChecked;
  out.tolerance = tier.cache == CacheFormat(CacheType::F32) ? kExactOp : kHalfOp;
  out.timed_shape = {columns, 0, Ending::None, false};
  for (uint32_t i = 0; i < columns; ++i) out.timed_tokens.push_back({0, {0, depth + i}});
  const double seen = row.window != 0 ? std::min(row.window, depth + columns) : depth + columns;
  out.weight_bytes =
      seen * row.kv_heads *
      (row.head_k * cache_type_bits(tier.cache.k) + row.head_v * cache_type_bits(tier.cache.v)) / 8;
  out.bytes = out.weight_bytes + 4.0 * columns * row.heads * (row.head_k + row.head_v);
  out.operations = 2 * seen * columns * row.heads * (double(row.head_k) + row.head_v);
  return out;
}

}  // namespace pumice::test
