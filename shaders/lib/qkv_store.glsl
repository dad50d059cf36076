// Rows of q, k and v as attention reads them: q and k rotated in adjacent pairs, k and v in the
// cache page of the column's sequence and position. For one column, whose rows are of one head per
// tile. The bindings are those of a route and of a feed, which such a matrix does not have.
#include "lib/kv_place.glsl"
layout(set = 0, binding = 5, std430) readonly buffer Step { uint step_words[]; };
layout(set = 0, binding = 7, std430) writeonly buffer Cache { uint cache[]; };
layout(set = 0, binding = 9, rgba32f) uniform readonly restrict imageBuffer angles;  // cos, sin

layout(constant_id = 9) const uint STORES = 0;  // else 1 + type of K + 2 * type of V: f32 or f16
layout(constant_id = 10) const uint HEAD_K = 8;
layout(constant_id = 11) const uint HEAD_V = 8;

const uint kTypes = STORES != 0 ? STORES - 1u : 0u;  // of a kernel that stores nothing: any
const uint kTypeK = kTypes & 1u, kTypeV = kTypes >> 1;
const uint kUnitElementsK = 4u << kTypeK, kUnitElementsV = 4u << kTypeV;

uint store_position, store_page;  // of the column; read once, for a lane loop reads them

void find_page(uint column) {
  store_position = step_words[p.positions_at + column];
  uint sequence = step_words[p.sequences_at + column];
  store_page = step_words[p.pages_at + sequence * p.page_stride + store_position / PUMICE_PAGE];
}

float rotated_pair(float own, uint e, uint lane) {
  uint pair = store_position * (p.n_rot / 2) + e / 2;
  vec4 two = imageLoad(angles, int(pair / 2));
  vec2 cos_sin = (pair & 1) == 0 ? two.xy : two.zw;
  float other = subgroupShuffleXor(own, 1);
  return e < p.n_rot ? own * cos_sin.x + ((lane & 1) == 0 ? -other : other) * cos_sin.y : own;
}

// Word of the cache that element e of a head's unit is in; a word of f16 has two.
uint word_of(uint type, uint unit, uint e) {
  return unit * 4 + (type == PUMICE_CACHE_F32 ? e & 3 : (e & 7) / 2);
}

uint k_word(uint row, uint page_unit) {
  uint head = row / HEAD_K, e = row % HEAD_K;
  return word_of(kTypeK, k_unit(page_unit, head, HEAD_K / kUnitElementsK,
                                store_position % PUMICE_PAGE, e / kUnitElementsK), e);
}

uint v_word(uint row, uint first_unit) {
  uint head = row / HEAD_V, e = row % HEAD_V;
  return word_of(kTypeV, v_unit(first_unit, head, HEAD_V / kUnitElementsV,
                                store_position % PUMICE_PAGE, e / kUnitElementsV), e);
}

void store_qkv(uint row, uint column, float value, uint lane) {
  uint k_end = p.q_rows + p.k_rows;
  bool is_q = row < p.q_rows, is_v = row >= k_end;
  uint k_row = row - (is_q ? 0 : p.q_rows);
  if (!is_v) value = rotated_pair(value, k_row % HEAD_K, lane);
  if (is_q) y[y_word(column) + row] = value;

  uint page_word = store_page * p.page_words;
  uint word = is_v ? v_word(row - k_end, (page_word + p.v_at) / 4) : k_word(k_row, page_word / 4);
  vec2 two = clamp(vec2(value, subgroupShuffleXor(value, 1)), -65504.0, 65504.0);
  bool in_f32 = (is_v ? kTypeV : kTypeK) == PUMICE_CACHE_F32;
  bool stores = !is_q && row < p.rows && (in_f32 || (lane & 1) == 0);
  if (stores) cache[word] = in_f32 ? floatBitsToUint(value) : packHalf2x16(two);
}
