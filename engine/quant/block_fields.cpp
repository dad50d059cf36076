// Owns the bit layouts of writing, one function per field; bit layouts of reading with the same
// names are in loader/codec.cpp. i is the weight's index in its block.
#include "engine/quant/block_fields.h"

#include "engine/base/half.h"

namespace pumice::quant {
namespace {

void put_u16(std::byte* out, uint32_t value) {
  out[0] = std::byte(value & 255);
  out[1] = std::byte(value >> 8);
}

void put_half(std::byte* out, float value) {
  put_u16(out, float_to_half(value));
}

void or_into(std::byte& out, uint32_t bits) {
  out |= std::byte(bits);
}

void header_d(const BlockFit& fit, std::byte* header) {
  put_half(header, fit.d);
}

void header_d_m(const BlockFit& fit, std::byte* header) {
  put_half(header, fit.d);
  put_half(header + 2, fit.dmin);
}

/// Sixteen bytes of (scale low nibble, minimum high nibble), d, dmin.
void header_q2_k(const BlockFit& fit, std::byte* header) {
  for (uint32_t j = 0; j < 16; ++j) header[j] = std::byte(fit.scale[j] | fit.minimum[j] << 4);
  header_d_m(fit, header + 16);
}

/// Sixteen 6-bit scales plus 32: low nibbles in bytes 0..7, high two bits in bytes 8..11; d.
void header_q3_k(const BlockFit& fit, std::byte* header) {
  for (uint32_t j = 0; j < 16; ++j) {
    const uint32_t scale = uint32_t(fit.scale[j] + 32);
    or_into(header[j % 8], (scale & 15) << 4 * (j / 8));
    or_into(header[8 + j % 4], (scale >> 4) << 2 * (j / 4));
  }
  put_half(header + 12, fit.d);
}

/// d, dmin, eight (scale, minimum) pairs of six bits in 12 bytes: pairs 4..7 have their low four
/// bits in bytes 8..11 and their high two above pairs 0..3.
void header_q4_k(const BlockFit& fit, std::byte* header) {
  header_d_m(fit, header);
  std::byte* pairs = header + 4;
  for (uint32_t j = 0; j < 8; ++j) {
    const uint32_t scale = uint32_t(fit.scale[j]), minimum = uint32_t(fit.minimum[j]);
    if (j < 4) {
      or_into(pairs[j], scale);
      or_into(pairs[j + 4], minimum);
    } else {
      or_into(pairs[j + 4], (scale & 15) | (minimum & 15) << 4);
      or_into(pairs[j - 4], (scale >> 4) << 6);
      or_into(pairs[j], (minimum >> 4) << 6);
    }
  }
}

/// Sixteen int8 scales, d.
void header_q6_k(const BlockFit& fit, std::byte* header) {
  for (uint32_t j = 0; j < 16; ++j) header[j] = std::byte(uint8_t(fit.scale[j]));
  put_half(header + 16, fit.d);
}

/// d, the high two bits of eight 6-bit scales plus 32 as u16, their low nibbles.
void header_iq4_xs(const BlockFit& fit, std::byte* header) {
  put_half(header, fit.d);
  uint32_t high = 0;
  for (uint32_t j = 0; j < 8; ++j) {
    const uint32_t scale = uint32_t(fit.scale[j] + 32);
    or_into(header[4 + j / 2], (scale & 15) << 4 * (j % 2));
    high |= (scale >> 4) << 2 * j;
  }
  put_u16(header + 2, high);
}

void header_mxfp4(const BlockFit& fit, std::byte* header) {
  header[0] = std::byte(uint8_t(fit.scale[0]));
}

/// 32 weights in 16 bytes: weight i in the low and weight i + 16 in the high nibble of byte i.
void nibbles_of_32(const uint8_t* codes, std::byte* out) {
  for (uint32_t i = 0; i < 16; ++i) out[i] = std::byte((codes[i] & 15) | (codes[i + 16] & 15) << 4);
}

template <uint32_t kOffset>
void codes_nibbles(std::span<const uint8_t> codes, std::byte* out) {
  nibbles_of_32(codes.data(), out + kOffset);
}

/// Fifth bits of 32 weights as u32, then nibbles.
template <uint32_t kOffset>
void codes_q5(std::span<const uint8_t> codes, std::byte* out) {
  for (uint32_t i = 0; i < 32; ++i) or_into(out[kOffset + i / 8], uint32_t(codes[i] >> 4) << i % 8);
  nibbles_of_32(codes.data(), out + kOffset + 4);
}

void codes_q8_0(std::span<const uint8_t> codes, std::byte* out) {
  for (uint32_t i = 0; i < 32; ++i) out[2 + i] = std::byte(uint8_t(codes[i] - 127));
}

/// Two bits per weight: plane k = i % 128 / 32 in bits 2k and 2k + 1 of byte 32 (i / 128) + i % 32.
void two_bits(std::span<const uint8_t> codes, uint32_t shift, std::byte* out) {
  for (uint32_t n = 0; n < 2; ++n)
    for (uint32_t l = 0; l < 32; ++l) {
      const uint8_t* c = codes.data() + 128 * n + l;
      const uint32_t planes = (c[0] >> shift & 3u) | (c[32] >> shift & 3u) << 2 |
                              (c[64] >> shift & 3u) << 4 | (c[96] >> shift & 3u) << 6;
      out[32 * n + l] = std::byte(planes);
    }
}

/// Bit i / 32 of byte i % 32: one bit of each code.
void bit_planes(std::span<const uint8_t> codes, uint32_t shift, std::byte* out) {
  for (uint32_t l = 0; l < 32; ++l) {
    uint32_t bits = 0;
    for (uint32_t j = 0; j < 8; ++j) bits |= (codes[32 * j + l] >> shift & 1u) << j;
    out[l] = std::byte(bits);
  }
}

/// Groups 2p and 2p + 1 of 32 weights in the low and high nibbles of bytes 32 p ..
void nibbles_of_groups(std::span<const uint8_t> codes, std::byte* out) {
  for (uint32_t p = 0; p < 4; ++p)
    for (uint32_t l = 0; l < 32; ++l)
      out[32 * p + l] = std::byte((codes[64 * p + l] & 15) | (codes[64 * p + 32 + l] & 15) << 4);
}

void codes_q2_k(std::span<const uint8_t> codes, std::byte* out) {
  two_bits(codes, 0, out + 16);
}

void codes_q3_k(std::span<const uint8_t> codes, std::byte* out) {
  bit_planes(codes, 2, out);
  two_bits(codes, 0, out + 32);
}

void codes_q4_k(std::span<const uint8_t> codes, std::byte* out) {
  nibbles_of_groups(codes, out + 16);
}

void codes_q5_k(std::span<const uint8_t> codes, std::byte* out) {
  bit_planes(codes, 4, out + 16);
  nibbles_of_groups(codes, out + 48);
}

/// Half n: low nibbles of planes k and k + 2 share byte 64 n + 32 k + l; high two bits @128.
void codes_q6_k(std::span<const uint8_t> codes, std::byte* out) {
  for (uint32_t n = 0; n < 2; ++n)
    for (uint32_t l = 0; l < 64; ++l) {
      const uint8_t* c = codes.data() + 128 * n + l;
      out[64 * n + l] = std::byte((c[0] & 15) | (c[64] & 15) << 4);
    }
  two_bits(codes, 4, out + 128);
}

void codes_iq4_xs(std::span<const uint8_t> codes, std::byte* out) {
  for (uint32_t group = 0; group < 8; ++group)
    nibbles_of_32(codes.data() + 32 * group, out + 8 + 16 * group);
}

constexpr BlockFields kFields[] = {
    {QuantType::Q4_0, 16, header_d, {{0, 2}}, codes_nibbles<2>},
    {QuantType::Q4_1, 16, header_d_m, {{0, 4}}, codes_nibbles<4>},
    {QuantType::Q5_0, 32, header_d, {{0, 2}}, codes_q5<2>},
    {QuantType::Q5_1, 32, header_d_m, {{0, 4}}, codes_q5<4>},
    {QuantType::Q8_0, 255, header_d, {{0, 2}}, codes_q8_0},
    {QuantType::Q2_K, 4, header_q2_k, {{0, 16}, {80, 4}}, codes_q2_k},
    {QuantType::Q3_K, 8, header_q3_k, {{96, 14}}, codes_q3_k},
    {QuantType::Q4_K, 16, header_q4_k, {{0, 16}}, codes_q4_k},
    {QuantType::Q5_K, 32, header_q4_k, {{0, 16}}, codes_q5_k},
    {QuantType::Q6_K, 64, header_q6_k, {{192, 18}}, codes_q6_k},
    {QuantType::IQ4_NL, 16, header_d, {{0, 2}}, codes_nibbles<2>},
    {QuantType::IQ4_XS, 16, header_iq4_xs, {{0, 8}}, codes_iq4_xs},
    {QuantType::MXFP4, 16, header_mxfp4, {{0, 1}}, codes_nibbles<1>},
};

}  // namespace

const BlockFields* find_block_fields(QuantType type) {
  for (const BlockFields& row : kFields)
    if (row.type == type) return &row;
  return nullptr;
}

}  // namespace pumice::quant
