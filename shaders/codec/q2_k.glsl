// Q2_K: d * s * q - dmin * m per 16 weights. Planes: scales (8 units), 2-bit q (32), d and dmin (2).
#define CODEC_BLOCK 256
#define CODEC_UNITS 42
#define CODEC_SPAN 4
#define CODEC_GROUP 16
#define CODEC_QMAX 3
#include "lib/codec_int.glsl"
struct Head {
  vec2 dm;
  uvec4 scales;
};
Head load_head(uint tile, uint r) {
  return Head(unpackHalf2x16(fetch_word(tile + 40, r)), fetch_unit(tile + r));
}
Q32 load32(uint tile, uint r, uint h, uint s) {
  uint unit = tile + 8 + 16 * h + r;
  uint shift = 2 * s;
  return Q32((fetch_unit(unit) >> shift) & 0x03030303u, (fetch_unit(unit + 8) >> shift) & 0x03030303u);
}
vec2 affine(Head h, uint g, uint side) {
  uint b = h.scales[g >> 1] >> (16 * (g & 1) + 8 * side);
  return vec2(h.dm.x * float(b & 15u), -h.dm.y * float((b >> 4) & 15u));
}
