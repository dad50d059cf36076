// Matrix products on AMX tiles (bf16 in, f32 out), and the packings that feed them. A tile is 1
// KiB: 16 rows of 64 bytes. An A tile holds 16 rows x 32 k; a B tile 16 pairs of k x 16 columns,
// the two values of a pair side by side. Every size here is a multiple of 32.
#pragma once

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

namespace pumice::train {

using Bf16 = uint16_t;
constexpr ptrdiff_t kTile = 512;  // bf16 values in a tile

/// Where the tiles of an operand lie, in values: `block` between neighbours along m (A) or n (B),
/// `step` along k; `stride` in bytes between the rows of one tile.
struct Tiles {
  const Bf16* at;
  ptrdiff_t block, step;
  size_t stride;
};

/// Row-major [rows][ld] as an A operand.
inline Tiles rows_a(const Bf16* at, ptrdiff_t ld) {
  return {at, 16 * ld, 32, size_t(ld) * sizeof(Bf16)};
}

/// Tiles that a pack_ function wrote with `k` values of k.
inline Tiles packed(const Bf16* at, ptrdiff_t k) {
  return {at, k / 32 * kTile, kTile, 64};
}

/// Once per thread, before any product.
inline void configure_tiles() {
  struct alignas(64) {
    uint8_t palette = 1, start_row = 0, reserved[14] = {};
    uint16_t bytes[16] = {};
    uint8_t rows[16] = {};
  } config;
  for (int i = 0; i < 8; ++i) config.bytes[i] = 64, config.rows[i] = 16;
  _tile_loadconfig(&config);
}

inline __m512 widen(const Bf16* at) {
  const __m512i wide = _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i*)at));
  return _mm512_castsi512_ps(_mm512_slli_epi32(wide, 16));
}

inline __m512i narrow2(__m512 low, __m512 high) {
  return (__m512i)_mm512_cvtne2ps_pbh(high, low);
}

inline void narrow(Bf16* to, __m512 v) {
  _mm256_storeu_si256((__m256i*)to, (__m256i)_mm512_cvtneps_pbh(v));
}

enum class Out { F32, AddF32, AsBf16 };

/// Sums of 2 x 2 tiles over k, left in tiles 0 to 3.
inline void multiply_block(const Tiles& a, const Tiles& b, ptrdiff_t i, ptrdiff_t j, ptrdiff_t k) {
  const Bf16 *a0 = a.at + i * a.block, *a1 = a0 + a.block;
  const Bf16 *b0 = b.at + j * b.block, *b1 = b0 + b.block;
  for (ptrdiff_t s = 0; s < k / 32; ++s) {
    _tile_loadd(6, b0 + s * b.step, 64);
    _tile_loadd(4, a0 + s * a.step, a.stride);
    _tile_loadd(7, b1 + s * b.step, 64);
    _tile_dpbf16ps(0, 4, 6);
    _tile_loadd(5, a1 + s * a.step, a.stride);
    _tile_dpbf16ps(1, 4, 7);
    _tile_dpbf16ps(2, 5, 6);
    _tile_dpbf16ps(3, 5, 7);
  }
}

/// C [m][ldc] = A B, or += it; C is float or, for AsBf16, Bf16.
template <Out out, class C>
void multiply(const Tiles& a, const Tiles& b, ptrdiff_t m, ptrdiff_t n, ptrdiff_t k, C* c,
              ptrdiff_t ldc) {
  const size_t bytes = size_t(ldc) * sizeof(float);
  for (ptrdiff_t j = 0; j < n / 32; ++j) {
    for (ptrdiff_t i = 0; i < m / 32; ++i) {
      C* at = c + i * 32 * ldc + j * 32;
      if constexpr (out == Out::AddF32) {
        _tile_loadd(0, at, bytes);
        _tile_loadd(1, at + 16, bytes);
        _tile_loadd(2, at + 16 * ldc, bytes);
        _tile_loadd(3, at + 16 * ldc + 16, bytes);
      } else {
        _tile_zero(0);
        _tile_zero(1);
        _tile_zero(2);
        _tile_zero(3);
      }
      multiply_block(a, b, 2 * i, 2 * j, k);
      if constexpr (out == Out::AsBf16) {
        alignas(64) float sums[32 * 32];
        _tile_stored(0, sums, 128);
        _tile_stored(1, sums + 16, 128);
        _tile_stored(2, sums + 512, 128);
        _tile_stored(3, sums + 528, 128);
        for (int r = 0; r < 32; ++r)
          _mm512_storeu_si512(at + r * ldc, narrow2(_mm512_load_ps(sums + 32 * r),
                                                    _mm512_load_ps(sums + 32 * r + 16)));
      } else {
        _tile_stored(0, at, bytes);
        _tile_stored(1, at + 16, bytes);
        _tile_stored(2, at + 16 * ldc, bytes);
        _tile_stored(3, at + 16 * ldc + 16, bytes);
      }
    }
  }
}

/// A 16 x 16 matrix of 32-bit words, rows in registers, turned over its diagonal.
inline void transpose(__m512i (&r)[16]) {
  __m512i t[16];
  for (int i = 0; i < 16; i += 2) {
    t[i] = _mm512_unpacklo_epi32(r[i], r[i + 1]);
    t[i + 1] = _mm512_unpackhi_epi32(r[i], r[i + 1]);
  }
  for (int i = 0; i < 16; i += 4) {
    r[i] = _mm512_unpacklo_epi64(t[i], t[i + 2]);
    r[i + 1] = _mm512_unpackhi_epi64(t[i], t[i + 2]);
    r[i + 2] = _mm512_unpacklo_epi64(t[i + 1], t[i + 3]);
    r[i + 3] = _mm512_unpackhi_epi64(t[i + 1], t[i + 3]);
  }
  for (int i = 0; i < 4; ++i) {
    t[i] = _mm512_shuffle_i32x4(r[i], r[i + 4], 0x88);
    t[i + 4] = _mm512_shuffle_i32x4(r[i], r[i + 4], 0xdd);
    t[i + 8] = _mm512_shuffle_i32x4(r[i + 8], r[i + 12], 0x88);
    t[i + 12] = _mm512_shuffle_i32x4(r[i + 8], r[i + 12], 0xdd);
  }
  for (int i = 0; i < 4; ++i) {
    r[i] = _mm512_shuffle_i32x4(t[i], t[i + 8], 0x88);
    r[i + 8] = _mm512_shuffle_i32x4(t[i], t[i + 8], 0xdd);
    r[i + 4] = _mm512_shuffle_i32x4(t[i + 4], t[i + 12], 0x88);
    r[i + 12] = _mm512_shuffle_i32x4(t[i + 4], t[i + 12], 0xdd);
  }
}

inline __m512i pair_low(__m512i a, __m512i b) {
  alignas(64) static constexpr uint16_t index[32] = {0,  32, 1,  33, 2,  34, 3,  35, 4,  36, 5,
                                                     37, 6,  38, 7,  39, 8,  40, 9,  41, 10, 42,
                                                     11, 43, 12, 44, 13, 45, 14, 46, 15, 47};
  return _mm512_permutex2var_epi16(a, _mm512_load_si512(index), b);
}

inline __m512i pair_high(__m512i a, __m512i b) {
  alignas(64) static constexpr uint16_t index[32] = {16, 48, 17, 49, 18, 50, 19, 51, 20, 52, 21,
                                                     53, 22, 54, 23, 55, 24, 56, 25, 57, 26, 58,
                                                     27, 59, 28, 60, 29, 61, 30, 62, 31, 63};
  return _mm512_permutex2var_epi16(a, _mm512_load_si512(index), b);
}

/// 32 values of a row, from bf16 or f32.
inline __m512i load32(const Bf16* at) {
  return _mm512_loadu_si512(at);
}
inline __m512i load32(const float* at) {
  return narrow2(_mm512_loadu_ps(at), _mm512_loadu_ps(at + 16));
}

/// B operand with k along the rows' length: source row-major [n][ld], k values used of each row.
template <class T>
void pack_rows_b(const T* from, ptrdiff_t ld, ptrdiff_t n, ptrdiff_t k, Bf16* to) {
  for (ptrdiff_t j = 0; j < n / 16; ++j)
    for (ptrdiff_t s = 0; s < k / 32; ++s, to += kTile) {
      __m512i r[16];
      for (int i = 0; i < 16; ++i) r[i] = load32(from + (16 * j + i) * ld + 32 * s);
      transpose(r);
      for (int i = 0; i < 16; ++i) _mm512_store_si512(to + 32 * i, r[i]);
    }
}

/// B operand with k from row to row: source row-major [k][ld], n columns used.
template <class T>
void pack_columns_b(const T* from, ptrdiff_t ld, ptrdiff_t k, ptrdiff_t n, Bf16* to) {
  for (ptrdiff_t s = 0; s < k / 32; ++s)
    for (ptrdiff_t j = 0; j < n / 32; ++j) {
      Bf16* first = to + (2 * j * (k / 32) + s) * kTile;
      Bf16* second = first + k / 32 * kTile;
      for (int p = 0; p < 16; ++p) {
        const T* row = from + (32 * s + 2 * p) * ld + 32 * j;
        const __m512i a = load32(row), b = load32(row + ld);
        _mm512_store_si512(first + 32 * p, pair_low(a, b));
        _mm512_store_si512(second + 32 * p, pair_high(a, b));
      }
    }
}

/// A operand that is the source turned over: source row-major [k][ld], its n columns become rows.
template <class T>
void pack_columns_a(const T* from, ptrdiff_t ld, ptrdiff_t k, ptrdiff_t n, Bf16* to) {
  for (ptrdiff_t s = 0; s < k / 32; ++s)
    for (ptrdiff_t j = 0; j < n / 32; ++j) {
      Bf16* first = to + (2 * j * (k / 32) + s) * kTile;
      Bf16* second = first + k / 32 * kTile;
      __m512i low[16], high[16];
      for (int p = 0; p < 16; ++p) {
        const T* row = from + (32 * s + 2 * p) * ld + 32 * j;
        const __m512i a = load32(row), b = load32(row + ld);
        low[p] = pair_low(a, b), high[p] = pair_high(a, b);
      }
      transpose(low), transpose(high);
      for (int p = 0; p < 16; ++p) {
        _mm512_store_si512(first + 32 * p, low[p]);
        _mm512_store_si512(second + 32 * p, high[p]);
      }
    }
}

/// Two rows of 16 f32 as one row of a B tile: pairs (first, second).
inline __m512i pair_rows(__m512 first, __m512 second) {
  alignas(64) static constexpr uint16_t index[32] = {0,  16, 1,  17, 2,  18, 3,  19, 4,  20, 5,
                                                     21, 6,  22, 7,  23, 8,  24, 9,  25, 10, 26,
                                                     11, 27, 12, 28, 13, 29, 14, 30, 15, 31};
  return _mm512_permutexvar_epi16(_mm512_load_si512(index), narrow2(first, second));
}

/// 2^x, to about 1e-7; x below -126 gives 2^-126.
inline __m512 exp2(__m512 x) {
  x = _mm512_max_ps(x, _mm512_set1_ps(-126.0f));
  const __m512 whole = _mm512_roundscale_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  const __m512 f = _mm512_sub_ps(x, whole);
  __m512 sum = _mm512_set1_ps(1.5403530e-4f);
  for (const float c :
       {1.3333558e-3f, 9.6181291e-3f, 5.5504109e-2f, 2.4022651e-1f, 6.9314718e-1f, 1.0f})
    sum = _mm512_fmadd_ps(sum, f, _mm512_set1_ps(c));
  return _mm512_scalef_ps(sum, whole);
}

}  // namespace pumice::train
