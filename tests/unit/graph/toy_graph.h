// A small decoder built by hand, with the features a test asks for, and random weights for it.
#pragma once

#include <algorithm>
#include <cmath>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "engine/graph/builder.h"
#include "tests/reference/reference.h"

namespace pumice::test {

struct ToySpec {
  QuantType q = QuantType::F32, k = QuantType::F32, v = QuantType::F32;
  QuantType gate = QuantType::F32, up = QuantType::F32;
  bool k_bias = false;
  uint32_t n_ff = 40;
  uint32_t n_experts = 0, n_used = 0;
  uint32_t layers = 2;
};

inline constexpr uint32_t kToyEmbd = 32, kToyVocab = 24, kToyHead = 8, kToyHeads = 4, kToyKv = 2;

inline graph::ValueId toy_layer(graph::GraphBuilder& b, graph::ValueId x, uint32_t layer,
                                const ToySpec& s) {
  const std::string p = "blk." + std::to_string(layer) + ".";
  b.scope("blk." + std::to_string(layer));
  const auto matrix = [&](const char* name, QuantType type, uint32_t columns, uint32_t rows,
                          uint32_t experts = 1) {
    return graph::Linear{b.weight({p + name, type, columns, rows, experts}), graph::kNone};
  };
  const auto vector = [&](const char* name, uint32_t n) {
    return b.weight({.tensor = p + name, .columns = n});
  };
  const uint32_t kv = kToyKv * kToyHead;
  auto h = b.rms_norm("attn_norm", x, vector("attn_norm", kToyEmbd), 1e-5f);
  graph::Linear k = matrix("k", s.k, kToyEmbd, kv);
  if (s.k_bias) k.bias = vector("k_bias", kv);
  const graph::Qkv qkv =
      b.qkv(h, matrix("q", s.q, kToyEmbd, kToyHeads * kToyHead), k, matrix("v", s.v, kToyEmbd, kv));
  graph::HeadSpec heads{.n_heads = kToyHeads};
  heads.layer = b.cache_layer({.kv_heads = kToyKv, .head_k = kToyHead, .head_v = kToyHead});
  heads.rope = b.rope({.n_rot = kToyHead});
  const auto mixed = b.attention(b.rope_store(qkv, heads), heads, 0.35f);
  x = b.add("attn_add", b.matmul("attn_out", mixed, matrix("o", s.q, 32, kToyEmbd)), x);
  if (layer + 1 == s.layers) x = b.select_outputs(x);
  h = b.rms_norm("ffn_norm", x, vector("ffn_norm", kToyEmbd), 1e-5f);
  if (s.n_experts == 0) {
    const auto gate = b.matmul("ffn_gate", h, matrix("gate", s.gate, kToyEmbd, s.n_ff));
    const auto up = b.matmul("ffn_up", h, matrix("up", s.up, kToyEmbd, s.n_ff));
    const auto g = b.glu("ffn_glu", gate, up, graph::Activation::Silu);
    return b.add("ffn_add", x, b.matmul("ffn_down", g, matrix("down", s.q, s.n_ff, kToyEmbd)));
  }
  const auto logits = b.matmul("router", h, matrix("router", s.q, kToyEmbd, s.n_experts));
  const graph::Experts chosen = b.route(logits, s.n_used);
  const auto gate = b.expert_matmul(
      "gate", h, matrix("gate", s.gate, kToyEmbd, s.n_ff, s.n_experts), chosen, false);
  const auto up =
      b.expert_matmul("up", h, matrix("up", s.up, kToyEmbd, s.n_ff, s.n_experts), chosen, false);
  const auto g = b.glu("glu", gate, up, graph::Activation::GeluTanh);
  const auto down =
      b.expert_matmul("down", g, matrix("down", s.q, s.n_ff, kToyEmbd, s.n_experts), chosen, true);
  return b.combine(down, chosen, x);
}

inline Result<graph::Graph> toy_graph(const ToySpec& spec) {
  graph::GraphBuilder b;
  auto x = b.embed(b.weight({"embd", QuantType::F32, kToyEmbd, kToyVocab}));
  for (uint32_t layer = 0; layer < spec.layers; ++layer) x = toy_layer(b, x, layer, spec);
  b.scope("");
  x = b.rms_norm("norm", x, b.weight({.tensor = "norm", .columns = kToyEmbd}), 1e-5f);
  return b.finish(b.matmul("logits", x, {b.weight({"out", QuantType::F32, kToyEmbd, kToyVocab})}));
}

/// The same tensor gets the same numbers in every graph: seeded by its name.
inline std::vector<reference::Dense> toy_weights(const graph::Graph& graph) {
  std::vector<reference::Dense> all;
  for (const graph::Weight& w : graph.weights) {
    reference::Dense dense{w.columns, w.rows, w.experts, {}};
    std::seed_seq seed(w.tensor.begin(), w.tensor.end());
    std::mt19937 random(seed);
    const double scale = w.rows > 1 ? 2.0 / std::sqrt(double(w.columns)) : 1.0;
    const size_t all_weights = size_t(w.columns) * (w.first_row + w.rows) * w.experts;
    for (size_t i = 0; i < all_weights; ++i)
      dense.data.push_back(float(scale * (double(random()) / 0x1p31 - 1.0)));
    dense.data.erase(dense.data.begin(), dense.data.begin() + size_t(w.columns) * w.first_row);
    all.push_back(std::move(dense));
  }
  return all;
}

inline std::vector<double> toy_logits(const graph::Graph& graph) {
  reference::Interpreter run(graph, toy_weights(graph));
  const uint32_t tokens[] = {3, 1, 4, 1, 5, 9, 2, 6, 23, 0, 11};
  auto logits = run.logits(tokens, 4);
  return logits ? std::move(logits->data) : std::vector<double>();
}

template <class T>
size_t count_ops(const graph::Graph& graph) {
  return size_t(std::count_if(graph.nodes.begin(), graph.nodes.end(), [](const graph::Node& n) {
    return std::holds_alternative<T>(n.op);
  }));
}

}  // namespace pumice::test
