// Owns one decode function per quant type, spelt out element by element, and the table that finds
// them. Bit layouts: see each function; i is the weight's index in its block.
#include "loader/codec.h"

#include <array>
#include <bit>
#include <cassert>
#include <cmath>
#include <cstring>
#include <span>

#include "engine/base/half.h"

namespace pumice {
namespace {

using Byte = unsigned char;

uint16_t u16_at(const Byte* block, size_t offset) {
  return uint16_t(block[offset] | block[offset + 1] << 8);
}

uint32_t u32_at(const Byte* block, size_t offset) {
  return u16_at(block, offset) | uint32_t(u16_at(block, offset + 2)) << 16;
}

float half_at(const Byte* block, size_t offset) {
  return half_to_float(u16_at(block, offset));
}

int nibble(Byte byte, uint32_t high) {
  return high ? byte >> 4 : byte & 15;
}

/// Blocks of 32: byte i holds weight i in its low and weight i + 16 in its high nibble.
int nibble_of_32(const Byte* quants, uint32_t i) {
  return nibble(quants[i % 16], i / 16);
}

/// d f16 @0, 16 bytes of nibbles @2: d * (q - 8).
void decode_q4_0(const Byte* block, float* out) {
  const float d = half_at(block, 0);
  for (uint32_t i = 0; i < 32; ++i) out[i] = d * float(nibble_of_32(block + 2, i) - 8);
}

/// d f16 @0, m f16 @2, nibbles @4: d * q + m.
void decode_q4_1(const Byte* block, float* out) {
  const float d = half_at(block, 0), m = half_at(block, 2);
  for (uint32_t i = 0; i < 32; ++i) out[i] = d * float(nibble_of_32(block + 4, i)) + m;
}

/// d f16 @0, fifth bits u32 @2, nibbles @6: d * (q - 16).
void decode_q5_0(const Byte* block, float* out) {
  const float d = half_at(block, 0);
  const uint32_t high = u32_at(block, 2);
  for (uint32_t i = 0; i < 32; ++i) {
    const int q = nibble_of_32(block + 6, i) | int(high >> i & 1) << 4;
    out[i] = d * float(q - 16);
  }
}

/// d f16 @0, m f16 @2, fifth bits u32 @4, nibbles @8: d * q + m.
void decode_q5_1(const Byte* block, float* out) {
  const float d = half_at(block, 0), m = half_at(block, 2);
  const uint32_t high = u32_at(block, 4);
  for (uint32_t i = 0; i < 32; ++i) {
    const int q = nibble_of_32(block + 8, i) | int(high >> i & 1) << 4;
    out[i] = d * float(q) + m;
  }
}

/// d f16 @0, int8 @2: d * q.
void decode_q8_0(const Byte* block, float* out) {
  const float d = half_at(block, 0);
  for (uint32_t i = 0; i < 32; ++i) out[i] = d * float(int8_t(block[2 + i]));
}

// The 256-weight types: half n = i / 128, plane k = i % 128 / 32, column l = i % 32. Two-bit fields
// of plane k are bits 2k and 2k+1 of byte 32n + l; groups of 16 weights are numbered 8n + 2k +
// l/16.

/// scales 16 x (scale low nibble, min high nibble) @0, two-bit q @16, d f16 @80, dmin f16 @82:
/// d * scale * q - dmin * min.
void decode_q2_k(const Byte* block, float* out) {
  const float d = half_at(block, 80), dmin = half_at(block, 82);
  for (uint32_t i = 0; i < 256; ++i) {
    const uint32_t n = i / 128, k = i % 128 / 32, l = i % 32;
    const int q = block[16 + 32 * n + l] >> 2 * k & 3;
    const Byte group = block[8 * n + 2 * k + l / 16];
    out[i] = d * float(group & 15) * float(q) - dmin * float(group >> 4);
  }
}

/// Third bits @0 (clear means minus 4), two-bit q @32, sixteen 6-bit scales @96, d f16 @108:
/// d * (scale - 32) * q. Scale j: low four bits in nibble j of bytes 0..7, high two in bytes 8..11.
void decode_q3_k(const Byte* block, float* out) {
  const float d = half_at(block, 108);
  const Byte* scales = block + 96;
  for (uint32_t i = 0; i < 256; ++i) {
    const uint32_t n = i / 128, k = i % 128 / 32, l = i % 32, j = 8 * n + 2 * k + l / 16;
    const bool third = block[l] >> (4 * n + k) & 1;
    const int q = (block[32 + 32 * n + l] >> 2 * k & 3) - (third ? 0 : 4);
    const int low = nibble(scales[j % 8], j / 8);
    const int high = scales[8 + j % 4] >> 2 * (j / 4) & 3;
    out[i] = d * float((low | high << 4) - 32) * float(q);
  }
}

struct ScaleMin {
  int scale, min;
};

/// Pair j of the eight 6-bit (scale, min) pairs in the 12 bytes that Q4_K and Q5_K share.
ScaleMin scale_min(const Byte* s, uint32_t j) {
  if (j < 4) return {s[j] & 63, s[j + 4] & 63};
  return {(s[j + 4] & 15) | (s[j - 4] >> 6) << 4, (s[j + 4] >> 4) | (s[j] >> 6) << 4};
}

/// d f16 @0, dmin f16 @2, pairs @4, nibbles @16 (32 bytes hold groups 2p low and 2p+1 high):
/// d * scale * q - dmin * min.
void decode_q4_k(const Byte* block, float* out) {
  const float d = half_at(block, 0), dmin = half_at(block, 2);
  for (uint32_t i = 0; i < 256; ++i) {
    const uint32_t j = i / 32;
    const ScaleMin pair = scale_min(block + 4, j);
    const int q = nibble(block[16 + 32 * (j / 2) + i % 32], j % 2);
    out[i] = d * float(pair.scale) * float(q) - dmin * float(pair.min);
  }
}

/// As Q4_K, with the fifth bit of group j in bit j of byte i % 32 @16, nibbles @48.
void decode_q5_k(const Byte* block, float* out) {
  const float d = half_at(block, 0), dmin = half_at(block, 2);
  for (uint32_t i = 0; i < 256; ++i) {
    const uint32_t j = i / 32;
    const ScaleMin pair = scale_min(block + 4, j);
    const int low = nibble(block[48 + 32 * (j / 2) + i % 32], j % 2);
    const int high = block[16 + i % 32] >> j & 1;
    out[i] = d * float(pair.scale) * float(low | high << 4) - dmin * float(pair.min);
  }
}

/// Low nibbles @0, high two bits @128, sixteen int8 scales @192, d f16 @208: d * scale * (q - 32).
void decode_q6_k(const Byte* block, float* out) {
  const float d = half_at(block, 208);
  for (uint32_t i = 0; i < 256; ++i) {
    const uint32_t n = i / 128, k = i % 128 / 32, l = i % 32;
    const int low = nibble(block[64 * n + 32 * (k & 1) + l], k >> 1);
    const int high = block[128 + 32 * n + l] >> 2 * k & 3;
    const int scale = int8_t(block[192 + 8 * n + 2 * k + l / 16]);
    out[i] = d * float(scale) * float((low | high << 4) - 32);
  }
}

/// The sixteen levels of the IQ4 types, denser around zero.
constexpr std::array<int8_t, 16> kIq4Levels = {-127, -104, -83, -65, -49, -35, -22, -10,
                                               1,    13,   25,  38,  53,  69,  89,  113};

/// d f16 @0, nibbles @2: d * level[q].
void decode_iq4_nl(const Byte* block, float* out) {
  const float d = half_at(block, 0);
  for (uint32_t i = 0; i < 32; ++i)
    out[i] = d * float(kIq4Levels[size_t(nibble_of_32(block + 2, i))]);
}

/// d f16 @0, high scale bits u16 @2, low scale nibbles @4, eight groups of 16 bytes of nibbles @8:
/// d * (scale - 32) * level[q].
void decode_iq4_xs(const Byte* block, float* out) {
  const float d = half_at(block, 0);
  for (uint32_t group = 0; group < 8; ++group) {
    const int low = nibble(block[4 + group / 2], group % 2);
    const int high = u16_at(block, 2) >> 2 * group & 3;
    const float scale = d * float((low | high << 4) - 32);
    for (uint32_t i = 0; i < 32; ++i) {
      const int q = nibble_of_32(block + 8 + 16 * group, i);
      out[32 * group + i] = scale * float(kIq4Levels[size_t(q)]);
    }
  }
}

/// Twice the sixteen values of a 4-bit float with one mantissa bit (E2M1).
constexpr std::array<int8_t, 16> kE2m1Doubled = {0, 1,  2,  3,  4,  6,  8,  12,
                                                 0, -1, -2, -3, -4, -6, -8, -12};

/// Exponent u8 @0 (E8M0, bias 127), nibbles @1: E2M1(q) * 2^(exponent - 127).
void decode_mxfp4(const Byte* block, float* out) {
  for (uint32_t i = 0; i < 32; ++i) {
    const int doubled = kE2m1Doubled[size_t(nibble_of_32(block + 1, i))];
    out[i] = std::ldexp(float(doubled), block[0] - 128);
  }
}

/// d f16 @0, one sign bit per weight @2: +d or -d.
void decode_q1_0(const Byte* block, float* out) {
  const float d = half_at(block, 0);
  for (uint32_t i = 0; i < 128; ++i) out[i] = block[2 + i / 8] >> i % 8 & 1 ? d : -d;
}

/// d f16 @0, two bits per weight in order @2: d * (q - 1).
void decode_q2_0(const Byte* block, float* out) {
  const float d = half_at(block, 0);
  for (uint32_t i = 0; i < 64; ++i) out[i] = d * float((block[2 + i / 4] >> 2 * (i % 4) & 3) - 1);
}

/// Digit n of a byte that holds five base-3 digits as a fraction: byte = ceil(v * 256 / 243).
int trit(Byte byte, uint32_t n) {
  constexpr uint32_t kPower[] = {1, 3, 9, 27, 81};
  return int((byte * kPower[n] & 0xFF) * 3 >> 8);
}

/// Trits in three runs, digit-major: 5 x 32 @0, 5 x 16 @32, 4 x 4 @48; d f16 @52: d * (t - 1).
void decode_tq1_0(const Byte* block, float* out) {
  struct Run {
    uint32_t offset, bytes, digits;
  };
  constexpr Run kRuns[] = {{0, 32, 5}, {32, 16, 5}, {48, 4, 4}};
  const float d = half_at(block, 52);
  for (const Run& run : kRuns)
    for (uint32_t n = 0; n < run.digits; ++n)
      for (uint32_t l = 0; l < run.bytes; ++l)
        *out++ = d * float(trit(block[run.offset + l], n) - 1);
}

/// Two-bit q in the 256-weight order @0, d f16 @64: d * (q - 1).
void decode_tq2_0(const Byte* block, float* out) {
  const float d = half_at(block, 64);
  for (uint32_t i = 0; i < 256; ++i) {
    const uint32_t n = i / 128, k = i % 128 / 32, l = i % 32;
    out[i] = d * float((block[32 * n + l] >> 2 * k & 3) - 1);
  }
}

/// How a type's scale fields can fail to be finite numbers.
enum class ScaleKind { F32, Bf16, Halves, Exponent };

// Types without blocks, sixteen weights at a time.

/// half_to_float without branches or choices, only masks: what compilers make vectors of.
inline float half_by_masks(uint16_t h) {
  constexpr uint32_t kRebias = 112u << 23, kExponent = 0x0F800000u;
  constexpr uint32_t kSmallest = 113u << 23;  // 2^-14, the smallest normal half
  const uint32_t magnitude = uint32_t(h & 0x7FFFu) << 13;
  const uint32_t exponent = magnitude & kExponent;
  const uint32_t special = 0u - uint32_t(exponent == kExponent);  // infinity and NaN
  const uint32_t small = 0u - uint32_t(exponent == 0);            // zero and subnormals
  const uint32_t lifted = magnitude + kRebias + (small & (1u << 23));
  const float value = std::bit_cast<float>(lifted) - std::bit_cast<float>(small & kSmallest);
  const uint32_t bits = std::bit_cast<uint32_t>(value) + (special & kRebias);
  return std::bit_cast<float>(bits | uint32_t(h & 0x8000u) << 16);
}

template <auto decode>
void decode_halves(const Byte* from, uint64_t n, float* out) {
  constexpr uint64_t kTogether = 16;
  uint16_t some[kTogether];
  for (; n >= kTogether; n -= kTogether, from += 2 * kTogether, out += kTogether) {
    std::memcpy(some, from, sizeof some);
    for (uint64_t i = 0; i < kTogether; ++i) out[i] = decode(some[i]);
  }
  for (uint64_t i = 0; i < n; ++i) out[i] = decode(u16_at(from, 2 * i));
}

void decode_f32s(const Byte* from, uint64_t n, float* out) {
  std::memcpy(out, from, n * sizeof(float));
}
void decode_f16s(const Byte* from, uint64_t n, float* out) {
  decode_halves<half_by_masks>(from, n, out);
}
void decode_bf16s(const Byte* from, uint64_t n, float* out) {
  decode_halves<bfloat_to_float>(from, n, out);
}

struct Codec {
  QuantType type;
  void (*decode)(const Byte* block, float* out);  ///< null where decode_many is set
  ScaleKind scales;
  uint32_t n_halves;           ///< Halves: how many f16 fields a block has,
  uint32_t first_half_offset;  ///< and where they start, one after another
  void (*decode_many)(const Byte* from, uint64_t n,
                      float* out) = nullptr;  ///< blocks of one weight
};

constexpr Codec kCodecs[] = {
    {QuantType::F32, nullptr, ScaleKind::F32, 0, 0, decode_f32s},
    {QuantType::F16, nullptr, ScaleKind::Halves, 1, 0, decode_f16s},
    {QuantType::BF16, nullptr, ScaleKind::Bf16, 0, 0, decode_bf16s},
    {QuantType::Q4_0, decode_q4_0, ScaleKind::Halves, 1, 0},
    {QuantType::Q4_1, decode_q4_1, ScaleKind::Halves, 2, 0},
    {QuantType::Q5_0, decode_q5_0, ScaleKind::Halves, 1, 0},
    {QuantType::Q5_1, decode_q5_1, ScaleKind::Halves, 2, 0},
    {QuantType::Q8_0, decode_q8_0, ScaleKind::Halves, 1, 0},
    {QuantType::Q2_K, decode_q2_k, ScaleKind::Halves, 2, 80},
    {QuantType::Q3_K, decode_q3_k, ScaleKind::Halves, 1, 108},
    {QuantType::Q4_K, decode_q4_k, ScaleKind::Halves, 2, 0},
    {QuantType::Q5_K, decode_q5_k, ScaleKind::Halves, 2, 0},
    {QuantType::Q6_K, decode_q6_k, ScaleKind::Halves, 1, 208},
    {QuantType::IQ4_NL, decode_iq4_nl, ScaleKind::Halves, 1, 0},
    {QuantType::IQ4_XS, decode_iq4_xs, ScaleKind::Halves, 1, 0},
    {QuantType::MXFP4, decode_mxfp4, ScaleKind::Exponent, 0, 0},
    {QuantType::Q1_0, decode_q1_0, ScaleKind::Halves, 1, 0},
    {QuantType::Q2_0, decode_q2_0, ScaleKind::Halves, 1, 0},
    {QuantType::TQ1_0, decode_tq1_0, ScaleKind::Halves, 1, 52},
    {QuantType::TQ2_0, decode_tq2_0, ScaleKind::Halves, 1, 64},
};

const Codec& codec_of(QuantType type) {
  size_t row = 0;
  while (row + 1 < std::size(kCodecs) && kCodecs[row].type != type) ++row;
  assert(kCodecs[row].type == type);
  return kCodecs[row];
}

bool is_finite_block(const Codec& codec, const Byte* block) {
  switch (codec.scales) {
    case ScaleKind::F32:
      return (u32_at(block, 0) & 0x7F800000u) != 0x7F800000u;
    case ScaleKind::Bf16:
      return (u16_at(block, 0) & 0x7F80u) != 0x7F80u;
    case ScaleKind::Exponent:
      return block[0] <= 252;  // 6 * 2^(252 - 127) is the last below 2^128
    case ScaleKind::Halves:
      break;
  }
  for (uint32_t i = 0; i < codec.n_halves; ++i)
    if ((u16_at(block, codec.first_half_offset + 2 * i) & 0x7C00u) == 0x7C00u) return false;
  return true;
}

}  // namespace

void decode_row(QuantType type, const std::byte* blocks, uint64_t n_weights, float* out) {
  const Codec& codec = codec_of(type);
  const QuantTypeInfo& layout = info(type);
  assert(n_weights % layout.block_weights == 0);
  const Byte* block = reinterpret_cast<const Byte*>(blocks);
  if (codec.decode_many) return codec.decode_many(block, n_weights, out);
  for (uint64_t i = 0; i < n_weights; i += layout.block_weights, block += layout.block_bytes)
    codec.decode(block, out + i);
}

void decode_rows(const TensorInfo& tensor, uint64_t first_row, uint64_t n_rows, float* out) {
  assert(first_row <= tensor.n_rows() && n_rows <= tensor.n_rows() - first_row);
  decode_row(tensor.type, tensor.data.data() + first_row * tensor.row_bytes(),
             n_rows * tensor.shape[0], out);
}

Result<void> check_finite(const TensorInfo& tensor) {
  const Codec& codec = codec_of(tensor.type);
  const QuantTypeInfo& layout = info(tensor.type);
  const Byte* bytes = reinterpret_cast<const Byte*>(tensor.data.data());
  const uint64_t n_blocks = tensor.data.size() / layout.block_bytes;
  for (uint64_t i = 0; i < n_blocks; ++i)
    if (!is_finite_block(codec, bytes + i * layout.block_bytes))
      return fail(ErrorCode::NonFinite,
                  "tensor {} ({}): the scale of block {}, in row {}, is not a finite number: the "
                  "file is damaged",
                  tensor.name, layout.name, i, i * layout.block_weights / tensor.shape[0]);
  return {};
}

}  // namespace pumice
