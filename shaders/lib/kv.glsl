// Where K and V lie. A page holds PUMICE_PAGE positions of one layer: K in 16-byte units, eight
// positions side by side (so that a lane can own a position), then the scales of K, then V as
// plain rows, then the scales of V. Quantised types have one binary16 scale per 32 elements of a
// head; two share a word, and words too lie eight positions side by side.
// A q4_0 word holds eight elements as signed nibbles: 0..3 in the low halves of its bytes, 4..7 in
// the high ones.
layout(constant_id = 0) const uint K_TYPE = PUMICE_CACHE_F16;
layout(constant_id = 1) const uint V_TYPE = PUMICE_CACHE_F16;

const uint kElementsK = 4u << K_TYPE;  // elements of a 16-byte unit
const uint kElementsV = 4u << V_TYPE;

// 16-byte unit of K: element group `unit` of `position` (inside its page) of a KV head.
uint k_unit(uint page_unit, uint head, uint units, uint position, uint unit) {
  return page_unit + ((head * (PUMICE_PAGE / 8) + (position >> 3)) * units + unit) * 8 + (position & 7);
}

// 16-byte unit of V.
uint v_unit(uint v_first, uint head, uint units, uint position, uint unit) {
  return v_first + (head * PUMICE_PAGE + position) * units + unit;
}

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
