// IQ4_NL: d * T[q], 32 weights a block. Planes: nibbles (8 units), d (1).
#define CODEC_BLOCK 32
#define CODEC_UNITS 9
#define CODEC_SPAN 1
#define CODEC_GROUP 32
#define CODEC_QMAX 128
#define CODEC_SIGNED 1
#include "lib/codec_int.glsl"
#include "lib/table4.glsl"
struct Head {
  float d;
};
Head load_head(uint tile, uint r) { return Head(fetch_half(tile + 8, r)); }
Q32 load32(uint tile, uint r, uint h, uint s) {
  uvec4 u = fetch_unit(tile + r);
  return Q32(look_up16(kIq4Table, u & 0x0F0F0F0Fu), look_up16(kIq4Table, (u >> 4) & 0x0F0F0F0Fu));
}
vec2 affine(Head h, uint g, uint side) { return vec2(h.d, 0.0); }
