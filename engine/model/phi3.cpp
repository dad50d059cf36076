// phi3: Phi-3, 3.5 and 4; q|k|v and gate|up are one tensor each, long contexts have their own
// rotation factors.
#include "engine/model/decoder.h"
#include "engine/model/models.h"

namespace pumice::model {
namespace {

constexpr KeyRow kKeys[] = {
    {"attention.sliding_window", &Config::window, 0, kMaxContext},
};

constexpr TensorRow kTensors[] = {
    // clang-format off
    {Role::RopeLong,  "rope_factors_long",  {Dim::RopePairs}, Need::Optional},
    {Role::RopeShort, "rope_factors_short", {Dim::RopePairs}, Need::Optional},
    {Role::FfnGateUp, "blk.%.ffn_up",       {Dim::Embd, Dim::TwoFf}},
    // clang-format on
};

void build(Decoder& d) {
  const AttentionStyle style{.pairs = graph::RopePairs::Halves, .window = d.config().window};
  graph::ValueId x = d.embed();
  for (uint32_t layer = 0; layer < d.config().n_layers; ++layer) {
    d.begin_layer(layer);
    const auto mixed = d.attention(d.norm("attn_norm", x, Role::AttnNorm), style);
    x = d.outputs_if_last(d.add("attn_add", mixed, x));
    const auto h = d.norm("ffn_norm", x, Role::FfnNorm);
    x = d.add("ffn_add", d.feed_forward(h, graph::Activation::Silu), x);
  }
  d.finish(x);
}

}  // namespace

constinit const Architecture kPhi3{
    .name = "phi3", .keys = kKeys, .tensors = kTensors, .build = build};

}  // namespace pumice::model
