// Q4_K: d * s * q - dmin * m per 32 weights. Planes: header (8 units), nibbles (64).
#define CODEC_BLOCK 256
#define CODEC_UNITS 72
#define CODEC_SPAN 2
#define CODEC_GROUP 32
#define CODEC_QMAX 15
#include "lib/codec_int.glsl"
#include "lib/k_scales.glsl"
Head load_head(uint tile, uint r) { return unpack_head(fetch_unit(tile + r)); }
Q32 load32(uint tile, uint r, uint h, uint s) {
  uint unit = tile + 8 + 16 * h + r;
  uint shift = 4 * s;
  return Q32((fetch_unit(unit) >> shift) & 0x0F0F0F0Fu, (fetch_unit(unit + 8) >> shift) & 0x0F0F0F0Fu);
}
