// Q6_K: d * s * (q - 32) per 16 weights. Planes: low nibbles (64 units), high pairs (32),
// int8 scales (8), d (1): read as it lies in a file, 210 bytes would only be 2-byte aligned.
#define CODEC_BLOCK 256
#define CODEC_UNITS 105
#define CODEC_SPAN 4
#define CODEC_GROUP 16
#define CODEC_QMAX 63
#include "lib/codec_int.glsl"
struct Head {
  float d;
  uvec4 scales;
};
Head load_head(uint tile, uint r) {
  return Head(fetch_half(tile + 8, r), fetch_unit(tile + r));
}
Q32 load32(uint tile, uint r, uint h, uint s) {
  uint high = tile + 9 + 48 * h + r;
  uint low = high + 16 + 16 * (s & 1);
  uint low_shift = 4 * (s >> 1);
  uint high_shift = 2 * s;
  return Q32(((fetch_unit(low) >> low_shift) & 0x0F0F0F0Fu) |
                 (((fetch_unit(high) >> high_shift) & 0x03030303u) << 4),
             ((fetch_unit(low + 8) >> low_shift) & 0x0F0F0F0Fu) |
                 (((fetch_unit(high + 8) >> high_shift) & 0x03030303u) << 4));
}
vec2 affine(Head h, uint g, uint side) {
  int s = bitfieldExtract(int(h.scales[g >> 1]), int(16 * (g & 1) + 8 * side), 8);
  float scale = h.d * float(s);
  return vec2(scale, -32.0 * scale);
}
