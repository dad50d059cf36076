// Q8_0: d * q, 32 signed weights a block. Planes: bytes (16 units), d (1).
#define CODEC_BLOCK 32
#define CODEC_UNITS 17
#define CODEC_SPAN 1
#define CODEC_GROUP 32
#define CODEC_QMAX 128
#define CODEC_SIGNED 1
#include "lib/codec_int.glsl"
struct Head {
  float d;
};
Head load_head(uint tile, uint r) { return Head(fetch_half(tile + 16, r)); }
Q32 load32(uint tile, uint r, uint h, uint s) { return Q32(fetch_unit(tile + r), fetch_unit(tile + 8 + r)); }
vec2 affine(Head h, uint g, uint side) { return vec2(h.d, 0.0); }
