// What every integer codec shares: 32 weights as packed int8 and their views.
// weight = affine.x * q + affine.y, with q in [0, CODEC_QMAX], or signed when CODEC_SIGNED.
// Group g of a block is number s of span h: g = h * CODEC_SPAN + s; a span's groups share words.
struct Q32 {
  uvec4 lo;  // weights 0..15, four per word, ascending
  uvec4 hi;  // weights 16..31
};

uint bytes4(Q32 w, uint i) { return i < 4 ? w.lo[i] : w.hi[i - 4]; }

// Weights 4i .. 4i+3 as floats, before scale and offset.
vec4 quad(Q32 w, uint i) {
  uint b = bytes4(w, i);
#ifdef CODEC_SIGNED
  return vec4(float(bitfieldExtract(int(b), 0, 8)), float(bitfieldExtract(int(b), 8, 8)),
              float(bitfieldExtract(int(b), 16, 8)), float(int(b) >> 24));
#else
  return vec4(float(b & 0xFFu), float((b >> 8) & 0xFFu), float((b >> 16) & 0xFFu), float(b >> 24));
#endif
}
