// IQ4_XS: d * (s - 32) * T[q] per 32 weights. Planes: nibbles (64 units), header of 8 bytes (4).
#define CODEC_BLOCK 256
#define CODEC_UNITS 68
#define CODEC_SPAN 1
#define CODEC_GROUP 32
#define CODEC_QMAX 128
#define CODEC_SIGNED 1
#include "lib/codec_int.glsl"
#include "lib/table4.glsl"
struct Head {
  float d;
  uint high;  // 2 bits per group
  uint low;   // 4 bits per group
};
Head load_head(uint tile, uint r) {
  uint first = fetch_word(tile + 64, 2 * r);
  return Head(unpackHalf2x16(first).x, first >> 16, fetch_word(tile + 64, 2 * r + 1));
}
Q32 load32(uint tile, uint r, uint h, uint s) {
  uvec4 u = fetch_unit(tile + 8 * h + r);
  return Q32(look_up16(kIq4Table, u & 0x0F0F0F0Fu), look_up16(kIq4Table, (u >> 4) & 0x0F0F0F0Fu));
}
vec2 affine(Head h, uint g, uint side) {
  uint s = ((h.low >> (4 * g)) & 15u) | (((h.high >> (2 * g)) & 3u) << 4);
  return vec2(h.d * (float(s) - 32.0), 0.0);
}
