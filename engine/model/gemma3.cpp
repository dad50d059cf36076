// gemma3 (text): as gemma2 without attention softcap, with norms on the heads of q and k, and two
// rotations: five sliding layers with a short base, then a global one with the file's.
#include <cmath>

#include "engine/model/decoder.h"
#include "engine/model/models.h"

namespace pumice::model {
namespace {

constexpr uint32_t kPeriod = 6;        ///< five sliding layers, then a global one
constexpr uint32_t kLayersOf27B = 62;  ///< the one size whose scale does not follow its heads

constexpr KeyRow kKeys[] = {
    // clang-format off
    {"attention.sliding_window", &Config::window,            0, kMaxContext},
    {"rope.freq_base_swa",       &Config::rope_base_sliding, 2.0, 1e12},
    {"final_logit_softcapping",  &Config::final_softcap,     0.0, 1e6},
    // clang-format on
};

constexpr TensorRow kTensors[] = {
    // clang-format off
    {Role::AttnQNorm,    "blk.%.attn_q_norm",         {Dim::HeadK}},
    {Role::AttnKNorm,    "blk.%.attn_k_norm",         {Dim::HeadK}},
    {Role::AttnPostNorm, "blk.%.post_attention_norm", {Dim::Embd}},
    {Role::FfnGate,      "blk.%.ffn_gate",            {Dim::Embd, Dim::Ff}, Need::Dense, true},
    {Role::FfnUp,        "blk.%.ffn_up",              {Dim::Embd, Dim::Ff}, Need::Dense, true},
    {Role::FfnPostNorm,  "blk.%.post_ffw_norm",       {Dim::Embd}},
    // clang-format on
};

void defaults(Config& config) {
  config.rope_base_sliding = 10000.0;
}

Result<void> finish(Config& config, const Metadata& metadata) {
  const bool says_scale = metadata.contains("gemma3.attention.scale");
  if (config.n_layers == kLayersOf27B && !says_scale && config.n_embd >= config.n_heads)
    config.attention_scale = 1.0 / std::sqrt(double(config.n_embd / config.n_heads));
  if (config.window != 0) return read_sliding_pattern(metadata, kPeriod, config);
  config.sliding.assign(config.n_layers, false);
  return {};
}

void build(Decoder& d) {
  const Config& c = d.config();
  const AttentionStyle global{.pairs = graph::RopePairs::Halves};
  const AttentionStyle local{.pairs = graph::RopePairs::Halves,
                             .rope_base = c.rope_base_sliding,
                             .rope_scaled = false,
                             .window = c.window};
  graph::ValueId x = d.embed(std::sqrt(float(c.n_embd)));
  for (uint32_t layer = 0; layer < c.n_layers; ++layer) {
    d.begin_layer(layer);
    const auto normed = d.norm("attn_norm", x, Role::AttnNorm);
    const auto mixed = d.attention(normed, c.sliding[layer] ? local : global);
    x = d.add("attn_add", d.norm("attn_post_norm", mixed, Role::AttnPostNorm), x);
    x = d.outputs_if_last(x);
    const auto h = d.norm("ffn_norm", x, Role::FfnNorm);
    const auto fed = d.feed_forward(h, graph::Activation::GeluTanh);
    x = d.add("ffn_add", d.norm("ffn_post_norm", fed, Role::FfnPostNorm), x);
  }
  d.finish(x);
}

}  // namespace

constinit const Architecture kGemma3{.name = "gemma3",
                                     .keys = kKeys,
                                     .tensors = kTensors,
                                     .defaults = defaults,
                                     .finish = finish,
                                     .build = build};

}  // namespace pumice::model
