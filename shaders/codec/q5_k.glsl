// Q5_K: d * s * q - dmin * m per 32 weights. Planes: header (8 units), fifth bits (16), nibbles (64).
#define CODEC_BLOCK 256
#define CODEC_UNITS 88
#define CODEC_SPAN 2
#define CODEC_GROUP 32
#define CODEC_QMAX 31
#include "lib/codec_int.glsl"
#include "lib/k_scales.glsl"
Head load_head(uint tile, uint r) { return unpack_head(fetch_unit(tile + r)); }
Q32 load32(uint tile, uint r, uint h, uint s) {
  uint unit = tile + 24 + 16 * h + r;
  uint shift = 4 * s;
  uvec4 fifth_lo = (fetch_unit(tile + 8 + r) >> (2 * h + s)) & 0x01010101u;
  uvec4 fifth_hi = (fetch_unit(tile + 16 + r) >> (2 * h + s)) & 0x01010101u;
  return Q32(((fetch_unit(unit) >> shift) & 0x0F0F0F0Fu) | (fifth_lo << 4),
             ((fetch_unit(unit + 8) >> shift) & 0x0F0F0F0Fu) | (fifth_hi << 4));
}
