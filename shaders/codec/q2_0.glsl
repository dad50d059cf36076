// Q2_0: (q - 1) * d by two bits, 64 weights a block. Planes: pairs (8 units), d (1).
#define CODEC_BLOCK 64
#define CODEC_UNITS 9
#define CODEC_SPAN 2
#define CODEC_GROUP 32
#define CODEC_QMAX 3
#include "lib/bits.glsl"
#include "lib/codec_int.glsl"
struct Head {
  float d;
};
Head load_head(uint tile, uint r) { return Head(fetch_half(tile + 8, r)); }
uvec4 spread16(uint word) {
  return uvec4(spread_pairs4(word), spread_pairs4(word >> 8), spread_pairs4(word >> 16),
               spread_pairs4(word >> 24));
}
Q32 load32(uint tile, uint r, uint h, uint s) {
  uvec4 u = fetch_unit(tile + r);
  return s == 0 ? Q32(spread16(u.x), spread16(u.y)) : Q32(spread16(u.z), spread16(u.w));
}
vec2 affine(Head h, uint g, uint side) { return vec2(h.d, -h.d); }
