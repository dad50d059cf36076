// qwen2: Qwen 2 and 2.5, dense; biases on q, k and v.
#include "engine/model/decoder.h"
#include "engine/model/models.h"

namespace pumice::model {
namespace {

constexpr TensorRow kTensors[] = {
    // clang-format off
    {Role::FfnGate, "blk.%.ffn_gate", {Dim::Embd, Dim::Ff}, Need::Dense, true},
    {Role::FfnUp,   "blk.%.ffn_up",   {Dim::Embd, Dim::Ff}, Need::Dense, true},
    // clang-format on
};

void build(Decoder& d) {
  const AttentionStyle style{.pairs = graph::RopePairs::Halves};
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

constinit const Architecture kQwen2{.name = "qwen2", .tensors = kTensors, .build = build};

}  // namespace pumice::model
