// Where K and V lie. A page holds PUMICE_PAGE positions of one layer: K in 16-byte units, eight
// positions side by side (so that a lane can own a position), then the scales of K, then V as
// plain rows, then the scales of V. Quantised types have one binary16 scale per 32 elements of a
// head; two share a word, and words too lie eight positions side by side.
// A q4_0 word holds eight elements as signed nibbles: 0..3 in the low halves of its bytes, 4..7 in
// the high ones.

// 16-byte unit of K: element group `unit` of `position` (inside its page) of a KV head.
uint k_unit(uint page_unit, uint head, uint units, uint position, uint unit) {
  return page_unit + ((head * (PUMICE_PAGE / 8) + (position >> 3)) * units + unit) * 8 + (position & 7);
}

// 16-byte unit of V.
uint v_unit(uint v_first, uint head, uint units, uint position, uint unit) {
  return v_first + (head * PUMICE_PAGE + position) * units + unit;
}
