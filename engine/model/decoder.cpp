// The blocks of a decoder-only transformer on top of the graph builder.
#include "engine/model/decoder.h"

#include <cmath>

namespace pumice::model {

using graph::kNone;
using graph::ValueId;

void Decoder::begin_layer(uint32_t layer) {
  layer_ = layer;
  builder_.scope(fmt::format("blk.{}", layer));
}

graph::Linear Decoder::linear(Role role, uint32_t layer) {
  const TensorMap::Entry* entry = tensors_.find(role, layer);
  if (!entry) return {};
  graph::Linear out{builder_.weight(entry->weight), kNone};
  if (entry->bias.columns != 0) out.bias = builder_.weight(entry->bias);
  return out;
}

graph::WeightId Decoder::weight(Role role, uint32_t layer) {
  return linear(role, layer).weight;
}

ValueId Decoder::embed(float scale) {
  builder_.scope("");
  return builder_.embed(weight(Role::TokenEmbd, 0), scale);
}

ValueId Decoder::norm(std::string_view name, ValueId x, Role role) {
  return builder_.rms_norm(name, x, weight(role, layer_), float(config_.norm_eps));
}

graph::RopeSpec Decoder::rope(const AttentionStyle& style) {
  const Config& c = config_;
  graph::RopeSpec spec{.n_rot = c.n_rot, .pairs = style.pairs};
  spec.freq_base = style.rope_base != 0.0 ? style.rope_base : c.rope_base;
  spec.original_context = c.original_context;
  if (!style.rope_scaled) return spec;
  if (has(Role::RopeLong))
    spec.factors = weight(context_ > c.original_context ? Role::RopeLong : Role::RopeShort, 0);
  else
    spec.factors = weight(Role::RopeFreqs, 0);
  spec.attn_factor = c.rope_attn_factor;
  const bool stretches =
      c.rope_scaling == RopeScaling::Linear || c.rope_scaling == RopeScaling::Yarn;
  if (stretches && c.rope_factor != 0.0) spec.freq_scale = 1.0 / c.rope_factor;
  if (c.rope_scaling == RopeScaling::Yarn) {
    spec.ext_factor = c.yarn_ext_factor;
    spec.beta_fast = c.yarn_beta_fast;
    spec.beta_slow = c.yarn_beta_slow;
    // YaRN's temperature: attention sharpens with the logarithm of the stretch.
    if (spec.ext_factor != 0.0 && c.rope_factor > 1.0)
      spec.attn_factor *= 1.0 + 0.1 * std::log(c.rope_factor);
  }
  return spec;
}

graph::Qkv Decoder::project(ValueId x) {
  if (!has(Role::AttnQkv, layer_))
    return builder_.qkv(x, linear(Role::AttnQ, layer_), linear(Role::AttnK, layer_),
                        linear(Role::AttnV, layer_));
  const uint32_t q = config_.n_heads * config_.head_k;
  const uint32_t k = config_.n_kv_heads * config_.head_k;
  const uint32_t v = config_.n_kv_heads * config_.head_v;
  const ValueId all = builder_.matmul("qkv", x, linear(Role::AttnQkv, layer_));
  return {builder_.view("q", all, 0, q), builder_.view("k", all, q, k),
          builder_.view("v", all, q + k, v)};
}

ValueId Decoder::attention(ValueId x, const AttentionStyle& style) {
  const graph::Qkv qkv = project(x);
  graph::HeadSpec heads{.n_heads = config_.n_heads};
  heads.layer = builder_.cache_layer({.kv_heads = config_.n_kv_heads,
                                      .head_k = config_.head_k,
                                      .head_v = config_.head_v,
                                      .window = style.window});
  heads.rope = builder_.rope(rope(style));
  heads.q_norm = weight(Role::AttnQNorm, layer_);
  heads.k_norm = weight(Role::AttnKNorm, layer_);
  heads.norm_eps = float(config_.norm_eps);
  const ValueId q = builder_.rope_store(qkv, heads);
  const ValueId mixed = builder_.attention(q, heads, float(config_.attention_scale),
                                           float(config_.attention_softcap));
  return builder_.matmul("attn_out", mixed, linear(Role::AttnOut, layer_));
}

ValueId Decoder::feed_forward(ValueId x, graph::Activation activation) {
  graph::Linear gate, up;
  if (const TensorMap::Entry* both = tensors_.find(Role::FfnGateUp, layer_)) {
    graph::Weight half = both->weight;  // rows of gate, then rows of up
    half.rows = config_.n_ff;
    gate.weight = builder_.weight(half);
    half.first_row = config_.n_ff;
    up.weight = builder_.weight(half);
  } else {
    gate = linear(Role::FfnGate, layer_);
    up = linear(Role::FfnUp, layer_);
  }
  const ValueId g = builder_.matmul("ffn_gate", x, gate);
  const ValueId u = builder_.matmul("ffn_up", x, up);
  const ValueId h = builder_.glu("ffn_glu", g, u, activation);
  return builder_.matmul("ffn_down", h, linear(Role::FfnDown, layer_));
}

ValueId Decoder::experts(ValueId x, ValueId residual, graph::Activation activation) {
  const float scale = config_.expert_scale == 0.0 ? 1.0f : float(config_.expert_scale);
  const ValueId logits = builder_.matmul("router", x, linear(Role::Router, layer_));
  const graph::Experts chosen = builder_.route(logits, config_.n_experts_used, true, scale);
  const auto matmul = [&](std::string_view name, ValueId in, Role role, bool per_slot) {
    return builder_.expert_matmul(name, in, linear(role, layer_), chosen, per_slot);
  };
  const ValueId gate = matmul("expert_gate", x, Role::ExpertGate, false);
  const ValueId up = matmul("expert_up", x, Role::ExpertUp, false);
  const ValueId h = builder_.glu("expert_glu", gate, up, activation);
  const ValueId down = matmul("expert_down", h, Role::ExpertDown, true);
  return builder_.combine(down, chosen, residual);
}

ValueId Decoder::add(std::string_view name, ValueId a, ValueId b) {
  return builder_.add(name, a, b);
}

ValueId Decoder::outputs_if_last(ValueId x) {
  return layer_ + 1 == config_.n_layers ? builder_.select_outputs(x) : x;
}

void Decoder::finish(ValueId x) {
  builder_.scope("");
  const ValueId normed =
      builder_.rms_norm("output_norm", x, weight(Role::OutputNorm, 0), float(config_.norm_eps));
  const Role output = has(Role::Output) ? Role::Output : Role::TokenEmbd;  // tied embeddings
  logits_ = builder_.matmul("logits", normed, linear(output, 0));
  if (config_.final_softcap != 0.0)
    logits_ = builder_.softcap(logits_, float(config_.final_softcap));
}

Result<graph::Graph> Decoder::take() {
  PUMICE_TRY_ASSIGN(graph::Graph built, builder_.finish(logits_));
  built.context_length = context_;
  return built;
}

}  // namespace pumice::model
