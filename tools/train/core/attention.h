// Causal attention over one document of a packed batch, forward and backward, on AMX tiles. Scores
// are kept turned over (keys down, queries across): the softmax then runs along vector lanes, and
// the probabilities come out in the order that the next product wants.
#pragma once

#include <cmath>
#include <cstring>

#include "buffer.h"
#include "tiles.h"

namespace pumice::train {

constexpr float kLog2E = 1.44269504f;

/// Widths of the rows [q heads | k heads | v heads] that attention reads.
struct HeadShape {
  ptrdiff_t heads, kv_heads, head, context;
  ptrdiff_t width() const { return heads * head; }
  ptrdiff_t kv_width() const { return kv_heads * head; }
  ptrdiff_t row() const { return width() + 2 * kv_width(); }
};

/// Scratch of one thread.
struct AttentionScratch {
  explicit AttentionScratch(const HeadShape& s)
      : scores(s.context * 32),
        slopes(s.context * 32),
        turned(s.head * 32),
        d_k(s.context * s.head),
        d_v(s.context * s.head),
        columns(s.context * s.head),
        pairs(s.context * 32),
        p_rows(s.context * 32),
        ds_rows(s.context * 32),
        q_rows(32 * s.head),
        q_pairs(32 * s.head),
        o_rows(32 * s.head),
        o_pairs(32 * s.head) {}
  Buffer<float> scores, slopes;  // [keys][32 queries]
  Buffer<float> turned;          // [head][32 queries]
  Buffer<float> d_k, d_v;        // [keys][head]
  Buffer<Bf16> columns;          // V or K turned over, A tiles
  Buffer<Bf16> pairs;            // probabilities or their slopes, B tiles
  Buffer<Bf16> p_rows, ds_rows;  // the same as rows of 32 queries, A tiles
  Buffer<Bf16> q_rows, q_pairs, o_rows, o_pairs;
};

/// Lanes of the 16 queries from `query` on that may see `key` and are inside the document.
inline __mmask16 visible(ptrdiff_t key, ptrdiff_t query, ptrdiff_t n) {
  const ptrdiff_t first = key - query, end = n - query;
  if (first >= 16 || end <= 0) return 0;
  __mmask16 mask = first <= 0 ? 0xffff : __mmask16(0xffff << first);
  if (end < 16) mask &= __mmask16((1 << end) - 1);
  return mask;
}

/// Turns [head][32 queries] f32 into rows of `to`, each lane times `factor` of its query.
inline void store_turned(const float* from, ptrdiff_t head, ptrdiff_t queries, const float* factor,
                         Bf16* to, ptrdiff_t ld) {
  for (ptrdiff_t half = 0; half < 2; ++half)
    for (ptrdiff_t d = 0; d < head; d += 16) {
      const __m512 f = _mm512_loadu_ps(factor + 16 * half);
      __m512i r[16];
      for (int i = 0; i < 16; ++i)
        r[i] = _mm512_castps_si512(_mm512_loadu_ps(from + (d + i) * 32 + 16 * half) * f);
      transpose(r);
      for (ptrdiff_t i = 0; i < 16 && 16 * half + i < queries; ++i)
        narrow(to + (16 * half + i) * ld + d, _mm512_castsi512_ps(r[i]));
    }
}

/// From scores [keys][32] to probabilities as B tiles, not yet divided by their sums. Gives the
/// sums' reciprocals in `inverse` and log2 of (sum * 2^max) in `level`, 32 each.
inline void softmax_columns(const float* scores, ptrdiff_t keys, ptrdiff_t query, ptrdiff_t n,
                            float scale, Bf16* pairs, float* inverse, float* level) {
  const __m512 c = _mm512_set1_ps(scale * kLog2E), lowest = _mm512_set1_ps(-1e30f);
  for (ptrdiff_t half = 0; half < 2; ++half) {
    const ptrdiff_t first = query + 16 * half;
    const float* s = scores + 16 * half;
    __m512 top = lowest;
    for (ptrdiff_t key = 0; key < keys; ++key)
      top = _mm512_mask_max_ps(top, visible(key, first, n), top, _mm512_loadu_ps(s + 32 * key));
    const __m512 shift = top * c;
    __m512 sum = _mm512_setzero_ps();
    Bf16* to = pairs + half * (keys / 32) * kTile;
    for (ptrdiff_t key = 0; key < keys; key += 2, to += 32) {
      __m512 p[2];
      for (int i = 0; i < 2; ++i)
        p[i] = _mm512_maskz_mov_ps(
            visible(key + i, first, n),
            exp2(_mm512_fmsub_ps(_mm512_loadu_ps(s + 32 * (key + i)), c, shift)));
      sum = sum + (p[0] + p[1]);
      _mm512_store_si512(to, pair_rows(p[0], p[1]));
    }
    alignas(64) float sums[16], shifts[16];
    _mm512_store_ps(sums, sum);
    _mm512_store_ps(shifts, shift);
    for (int i = 0; i < 16; ++i) {
      const bool inside = first + i < n;
      inverse[16 * half + i] = inside ? 1.0f / sums[i] : 0.0f;
      level[16 * half + i] = inside ? shifts[i] + std::log2(sums[i]) : 0.0f;
    }
  }
}

/// One document of n positions: qkv rows [n][row()], rotated; writes mixed [n][width()] and
/// level [heads][ld_level], which the backward pass needs.
inline void attention_forward(const HeadShape& s, AttentionScratch& t, const Bf16* qkv, Bf16* mixed,
                              float* level, ptrdiff_t ld_level, ptrdiff_t n) {
  const ptrdiff_t row = s.row(), blocks = (n + 31) / 32, group = s.heads / s.kv_heads;
  const float scale = 1.0f / std::sqrt(float(s.head));
  for (ptrdiff_t g = 0; g < s.kv_heads; ++g) {
    const Bf16* k = qkv + s.width() + g * s.head;
    pack_columns_a(k + s.kv_width(), row, blocks * 32, s.head, t.columns.data());
    const Tiles values = packed(t.columns.data(), blocks * 32);
    for (ptrdiff_t h = g * group; h < (g + 1) * group; ++h)
      for (ptrdiff_t b = 0; b < blocks; ++b) {
        const ptrdiff_t query = 32 * b, keys = query + 32;
        pack_rows_b(qkv + query * row + h * s.head, row, 32, s.head, t.q_rows.data());
        multiply<Out::F32>(rows_a(k, row), packed(t.q_rows.data(), s.head), keys, 32, s.head,
                           t.scores.data(), 32);
        alignas(64) float inverse[32], levels[32];
        softmax_columns(t.scores.data(), keys, query, n, scale, t.pairs.data(), inverse, levels);
        multiply<Out::F32>(values, packed(t.pairs.data(), keys), s.head, 32, keys, t.turned.data(),
                           32);
        const ptrdiff_t queries = n - query < 32 ? n - query : 32;
        store_turned(t.turned.data(), s.head, queries, inverse,
                     mixed + query * s.width() + h * s.head, s.width());
        std::memcpy(level + h * ld_level + query, levels, size_t(queries) * sizeof(float));
      }
  }
}

/// Slopes of the scores of one block of 32 queries, from scores and d_probability (both
/// [keys][32]): probabilities and slopes as A rows, slopes as B tiles. `level` and `dot` (rowsum of
/// d_out * out) have 32 values.
inline void slope_columns(AttentionScratch& t, ptrdiff_t keys, ptrdiff_t query, ptrdiff_t n,
                          float scale, const float* level, const float* dot) {
  const __m512 c = _mm512_set1_ps(scale * kLog2E), scales = _mm512_set1_ps(scale);
  for (ptrdiff_t key = 0; key < keys; key += 2) {
    __m512 p[2][2], ds[2][2];  // [row][half]
    for (int i = 0; i < 2; ++i)
      for (int half = 0; half < 2; ++half) {
        const ptrdiff_t at = 32 * (key + i) + 16 * half;
        const __m512 s = _mm512_loadu_ps(t.scores.data() + at);
        const __m512 e = exp2(_mm512_fmsub_ps(s, c, _mm512_loadu_ps(level + 16 * half)));
        p[i][half] = _mm512_maskz_mov_ps(visible(key + i, query + 16 * half, n), e);
        const __m512 d = _mm512_loadu_ps(t.slopes.data() + at) - _mm512_loadu_ps(dot + 16 * half);
        ds[i][half] = p[i][half] * d * scales;
      }
    for (int i = 0; i < 2; ++i) {
      _mm512_store_si512(t.p_rows.data() + 32 * (key + i), narrow2(p[i][0], p[i][1]));
      _mm512_store_si512(t.ds_rows.data() + 32 * (key + i), narrow2(ds[i][0], ds[i][1]));
    }
    for (int half = 0; half < 2; ++half)
      _mm512_store_si512(t.pairs.data() + half * (keys / 32) * kTile + 16 * key,
                         pair_rows(ds[0][half], ds[1][half]));
  }
}

/// dot[i] = sum over a head of d_out * out, for `queries` rows; 0 behind them.
inline void dots(const Bf16* out, const Bf16* d_out, ptrdiff_t ld, ptrdiff_t head,
                 ptrdiff_t queries, float* dot) {
  for (ptrdiff_t i = 0; i < 32; ++i) {
    __m512 sum = _mm512_setzero_ps();
    if (i < queries)
      for (ptrdiff_t d = 0; d < head; d += 16)
        sum = _mm512_fmadd_ps(widen(out + i * ld + d), widen(d_out + i * ld + d), sum);
    dot[i] = _mm512_reduce_add_ps(sum);
  }
}

/// Backward of attention_forward: d_mixed [n][width()] to d_qkv [n][row()] (still rotated).
inline void attention_backward(const HeadShape& s, AttentionScratch& t, const Bf16* qkv,
                               const Bf16* mixed, const float* level, ptrdiff_t ld_level,
                               const Bf16* d_mixed, Bf16* d_qkv, ptrdiff_t n) {
  const ptrdiff_t row = s.row(), width = s.width(), blocks = (n + 31) / 32;
  const ptrdiff_t group = s.heads / s.kv_heads;
  const float scale = 1.0f / std::sqrt(float(s.head));
  alignas(64) float ones[32];
  for (float& one : ones) one = 1.0f;
  for (ptrdiff_t g = 0; g < s.kv_heads; ++g) {
    const Bf16* k = qkv + width + g * s.head;
    const Bf16* v = k + s.kv_width();
    pack_columns_a(k, row, blocks * 32, s.head, t.columns.data());
    const Tiles keys_turned = packed(t.columns.data(), blocks * 32);
    std::memset(t.d_k.data(), 0, size_t(blocks * 32 * s.head) * sizeof(float));
    std::memset(t.d_v.data(), 0, size_t(blocks * 32 * s.head) * sizeof(float));
    for (ptrdiff_t h = g * group; h < (g + 1) * group; ++h)
      for (ptrdiff_t b = 0; b < blocks; ++b) {
        const ptrdiff_t query = 32 * b, keys = query + 32;
        const ptrdiff_t queries = n - query < 32 ? n - query : 32;
        const Bf16* q = qkv + query * row + h * s.head;
        const ptrdiff_t out = query * width + h * s.head;
        pack_rows_b(q, row, 32, s.head, t.q_rows.data());
        pack_columns_b(q, row, 32, s.head, t.q_pairs.data());
        pack_rows_b(d_mixed + out, width, 32, s.head, t.o_rows.data());
        pack_columns_b(d_mixed + out, width, 32, s.head, t.o_pairs.data());
        multiply<Out::F32>(rows_a(k, row), packed(t.q_rows.data(), s.head), keys, 32, s.head,
                           t.scores.data(), 32);
        multiply<Out::F32>(rows_a(v, row), packed(t.o_rows.data(), s.head), keys, 32, s.head,
                           t.slopes.data(), 32);
        alignas(64) float dot[32], levels[32] = {};
        dots(mixed + out, d_mixed + out, width, s.head, queries, dot);
        std::memcpy(levels, level + h * ld_level + query, size_t(queries) * sizeof(float));
        slope_columns(t, keys, query, n, scale, levels, dot);
        multiply<Out::AddF32>(rows_a(t.p_rows.data(), 32), packed(t.o_pairs.data(), 32), keys,
                              s.head, 32, t.d_v.data(), s.head);
        multiply<Out::AddF32>(rows_a(t.ds_rows.data(), 32), packed(t.q_pairs.data(), 32), keys,
                              s.head, 32, t.d_k.data(), s.head);
        multiply<Out::F32>(keys_turned, packed(t.pairs.data(), keys), s.head, 32, keys,
                           t.turned.data(), 32);
        store_turned(t.turned.data(), s.head, queries, ones, d_qkv + query * row + h * s.head, row);
      }
    Bf16* to = d_qkv + width + g * s.head;
    for (ptrdiff_t i = 0; i < n; ++i)
      for (ptrdiff_t d = 0; d < s.head; d += 16) {
        narrow(to + i * row + d, _mm512_loadu_ps(t.d_k.data() + i * s.head + d));
        narrow(to + i * row + s.kv_width() + d, _mm512_loadu_ps(t.d_v.data() + i * s.head + d));
      }
  }
}

}  // namespace pumice::train
