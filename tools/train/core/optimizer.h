// Muon for the matrices of the layers, AdamW without decay for the embedding and the norms: the
// same arithmetic as optimizer.py, on tiles. Arrays are flat, laid out as weights.h says.
#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

#include "buffer.h"
#include "pointwise.h"
#include "tiles.h"
#include "weights.h"

namespace pumice::train {

/// One step's numbers. `scale` multiplies every gradient first.
struct Rates {
  float scale, muon, adam, momentum, decay, beta1, beta2, eps;
  float correction1, correction2;  ///< 1 - beta^steps
};

struct Arrays {
  float* weights;
  const float* gradients;
  float *first, *second;  ///< momentum or mean; mean square (only where Adam works)
};

struct Matrix {
  ptrdiff_t at, rows, columns;
};

inline std::vector<Matrix> matrices(const Shape& s, const Layout& layout) {
  const ptrdiff_t d = s.width, ff = s.ff, kv = s.attention().kv_width();
  std::vector<Matrix> found;
  for (const Layout::Layer& l : layout.layers) {
    const Matrix layer[] = {{l.qkv, d, d},    {l.qkv + d * d, kv, d}, {l.qkv + (d + kv) * d, kv, d},
                            {l.output, d, d}, {l.gate_up, ff, d},     {l.gate_up + ff * d, ff, d},
                            {l.down, d, ff}};
    found.insert(found.end(), std::begin(layer), std::end(layer));
  }
  return found;
}

/// Newton-Schulz steps towards the polar factor; x [rows][columns] in place. One per thread.
class Orthogonal {
 public:
  explicit Orthogonal(const Shape& s) {
    const ptrdiff_t d = s.width, big = std::max<ptrdiff_t>(d, s.ff);
    x.resize(d * big);
    for (Buffer<Bf16>* b : {&low_, &left_, &right_}) b->resize(d * big);
    for (Buffer<float>* b : {&gram_, &polynomial_}) b->resize(d * d);
    gram_low_.resize(d * d), gram_tiles_.resize(d * d);
  }

  Buffer<float> x;

  void run(ptrdiff_t rows, ptrdiff_t columns) {
    const ptrdiff_t n = rows * columns, side = std::min(rows, columns);
    double sum = 0;
    for (ptrdiff_t i = 0; i < n; ++i) sum += double(x.data()[i]) * x.data()[i];
    scale_by(x.data(), n, float(1.0 / (std::sqrt(sum) + 1e-7)));
    for (int step = 0; step < kSteps; ++step) {
      to_bf16(x.data(), n, low_.data());
      gram(rows, columns);
      polynomial(side);
      to_bf16(polynomial_.data(), side * side, gram_low_.data());
      scale_by(x.data(), n, kA);
      if (rows > columns) {  // x += x p
        pack_columns_b(gram_low_.data(), side, side, side, gram_tiles_.data());
        multiply<Out::AddF32>(rows_a(low_.data(), columns), packed(gram_tiles_.data(), side), rows,
                              columns, side, x.data(), columns);
      } else {  // x += p x
        pack_columns_b(low_.data(), columns, rows, columns, right_.data());
        multiply<Out::AddF32>(rows_a(gram_low_.data(), side), packed(right_.data(), rows), rows,
                              columns, side, x.data(), columns);
      }
    }
  }

 private:
  static constexpr int kSteps = 5;
  static constexpr float kA = 3.4445f, kB = -4.7750f, kC = 2.0315f;  // see optimizer.py

  static void scale_by(float* x, ptrdiff_t n, float factor) {
    for (ptrdiff_t i = 0; i < n; ++i) x[i] *= factor;
  }

  /// x^T x of a tall x, x x^T of a wide one: [side][side].
  void gram(ptrdiff_t rows, ptrdiff_t columns) {
    if (rows > columns) {
      pack_columns_a(low_.data(), columns, rows, columns, left_.data());
      pack_columns_b(low_.data(), columns, rows, columns, right_.data());
      multiply<Out::F32>(packed(left_.data(), rows), packed(right_.data(), rows), columns, columns,
                         rows, gram_.data(), columns);
    } else {
      pack_rows_b(low_.data(), columns, rows, columns, right_.data());
      multiply<Out::F32>(rows_a(low_.data(), columns), packed(right_.data(), columns), rows, rows,
                         columns, gram_.data(), rows);
    }
  }

  /// b gram + c gram^2.
  void polynomial(ptrdiff_t side) {
    const ptrdiff_t n = side * side;
    to_bf16(gram_.data(), n, gram_low_.data());
    pack_columns_b(gram_low_.data(), side, side, side, gram_tiles_.data());
    multiply<Out::F32>(rows_a(gram_low_.data(), side), packed(gram_tiles_.data(), side), side, side,
                       side, polynomial_.data(), side);
    for (ptrdiff_t i = 0; i < n; ++i)
      polynomial_.data()[i] = kB * gram_.data()[i] + kC * polynomial_.data()[i];
  }

  Buffer<Bf16> low_, left_, right_, gram_low_, gram_tiles_;
  Buffer<float> gram_, polynomial_;
};

inline void muon(const Matrix& m, const Arrays& a, const Rates& r, Orthogonal& o) {
  const ptrdiff_t n = m.rows * m.columns;
  float *w = a.weights + m.at, *momentum = a.first + m.at, *x = o.x.data();
  const float* g = a.gradients + m.at;
  for (ptrdiff_t i = 0; i < n; ++i) {
    const float slope = g[i] * r.scale;
    momentum[i] += (slope - momentum[i]) * (1 - r.momentum);
    x[i] = slope + (momentum[i] - slope) * r.momentum;  // Nesterov
  }
  o.run(m.rows, m.columns);
  const float factor = r.muon * std::sqrt(std::max(1.0f, float(m.rows) / float(m.columns)));
  const float keep = 1 - r.muon * r.decay;
  for (ptrdiff_t i = 0; i < n; ++i) w[i] = w[i] * keep - factor * x[i];
}

inline void adam(ptrdiff_t first, ptrdiff_t end, const Arrays& a, const Rates& r) {
  for (ptrdiff_t i = first; i < end; ++i) {
    const float g = a.gradients[i] * r.scale;
    a.first[i] += (g - a.first[i]) * (1 - r.beta1);
    a.second[i] = a.second[i] * r.beta2 + g * g * (1 - r.beta2);
    const float mean = a.first[i] / r.correction1, square = a.second[i] / r.correction2;
    a.weights[i] -= r.adam * mean / (std::sqrt(square) + r.eps);
  }
}

/// This lane's share of one step.
inline void optimize(const Shape& s, const Layout& layout, const Arrays& a, const Rates& r,
                     Orthogonal& o, int lane, int lanes) {
  const std::vector<Matrix> all = matrices(s, layout);
  for (size_t i = size_t(lane); i < all.size(); i += size_t(lanes)) muon(all[i], a, r, o);
  const ptrdiff_t embedding = ptrdiff_t(s.vocabulary) * s.width;
  adam(embedding * lane / lanes, embedding * (lane + 1) / lanes, a, r);
  if (lane != 0) return;
  for (const Layout::Layer& l : layout.layers)
    for (const ptrdiff_t at : {l.attn_norm, l.ffn_norm}) adam(at, at + s.width, a, r);
  adam(layout.last_norm, layout.last_norm + s.width, a, r);
}

}  // namespace pumice::train
