// BF16: 32 weights are 4 units of 8; the upper half of an f32 each.
#define CODEC_BLOCK 32
#define CODEC_UNITS 32
#define CODEC_SPAN 1
#define CODEC_GROUP 32
#include "lib/codec_float.glsl"
vec2 unpack_bfloat2(uint pair) {
  return vec2(uintBitsToFloat(pair << 16), uintBitsToFloat(pair & 0xFFFF0000u));
}
Q32 load32(uint tile, uint r, uint h, uint s) {
  Q32 w;
  UNROLL for (uint i = 0; i < 4; ++i) {
    uvec4 u = fetch_unit(tile + 8 * i + r);
    w.v[2 * i] = vec4(unpack_bfloat2(u.x), unpack_bfloat2(u.y));
    w.v[2 * i + 1] = vec4(unpack_bfloat2(u.z), unpack_bfloat2(u.w));
  }
  return w;
}
