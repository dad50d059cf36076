// Widths, names and shape checks of every op.
#include "engine/graph/builder.h"

#include <utility>

namespace pumice::graph {

std::string GraphBuilder::named(std::string_view name) const {
  return scope_.empty() ? std::string(name) : scope_ + "." + std::string(name);
}

uint32_t GraphBuilder::width(ValueId id) const {
  return id < graph_.values.size() ? graph_.values[id].width : 0;
}

bool GraphBuilder::per_output(ValueId id) const {
  return id < graph_.values.size() && graph_.values[id].per_output;
}

const Weight& GraphBuilder::shape(WeightId id) const {
  static const Weight missing{.tensor = "(missing)", .columns = 0, .rows = 0, .experts = 0};
  return id < graph_.weights.size() ? graph_.weights[id] : missing;
}

ValueId GraphBuilder::value(std::string_view name, uint32_t rows, bool of_outputs) {
  expect(rows > 0, name, "a value has rows", 1, rows);
  graph_.values.push_back({.name = named(name), .width = rows, .per_output = of_outputs});
  return ValueId(graph_.values.size() - 1);
}

void GraphBuilder::emit(Op op, std::string_view name) {
  std::string label = scope_.empty() ? std::string(name) : scope_ + " " + std::string(name);
  graph_.nodes.push_back({std::move(op), std::move(label)});
}

void GraphBuilder::expect(bool holds, std::string_view op, std::string_view rule, uint64_t expected,
                          uint64_t found) {
  if (holds || !error_.empty()) return;
  error_ = fmt::format("graph: {}: {}: expected {}, found {}", named(op), rule, expected, found);
}

void GraphBuilder::check_vector(std::string_view name, WeightId id, uint32_t length) {
  const Weight& w = shape(id);
  expect(w.columns == length, name, "vector " + w.tensor + " length", length, w.columns);
  expect(w.rows == 1 && w.experts == 1, name, "vector " + w.tensor + " rows", 1, w.rows);
}

void GraphBuilder::check_linear(std::string_view name, uint32_t x_width, const Linear& linear) {
  const Weight& w = shape(linear.weight);
  expect(w.columns == x_width, name, "columns of " + w.tensor, x_width, w.columns);
  if (linear.bias != kNone) check_vector(name, linear.bias, w.rows);
}

WeightId GraphBuilder::weight(Weight w) {
  const std::string key = fmt::format("{}#{}#{}", w.tensor, w.first_row, w.rows);
  const auto [entry, is_new] = weight_ids_.emplace(key, WeightId(graph_.weights.size()));
  if (is_new) graph_.weights.push_back(std::move(w));
  return entry->second;
}

uint32_t GraphBuilder::rope(const RopeSpec& s) {
  const auto same = [&](const RopeSpec& r) {
    return r.n_rot == s.n_rot && r.pairs == s.pairs && r.freq_base == s.freq_base &&
           r.freq_scale == s.freq_scale && r.factors == s.factors && r.ext_factor == s.ext_factor &&
           r.attn_factor == s.attn_factor && r.beta_fast == s.beta_fast &&
           r.beta_slow == s.beta_slow && r.original_context == s.original_context;
  };
  expect(s.n_rot % 2 == 0, "rope", "an even count rotates", s.n_rot + 1, s.n_rot);
  for (uint32_t i = 0; i < graph_.ropes.size(); ++i)
    if (same(graph_.ropes[i])) return i;
  graph_.ropes.push_back(s);
  return uint32_t(graph_.ropes.size() - 1);
}

uint32_t GraphBuilder::cache_layer(const CacheLayer& layer) {
  expect(layer.head_k % 8 == 0, "cache", "head_k is a multiple of", 8, layer.head_k);
  expect(layer.head_v % 8 == 0, "cache", "head_v is a multiple of", 8, layer.head_v);
  graph_.layers.push_back(layer);
  return uint32_t(graph_.layers.size() - 1);
}

ValueId GraphBuilder::embed(WeightId table, float scale) {
  const ValueId out = value("embed", shape(table).columns, false);
  graph_.n_embd = shape(table).columns;
  emit(Embed{.weight = table, .out = out, .scale = scale}, "embed");
  return out;
}

ValueId GraphBuilder::rms_norm(std::string_view name, ValueId x, WeightId weight, float eps,
                               uint32_t group) {
  const uint32_t run = group == 0 ? width(x) : group;
  expect(run != 0 && width(x) % run == 0, name, "whole groups of", run, width(x));
  check_vector(name, weight, run);
  const ValueId out = value(name, width(x), per_output(x));
  emit(RmsNorm{.x = x, .weight = weight, .out = out, .eps = eps, .group = run}, name);
  return out;
}

ValueId GraphBuilder::matmul(std::string_view name, ValueId x, Linear linear) {
  check_linear(name, width(x), linear);
  expect(shape(linear.weight).experts == 1, name, "experts without a route", 1,
         shape(linear.weight).experts);
  const ValueId out = value(name, shape(linear.weight).rows, per_output(x));
  MatMul op{.weights = {linear.weight}, .x = x, .out = out};
  if (linear.bias != kNone) op.biases = {linear.bias};
  emit(std::move(op), name);
  return out;
}

ValueId GraphBuilder::expert_matmul(std::string_view name, ValueId x, Linear linear,
                                    const Experts& experts, bool x_per_slot) {
  const uint32_t x_width = x_per_slot ? width(x) / experts.n_used : width(x);
  check_linear(name, x_width, linear);
  const uint64_t rows = uint64_t(shape(linear.weight).rows) * experts.n_used;
  expect(rows <= UINT32_MAX, name, "rows of all slots", UINT32_MAX, rows);
  const ValueId out = value(name, uint32_t(rows), per_output(x));
  MatMul op{.weights = {linear.weight}, .x = x, .out = out};
  if (linear.bias != kNone) op.biases = {linear.bias};
  op.experts_by = experts.route;
  op.n_used = experts.n_used;
  op.x_per_slot = x_per_slot;
  emit(std::move(op), name);
  return out;
}

Qkv GraphBuilder::qkv(ValueId x, Linear q, Linear k, Linear v) {
  Qkv out;
  out.q = matmul("q", x, q);
  out.k = matmul("k", x, k);
  out.v = matmul("v", x, v);
  return out;
}

ValueId GraphBuilder::view(std::string_view name, ValueId base, uint32_t offset, uint32_t rows) {
  expect(uint64_t(offset) + rows <= width(base), name, "rows inside the base", width(base),
         uint64_t(offset) + rows);
  const ValueId out = value(name, rows, per_output(base));
  const bool nested = base < graph_.values.size() && graph_.values[base].base != kNone;
  graph_.values[out].base = nested ? graph_.values[base].base : base;
  graph_.values[out].offset = offset + (nested ? graph_.values[base].offset : 0);
  return out;
}

ValueId GraphBuilder::rope_store(const Qkv& qkv, const HeadSpec& heads) {
  const CacheLayer layer =
      heads.layer < graph_.layers.size() ? graph_.layers[heads.layer] : CacheLayer{};
  expect(heads.layer < graph_.layers.size(), "rope", "a declared cache layer", graph_.layers.size(),
         heads.layer);
  const auto rows = [](uint32_t n, uint32_t head) { return uint64_t(n) * head; };
  expect(width(qkv.q) == rows(heads.n_heads, layer.head_k), "rope", "rows of q",
         rows(heads.n_heads, layer.head_k), width(qkv.q));
  expect(width(qkv.k) == rows(layer.kv_heads, layer.head_k), "rope", "rows of k",
         rows(layer.kv_heads, layer.head_k), width(qkv.k));
  expect(width(qkv.v) == rows(layer.kv_heads, layer.head_v), "rope", "rows of v",
         rows(layer.kv_heads, layer.head_v), width(qkv.v));
  expect(layer.kv_heads != 0 && heads.n_heads % layer.kv_heads == 0, "rope",
         "heads are a multiple of kv heads", layer.kv_heads, heads.n_heads);
  if (heads.rope != kNone)
    expect(heads.rope < graph_.ropes.size() && graph_.ropes[heads.rope].n_rot <= layer.head_k,
           "rope", "rotating elements at most", layer.head_k, heads.rope);
  if (heads.q_norm != kNone) check_vector("q_norm", heads.q_norm, layer.head_k);
  if (heads.k_norm != kNone) check_vector("k_norm", heads.k_norm, layer.head_k);
  const ValueId out = value("q_rope", width(qkv.q), per_output(qkv.q));
  RopeStore op{.q = qkv.q, .k = qkv.k, .v = qkv.v, .q_out = out};
  op.q_norm = heads.q_norm;
  op.k_norm = heads.k_norm;
  op.norm_eps = heads.norm_eps;
  op.n_heads = heads.n_heads;
  op.layer = heads.layer;
  op.rope = heads.rope;
  emit(op, "rope");
  return out;
}

ValueId GraphBuilder::attention(ValueId q, const HeadSpec& heads, float scale, float softcap) {
  const CacheLayer layer =
      heads.layer < graph_.layers.size() ? graph_.layers[heads.layer] : CacheLayer{};
  expect(width(q) == uint64_t(heads.n_heads) * layer.head_k, "attention", "rows of q",
         uint64_t(heads.n_heads) * layer.head_k, width(q));
  const ValueId out = value("attention", heads.n_heads * layer.head_v, per_output(q));
  Attention op{.q = q, .out = out, .n_heads = heads.n_heads, .layer = heads.layer};
  op.scale = scale;
  op.softcap = softcap;
  emit(op, "attention");
  return out;
}

ValueId GraphBuilder::glu(std::string_view name, ValueId gate, ValueId up, Activation activation) {
  expect(width(gate) == width(up), name, "rows of up as of gate", width(gate), width(up));
  const ValueId out = value(name, width(gate), per_output(gate));
  emit(Glu{.gate = gate, .up = up, .out = out, .activation = activation}, name);
  return out;
}

ValueId GraphBuilder::add(std::string_view name, ValueId a, ValueId b) {
  expect(width(a) == width(b), name, "rows of both operands", width(a), width(b));
  expect(per_output(a) == per_output(b), name, "both per token or both per output", per_output(a),
         per_output(b));
  const ValueId out = value(name, width(a), per_output(a));
  emit(Add{.a = a, .b = b, .out = out}, name);
  return out;
}

Experts GraphBuilder::route(ValueId logits, uint32_t n_used, bool normalise, float scale) {
  expect(n_used >= 1 && n_used <= width(logits), "route", "experts used at most", width(logits),
         n_used);
  const ValueId out = value("route", 2 * n_used, per_output(logits));
  Route op{.logits = logits, .out = out, .n_experts = width(logits), .n_used = n_used};
  op.normalise = normalise;
  op.scale = scale;
  emit(op, "route");
  return {out, n_used};
}

ValueId GraphBuilder::combine(ValueId x, const Experts& experts, ValueId residual) {
  const uint64_t rows = uint64_t(width(residual)) * experts.n_used;
  expect(width(x) == rows, "combine", "rows of all slots", rows, width(x));
  const ValueId out = value("combine", width(residual), per_output(residual));
  Combine op{.x = x, .route = experts.route, .residual = residual, .out = out};
  op.n_used = experts.n_used;
  emit(op, "combine");
  return out;
}

ValueId GraphBuilder::select_outputs(ValueId x) {
  expect(!per_output(x), "outputs", "columns selected once", 0, 1);
  const ValueId out = value("outputs", width(x), true);
  emit(SelectOutputs{.x = x, .out = out}, "outputs");
  return out;
}

ValueId GraphBuilder::softcap(ValueId x, float cap) {
  const ValueId out = value("softcap", width(x), per_output(x));
  emit(Softcap{.x = x, .out = out, .cap = cap}, "softcap");
  return out;
}

Result<Graph> GraphBuilder::finish(ValueId logits) {
  expect(logits < graph_.values.size() && per_output(logits), "logits",
         "one column per requested output", 1, 0);
  if (!error_.empty()) return fail(ErrorCode::BadFile, "{}", error_);
  graph_.logits = logits;
  graph_.n_vocab = width(logits);
  return std::move(graph_);
}

}  // namespace pumice::graph
