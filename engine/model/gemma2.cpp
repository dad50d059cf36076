// gemma2: scaled embeddings, norms before and after each block, GELU, softcaps, and a window on
// every other layer.
#include <cmath>

#include "engine/model/decoder.h"
#include "engine/model/models.h"

namespace pumice::model {
namespace {

constexpr uint32_t kPeriod = 2;        ///< sliding, global, sliding, ...
constexpr uint32_t kLayersOf27B = 46;  ///< the one size whose scale does not follow its heads

constexpr KeyRow kKeys[] = {
    // clang-format off
    {"attention.sliding_window", &Config::window,            0, kMaxContext},
    {"attn_logit_softcapping",   &Config::attention_softcap, 0.0, 1e6},
    {"final_logit_softcapping",  &Config::final_softcap,     0.0, 1e6},
    // clang-format on
};

constexpr TensorRow kTensors[] = {
    // clang-format off
    {Role::AttnPostNorm, "blk.%.post_attention_norm", {Dim::Embd}},
    {Role::FfnGate,      "blk.%.ffn_gate",            {Dim::Embd, Dim::Ff}, Need::Dense, true},
    {Role::FfnUp,        "blk.%.ffn_up",              {Dim::Embd, Dim::Ff}, Need::Dense, true},
    {Role::FfnPostNorm,  "blk.%.post_ffw_norm",       {Dim::Embd}},
    // clang-format on
};

void defaults(Config& config) {
  config.window = 4096;
  config.attention_softcap = 50.0;
  config.final_softcap = 30.0;
}

Result<void> finish(Config& config, const Metadata& metadata) {
  const bool says_scale = metadata.contains("gemma2.attention.scale");
  if (config.n_layers == kLayersOf27B && !says_scale && config.n_embd >= config.n_heads)
    config.attention_scale = 1.0 / std::sqrt(double(config.n_embd / config.n_heads));
  return read_sliding_pattern(metadata, kPeriod, config);
}

void build(Decoder& d) {
  const Config& c = d.config();
  graph::ValueId x = d.embed(std::sqrt(float(c.n_embd)));
  for (uint32_t layer = 0; layer < c.n_layers; ++layer) {
    d.begin_layer(layer);
    const AttentionStyle style{.pairs = graph::RopePairs::Halves,
                               .window = c.sliding[layer] ? c.window : 0};
    const auto mixed = d.attention(d.norm("attn_norm", x, Role::AttnNorm), style);
    x = d.add("attn_add", d.norm("attn_post_norm", mixed, Role::AttnPostNorm), x);
    x = d.outputs_if_last(x);
    const auto h = d.norm("ffn_norm", x, Role::FfnNorm);
    const auto fed = d.feed_forward(h, graph::Activation::GeluTanh);
    x = d.add("ffn_add", d.norm("ffn_post_norm", fed, Role::FfnPostNorm), x);
  }
  d.finish(x);
}

}  // namespace

constinit const Architecture kGemma2{.name = "gemma2",
                                     .keys = kKeys,
                                     .tensors = kTensors,
                                     .defaults = defaults,
                                     .finish = finish,
                                     .build = build};

}  // namespace pumice::model
