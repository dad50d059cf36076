// The types of K and V in the cache, and how their words are read.
#include "lib/kv_place.glsl"
layout(constant_id = 0) const uint K_TYPE = PUMICE_CACHE_F16;
layout(constant_id = 1) const uint V_TYPE = PUMICE_CACHE_F16;

const uint kElementsK = 4u << K_TYPE;  // elements of a 16-byte unit
const uint kElementsV = 4u << V_TYPE;

// Word with the scales of blocks 2 * pair and 2 * pair + 1 of a head's `pairs` pairs.
uint scale_word(uint scales_first, uint head, uint pairs, uint position, uint pair) {
  uint eight = head * (PUMICE_PAGE / 8) + (position >> 3);
  return scales_first + (eight * pairs + pair) * 8 + (position & 7);
}

// Four int8 of a word.
vec4 signed_bytes(uint word) {
  int w = int(word);
  return vec4(ivec4(w << 24, w << 16, w << 8, w) >> 24);
}

// Elements 0..3 of a q4_0 word with shift 4, 4..7 with shift 0.
vec4 signed_nibbles(uint word, uint shift) {
  int w = int(word) << shift;
  return vec4(ivec4(w << 24, w << 16, w << 8, w) >> 28);
}
