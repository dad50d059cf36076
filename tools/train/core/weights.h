// The model's weights as tiles for both directions, packed anew each step, and where the weights
// and gradients of each tensor lie in the flat f32 arrays that Python hands over.
#pragma once

#include <vector>

#include "attention.h"
#include "buffer.h"
#include "tiles.h"

namespace pumice::train {

/// Mirrors model.Shape; all sizes are multiples of 32.
struct Shape {
  int32_t vocabulary, width, layers, heads, kv_heads, ff, context;
  float norm_eps;
  HeadShape attention() const { return {heads, kv_heads, width / heads, context}; }
};

/// Offsets in the flat array, in the order of model.Shape.tensors(): the embedding, the layers, the
/// last norm. q, k, v are neighbours, and so are gate and up: each group is one matrix here.
struct Layout {
  struct Layer {
    ptrdiff_t attn_norm, qkv, output, ffn_norm, gate_up, down;
  };
  explicit Layout(const Shape& s) {
    const ptrdiff_t d = s.width;
    ptrdiff_t at = ptrdiff_t(s.vocabulary) * d;
    const auto take = [&](ptrdiff_t count) { return (at += count) - count; };
    for (int i = 0; i < s.layers; ++i) {
      Layer l;
      l.attn_norm = take(d);
      l.qkv = take(s.attention().row() * d);
      l.output = take(d * d);
      l.ffn_norm = take(d);
      l.gate_up = take(2 * s.ff * d);
      l.down = take(d * s.ff);
      layers.push_back(l);
    }
    last_norm = take(d);
    total = at;
  }
  std::vector<Layer> layers;
  ptrdiff_t last_norm = 0, total = 0;
};

/// One matrix [out][in]: y = x W^T forwards, dx = dy W backwards.
struct Linear {
  ptrdiff_t out = 0, in = 0;
  Buffer<Bf16> forward_tiles, backward_tiles;

  void resize(ptrdiff_t rows, ptrdiff_t columns) {
    out = rows, in = columns;
    forward_tiles.resize(out * in), backward_tiles.resize(out * in);
  }
  bool ok() const { return forward_tiles.data() && backward_tiles.data(); }
  void pack(const float* w) {
    pack_rows_b(w, in, out, in, forward_tiles.data());
    pack_columns_b(w, in, out, in, backward_tiles.data());
  }
  Tiles forward() const { return packed(forward_tiles.data(), in); }
  Tiles backward() const { return packed(backward_tiles.data(), out); }
};

struct PackedLayer {
  Linear qkv, output, gate_up, down;
};

struct PackedWeights {
  Linear embedding;
  std::vector<PackedLayer> layers;

  explicit PackedWeights(const Shape& s) : layers(size_t(s.layers)) {
    embedding.resize(s.vocabulary, s.width);
    for (PackedLayer& l : layers) {
      l.qkv.resize(s.attention().row(), s.width);
      l.output.resize(s.width, s.width);
      l.gate_up.resize(2 * s.ff, s.width);
      l.down.resize(s.width, s.ff);
    }
  }
  bool ok() const {
    for (const PackedLayer& l : layers)
      if (!l.qkv.ok() || !l.output.ok() || !l.gate_up.ok() || !l.down.ok()) return false;
    return embedding.ok();
  }
  /// Packs every `lanes`-th matrix, beginning with number `lane`.
  void pack(const float* weights, const Layout& layout, int lane, int lanes) {
    int number = 0;
    const auto mine = [&] { return number++ % lanes == lane; };
    if (mine()) embedding.pack(weights);
    for (size_t i = 0; i < layers.size(); ++i) {
      const Layout::Layer& at = layout.layers[i];
      if (mine()) layers[i].qkv.pack(weights + at.qkv);
      if (mine()) layers[i].output.pack(weights + at.output);
      if (mine()) layers[i].gate_up.pack(weights + at.gate_up);
      if (mine()) layers[i].down.pack(weights + at.down);
    }
  }
};

}  // namespace pumice::train
