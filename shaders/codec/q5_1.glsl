// Q5_1: d * q + m, 32 weights a block. Planes: nibbles (8 units), fifth bits (2), d and m (2).
#define CODEC_BLOCK 32
#define CODEC_UNITS 12
#define CODEC_SPAN 1
#define CODEC_GROUP 32
#define CODEC_QMAX 31
#include "lib/bits.glsl"
#include "lib/codec_int.glsl"
struct Head {
  vec2 dm;
};
Head load_head(uint tile, uint r) { return Head(unpackHalf2x16(fetch_word(tile + 10, r))); }
Q32 load32(uint tile, uint r, uint h, uint s) {
  uvec4 u = fetch_unit(tile + r);
  uint high = fetch_word(tile + 8, r);
  return Q32((u & 0x0F0F0F0Fu) | fifth_bits(high, 0), ((u >> 4) & 0x0F0F0F0Fu) | fifth_bits(high, 1));
}
vec2 affine(Head h, uint g, uint side) { return h.dm; }
