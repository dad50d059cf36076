// Q1_0: +d or -d by one bit, 128 weights a block. Planes: bits (8 units), d (1).
#define CODEC_BLOCK 128
#define CODEC_UNITS 9
#define CODEC_SPAN 4
#define CODEC_GROUP 32
#define CODEC_QMAX 1
#include "lib/bits.glsl"
#include "lib/codec_int.glsl"
struct Head {
  float d;
};
Head load_head(uint tile, uint r) { return Head(fetch_half(tile + 8, r)); }
Q32 load32(uint tile, uint r, uint h, uint s) {
  uint bits = fetch_unit(tile + r)[s];
  return Q32(fifth_bits(bits, 0) >> 4, fifth_bits(bits, 1) >> 4);
}
vec2 affine(Head h, uint g, uint side) { return vec2(2.0 * h.d, -h.d); }
