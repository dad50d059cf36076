// MXFP4: E2M1(q) * 2^(e - 127), 32 weights a block; the table holds doubled values.
// Planes: nibbles (8 units), exponent bytes (half of 1 unit).
#define CODEC_BLOCK 32
#define CODEC_UNITS 9
#define CODEC_SPAN 1
#define CODEC_GROUP 32
#define CODEC_QMAX 12
#define CODEC_SIGNED 1
#include "lib/codec_int.glsl"
#include "lib/table4.glsl"
struct Head {
  float d;
};
// 2^(e - 128); the two smallest exponents are subnormal.
float half_power(uint e) { return uintBitsToFloat(e < 2 ? 0x00200000u << e : (e - 1) << 23); }
Head load_head(uint tile, uint r) {
  return Head(half_power((fetch_word(tile + 8, r >> 2) >> (8 * (r & 3))) & 0xFFu));
}
Q32 load32(uint tile, uint r, uint h, uint s) {
  uvec4 u = fetch_unit(tile + r);
  return Q32(look_up16(kE2m1Table, u & 0x0F0F0F0Fu), look_up16(kE2m1Table, (u >> 4) & 0x0F0F0F0Fu));
}
vec2 affine(Head h, uint g, uint side) { return vec2(h.d, 0.0); }
