// F32: 32 weights are 8 units of 4.
#define CODEC_BLOCK 32
#define CODEC_UNITS 64
#define CODEC_SPAN 1
#define CODEC_GROUP 32
#include "lib/codec_float.glsl"
Q32 load32(uint tile, uint r, uint h, uint s) {
  Q32 w;
  UNROLL for (uint i = 0; i < 8; ++i) w.v[i] = uintBitsToFloat(fetch_unit(tile + 8 * i + r));
  return w;
}
