// llama: Llama 1 to 3, Mistral, SmolLM2 and kin; with experts, the Mixtral form.
#include "engine/model/decoder.h"
#include "engine/model/models.h"

namespace pumice::model {
namespace {

constexpr KeyRow kKeys[] = {
    // clang-format off
    {"expert_count",         &Config::n_experts,      0, kMaxExperts},
    {"expert_used_count",    &Config::n_experts_used, 0, kMaxExperts},
    {"expert_weights_scale", &Config::expert_scale,   0.0, 1e6},
    // clang-format on
};

constexpr TensorRow kTensors[] = {
    // clang-format off
    {Role::RopeFreqs,  "rope_freqs",           {Dim::RopePairs}, Need::Optional},
    {Role::RopeLong,   "rope_factors_long",    {Dim::RopePairs}, Need::Optional},
    {Role::RopeShort,  "rope_factors_short",   {Dim::RopePairs}, Need::Optional},
    {Role::FfnGate,    "blk.%.ffn_gate",       {Dim::Embd, Dim::Ff}, Need::Dense, true},
    {Role::FfnUp,      "blk.%.ffn_up",         {Dim::Embd, Dim::Ff}, Need::Dense, true},
    {Role::Router,     "blk.%.ffn_gate_inp",   {Dim::Embd, Dim::Experts}, Need::Moe},
    {Role::ExpertGate, "blk.%.ffn_gate_exps",  {Dim::Embd, Dim::Ff, Dim::Experts}, Need::Moe},
    {Role::ExpertUp,   "blk.%.ffn_up_exps",    {Dim::Embd, Dim::Ff, Dim::Experts}, Need::Moe},
    {Role::ExpertDown, "blk.%.ffn_down_exps",  {Dim::Ff, Dim::Embd, Dim::Experts}, Need::Moe},
    // clang-format on
};

void build(Decoder& d) {
  const AttentionStyle style{.pairs = graph::RopePairs::Adjacent};
  graph::ValueId x = d.embed();
  for (uint32_t layer = 0; layer < d.config().n_layers; ++layer) {
    d.begin_layer(layer);
    const auto mixed = d.attention(d.norm("attn_norm", x, Role::AttnNorm), style);
    x = d.outputs_if_last(d.add("attn_add", mixed, x));
    const auto h = d.norm("ffn_norm", x, Role::FfnNorm);
    if (d.config().n_experts != 0)
      x = d.experts(h, x, graph::Activation::Silu);
    else
      x = d.add("ffn_add", d.feed_forward(h, graph::Activation::Silu), x);
  }
  d.finish(x);
}

}  // namespace

constinit const Architecture kLlama{
    .name = "llama", .keys = kKeys, .tensors = kTensors, .build = build};

}  // namespace pumice::model
