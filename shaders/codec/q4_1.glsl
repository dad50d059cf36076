// Q4_1: d * q + m, 32 weights a block. Planes: nibbles (8 units), d and m (2 units).
#define CODEC_BLOCK 32
#define CODEC_UNITS 10
#define CODEC_SPAN 1
#define CODEC_GROUP 32
#define CODEC_QMAX 15
#include "lib/codec_int.glsl"
struct Head {
  vec2 dm;
};
Head load_head(uint tile, uint r) { return Head(unpackHalf2x16(fetch_word(tile + 8, r))); }
Q32 load32(uint tile, uint r, uint h, uint s) {
  uvec4 u = fetch_unit(tile + r);
  return Q32(u & 0x0F0F0F0Fu, (u >> 4) & 0x0F0F0F0Fu);
}
vec2 affine(Head h, uint g, uint side) { return h.dm; }
