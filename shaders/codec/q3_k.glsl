// Q3_K: d * (s - 32) * (q - 4) per 16 weights, q = 2 bits + 1 mask bit.
// Planes: mask bits (16 units), 2-bit q (32), 6-bit scales (6), d (1).
#define CODEC_BLOCK 256
#define CODEC_UNITS 55
#define CODEC_SPAN 4
#define CODEC_GROUP 16
#define CODEC_QMAX 7
#include "lib/codec_int.glsl"
struct Head {
  float d;
  uvec4 scales;  // 16 six-bit scales, one per byte
};
Head load_head(uint tile, uint r) {
  uint s0 = fetch_word(tile + 48, 3 * r);
  uint s1 = fetch_word(tile + 48, 3 * r + 1);
  uint top = fetch_word(tile + 48, 3 * r + 2);
  uvec4 low = uvec4(s0, s1, s0 >> 4, s1 >> 4) & 0x0F0F0F0Fu;
  uvec4 high = uvec4(top, top >> 2, top >> 4, top >> 6) & 0x03030303u;
  return Head(fetch_half(tile + 54, r), low | (high << 4));
}
Q32 load32(uint tile, uint r, uint h, uint s) {
  uint unit = tile + 16 + 16 * h + r;
  uint shift = 2 * s;
  uvec4 mask_lo = (fetch_unit(tile + r) >> (4 * h + s)) & 0x01010101u;
  uvec4 mask_hi = (fetch_unit(tile + 8 + r) >> (4 * h + s)) & 0x01010101u;
  return Q32(((fetch_unit(unit) >> shift) & 0x03030303u) | (mask_lo << 2),
             ((fetch_unit(unit + 8) >> shift) & 0x03030303u) | (mask_hi << 2));
}
vec2 affine(Head h, uint g, uint side) {
  uint s = (h.scales[g >> 1] >> (16 * (g & 1) + 8 * side)) & 0xFFu;
  float scale = h.d * (float(s) - 32.0);
  return vec2(scale, -4.0 * scale);
}
