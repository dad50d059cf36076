// Where K and V lie. A page holds PUMICE_PAGE positions of one layer: K in 16-byte units, eight
// positions side by side (so that a lane can own a position), then V as plain rows.
layout(constant_id = 0) const uint KV_F32 = 0;  // 0: binary16 pairs in words, 1: f32

uint unit_elements() { return KV_F32 != 0 ? 4 : 8; }

// 16-byte unit of K: element group `unit` of `position` (inside its page) of a KV head.
uint k_unit(uint page_unit, uint head, uint units, uint position, uint unit) {
  return page_unit + ((head * (PUMICE_PAGE / 8) + (position >> 3)) * units + unit) * 8 + (position & 7);
}

// 16-byte unit of V.
uint v_unit(uint v_first, uint head, uint units, uint position, uint unit) {
  return v_first + (head * PUMICE_PAGE + position) * units + unit;
}
