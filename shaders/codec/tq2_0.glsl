// TQ2_0: (q - 1) * d by two bits, 256 weights a block. Planes: pairs (32 units), d (1).
#define CODEC_BLOCK 256
#define CODEC_UNITS 33
#define CODEC_SPAN 4
#define CODEC_GROUP 32
#define CODEC_QMAX 3
#include "lib/codec_int.glsl"
struct Head {
  float d;
};
Head load_head(uint tile, uint r) { return Head(fetch_half(tile + 32, r)); }
Q32 load32(uint tile, uint r, uint h, uint s) {
  uint unit = tile + 16 * h + r;
  uint shift = 2 * s;
  return Q32((fetch_unit(unit) >> shift) & 0x03030303u, (fetch_unit(unit + 8) >> shift) & 0x03030303u);
}
vec2 affine(Head h, uint g, uint side) { return vec2(h.d, -h.d); }
