// TQ1_0: (t - 1) * d, five base-3 digits a byte, 256 weights a block.
// Planes: 48 bytes of 5 trits (24 units), 4 bytes of 4 trits (2), d (1).
// Weights 0..159 are digit n of bytes 0..31, 160..239 digit n of bytes 32..47, 240..255 digit n of
// the last 4 bytes.
#define CODEC_BLOCK 256
#define CODEC_UNITS 27
#define CODEC_SPAN 1
#define CODEC_GROUP 32
#define CODEC_QMAX 2
#include "lib/codec_int.glsl"
struct Head {
  float d;
};
Head load_head(uint tile, uint r) { return Head(fetch_half(tile + 26, r)); }

const uint kPower3[5] = uint[](1u, 3u, 9u, 27u, 81u);

// Digit n of the four bytes of a word.
uint trits4(uint word, uint n) {
  uint digits = 0;
  UNROLL for (uint i = 0; i < 4; ++i) {
    uint shifted = (((word >> (8 * i)) & 0xFFu) * kPower3[n]) & 0xFFu;
    digits |= ((shifted * 3u) >> 8) << (8 * i);
  }
  return digits;
}
uvec4 trits16(uvec4 u, uint n) {
  return uvec4(trits4(u.x, n), trits4(u.y, n), trits4(u.z, n), trits4(u.w, n));
}
Q32 load32(uint tile, uint r, uint h, uint s) {
  if (h < 5) return Q32(trits16(fetch_unit(tile + r), h), trits16(fetch_unit(tile + 8 + r), h));
  uvec4 tail = fetch_unit(tile + 16 + r);
  uint n = 2 * (h - 5);
  if (h < 7) return Q32(trits16(tail, n), trits16(tail, n + 1));
  uint last = fetch_word(tile + 24, r);
  return Q32(trits16(tail, 4),
             uvec4(trits4(last, 0), trits4(last, 1), trits4(last, 2), trits4(last, 3)));
}
vec2 affine(Head h, uint g, uint side) { return vec2(h.d, -h.d); }
