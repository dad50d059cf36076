// What is not a matrix product: norms, rotary angles, the gated activation, the loss of a row.
#pragma once

#include <cmath>

#include "tiles.h"

namespace pumice::train {

/// normed[i] = x * factor * w with factor = 1 / sqrt(mean(x^2) + eps), kept for the way back.
inline void norm_forward(const float* x, const float* w, ptrdiff_t rows, ptrdiff_t d, float eps,
                         float* factor, Bf16* normed) {
  for (ptrdiff_t r = 0; r < rows; ++r, x += d, normed += d) {
    __m512 sum = _mm512_setzero_ps();
    for (ptrdiff_t i = 0; i < d; i += 16) {
      const __m512 v = _mm512_loadu_ps(x + i);
      sum = _mm512_fmadd_ps(v, v, sum);
    }
    factor[r] = 1.0f / std::sqrt(_mm512_reduce_add_ps(sum) / float(d) + eps);
    const __m512 f = _mm512_set1_ps(factor[r]);
    for (ptrdiff_t i = 0; i < d; i += 16)
      narrow(normed + i, _mm512_loadu_ps(x + i) * f * _mm512_loadu_ps(w + i));
  }
}

/// The same from a kept factor.
inline void norm_again(const float* x, const float* w, ptrdiff_t rows, ptrdiff_t d,
                       const float* factor, Bf16* normed) {
  for (ptrdiff_t r = 0; r < rows; ++r, x += d, normed += d)
    for (ptrdiff_t i = 0; i < d; i += 16)
      narrow(normed + i,
             _mm512_loadu_ps(x + i) * _mm512_set1_ps(factor[r]) * _mm512_loadu_ps(w + i));
}

/// d_x += the norm's share of d_normed; d_w += its own.
inline void norm_backward(const float* x, const float* w, const float* factor,
                          const float* d_normed, ptrdiff_t rows, ptrdiff_t d, float* d_x,
                          float* d_w) {
  for (ptrdiff_t r = 0; r < rows; ++r, x += d, d_normed += d, d_x += d) {
    const __m512 f = _mm512_set1_ps(factor[r]);
    __m512 sum = _mm512_setzero_ps();
    for (ptrdiff_t i = 0; i < d; i += 16) {
      const __m512 dx = _mm512_loadu_ps(d_normed + i) * _mm512_loadu_ps(x + i);
      sum = _mm512_fmadd_ps(dx, _mm512_loadu_ps(w + i), sum);
      _mm512_storeu_ps(d_w + i, _mm512_fmadd_ps(dx, f, _mm512_loadu_ps(d_w + i)));
    }
    const float cubed = factor[r] * factor[r] * factor[r];
    const __m512 back = _mm512_set1_ps(cubed * _mm512_reduce_add_ps(sum) / float(d));
    for (ptrdiff_t i = 0; i < d; i += 16) {
      const __m512 g = _mm512_loadu_ps(d_normed + i) * _mm512_loadu_ps(w + i);
      const __m512 change = _mm512_fmsub_ps(g, f, _mm512_loadu_ps(x + i) * back);
      _mm512_storeu_ps(d_x + i, _mm512_loadu_ps(d_x + i) + change);
    }
  }
}

/// Turns neighbouring pairs of the first `count` values of each row by the angle of its position.
/// Tables: [context][head], cos twice per pair, and sin with a minus for the first of a pair.
/// `direction` is +1, or -1 for the way back.
inline void rotate(Bf16* rows, ptrdiff_t ld, ptrdiff_t n, ptrdiff_t count, ptrdiff_t head,
                   const float* cos, const float* sin, const int32_t* positions, float direction) {
  const __m512 sign = _mm512_set1_ps(direction);
  for (ptrdiff_t r = 0; r < n; ++r, rows += ld) {
    const float *c = cos + positions[r] * head, *s = sin + positions[r] * head;
    for (ptrdiff_t h = 0; h < count; h += head)
      for (ptrdiff_t i = 0; i < head; i += 16) {
        const __m512 x = widen(rows + h + i), other = _mm512_permute_ps(x, 0xb1);
        const __m512 side = other * sign * _mm512_loadu_ps(s + i);
        narrow(rows + h + i, _mm512_fmadd_ps(x, _mm512_loadu_ps(c + i), side));
      }
  }
}

/// 1 / (1 + e^-x), the reciprocal by an estimate and one Newton step (about 2^-23).
inline __m512 sigmoid(__m512 x) {
  const __m512 power = _mm512_min_ps(x * _mm512_set1_ps(-1.44269504f), _mm512_set1_ps(126.0f));
  const __m512 d = _mm512_set1_ps(1.0f) + exp2(power), r = _mm512_rcp14_ps(d);
  return r * _mm512_fnmadd_ps(d, r, _mm512_set1_ps(2.0f));
}

/// rows of [gate | up], each ff wide -> silu(gate) * up.
inline void gate_forward(const Bf16* gate_up, ptrdiff_t rows, ptrdiff_t ff, Bf16* out) {
  for (ptrdiff_t r = 0; r < rows; ++r, gate_up += 2 * ff, out += ff)
    for (ptrdiff_t i = 0; i < ff; i += 16) {
      const __m512 g = widen(gate_up + i);
      narrow(out + i, g * sigmoid(g) * widen(gate_up + ff + i));
    }
}

/// From d_out: `out` again, and gate_up overwritten by its own slopes.
inline void gate_backward(Bf16* gate_up, const Bf16* d_out, ptrdiff_t rows, ptrdiff_t ff,
                          Bf16* out) {
  const __m512 one = _mm512_set1_ps(1.0f);
  for (ptrdiff_t r = 0; r < rows; ++r, gate_up += 2 * ff, d_out += ff, out += ff)
    for (ptrdiff_t i = 0; i < ff; i += 16) {
      const __m512 g = widen(gate_up + i), u = widen(gate_up + ff + i), d = widen(d_out + i);
      const __m512 s = sigmoid(g), silu = g * s;
      narrow(out + i, silu * u);
      narrow(gate_up + ff + i, d * silu);
      narrow(gate_up + i, d * u * (s + silu * (one - s)));
    }
}

inline void to_bf16(const float* from, ptrdiff_t count, Bf16* to) {
  for (ptrdiff_t i = 0; i < count; i += 32) _mm512_storeu_si512(to + i, load32(from + i));
}

/// Cross-entropy of one row of logits; `slope` becomes probability - [i == right].
inline float loss_row(const float* logits, ptrdiff_t n, int32_t right, Bf16* slope,
                      float* scratch) {
  __m512 top = _mm512_set1_ps(-1e30f);
  for (ptrdiff_t i = 0; i < n; i += 16) top = _mm512_max_ps(top, _mm512_loadu_ps(logits + i));
  const float highest = _mm512_reduce_max_ps(top);
  const __m512 c = _mm512_set1_ps(1.44269504f), shift = _mm512_set1_ps(highest * 1.44269504f);
  __m512 sum = _mm512_setzero_ps();
  for (ptrdiff_t i = 0; i < n; i += 16) {
    const __m512 e = exp2(_mm512_fmsub_ps(_mm512_loadu_ps(logits + i), c, shift));
    _mm512_storeu_ps(scratch + i, e);
    sum = sum + e;
  }
  const float total = _mm512_reduce_add_ps(sum);
  if (slope) {
    const __m512 inverse = _mm512_set1_ps(1.0f / total);
    for (ptrdiff_t i = 0; i < n; i += 16)
      _mm512_storeu_ps(scratch + i, _mm512_loadu_ps(scratch + i) * inverse);
    scratch[right] -= 1.0f;
    to_bf16(scratch, n, slope);
  }
  return std::log(total) + highest - logits[right];
}

}  // namespace pumice::train
