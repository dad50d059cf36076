// Per head of every token: optional RMS norm of q and k, rotation by the angle table, then q goes
// on to attention and K and V into the cache page of the token's sequence and position.
// One workgroup per head; an invocation makes two neighbouring elements (one word of binary16).
// Where a head is rotated by the Hadamard transform or quantised, it meets in shared memory first.
#include "lib/prelude.glsl"
#include "shared/push.h"
layout(local_size_x = 32) in;
layout(push_constant) uniform Push { RopePush p; };
#include "lib/kv.glsl"
layout(constant_id = 2) const uint Q_NORM = 0;
layout(constant_id = 3) const uint K_NORM = 0;
layout(constant_id = 4) const uint PAIRS = 0;  // 0 none, 1 adjacent elements, 2 halves
layout(constant_id = 5) const uint ROTATE = 0;
layout(constant_id = 6) const uint ROW = 4;    // elements of the longest head that needs `row`
layout(constant_id = 7) const uint MERGED = 0;  // q, k and v lie in one buffer: all read it as q

layout(set = 0, binding = 0, std430) readonly buffer Q { float q[]; };
layout(set = 0, binding = 1, std430) readonly buffer K { float k[]; };
layout(set = 0, binding = 2, std430) readonly buffer V { float v[]; };
layout(set = 0, binding = 3, std430) writeonly buffer QOut { float q_out[]; };
layout(set = 0, binding = 4, std430) writeonly buffer Cache { uint cache[]; };
layout(set = 0, binding = 5, std430) readonly buffer Angles { vec2 angles[]; };  // cos, sin
layout(set = 0, binding = 6, std430) readonly buffer Step { uint step_words[]; };
layout(set = 0, binding = 7, std430) readonly buffer QNorm { float q_norm[]; };
layout(set = 0, binding = 8, std430) readonly buffer KNorm { float k_norm[]; };

const uint kQuery = 0, kKey = 1, kValue = 2;

// Some drivers run all sides of a branch: fewer loads then are faster loads.
float loaded(uint kind, uint at) {
  if (MERGED != 0 || kind == kQuery) return q[at];
  return kind == kKey ? k[at] : v[at];
}

float element(uint kind, uint first, uint e) {
  float value = loaded(kind, first + e);
  if (Q_NORM != 0 && kind == kQuery) value *= q_norm[e];
  if (K_NORM != 0 && kind == kKey) value *= k_norm[e];
  return value;
}

float norm_factor(uint kind, uint first) {
  if (kind == kValue || (kind == kQuery ? Q_NORM : K_NORM) == 0) return 1.0;
  float sum = 0.0;
  LOOP for (uint e = 0; e < p.head_k; ++e) {
    float value = loaded(kind, first + e);
    sum += value * value;
  }
  return 1.0 / sqrt(sum / float(p.head_k) + p.eps);
}

float rotated(uint kind, uint first, uint e, uint angle_row) {
  float own = element(kind, first, e);
  if (kind == kValue || PAIRS == 0 || e >= p.n_rot) return own;
  uint half_rot = p.n_rot / 2;
  bool is_first = PAIRS == 1 ? (e & 1) == 0 : e < half_rot;
  uint distance = PAIRS == 1 ? 1 : half_rot;
  vec2 cos_sin = angles[angle_row + (PAIRS == 1 ? e >> 1 : e % half_rot)];
  float other = element(kind, first, is_first ? e + distance : e - distance);
  return own * cos_sin.x + (is_first ? -other : other) * cos_sin.y;
}

const uint kRowLanes = 32;
const bool kAnyRow = ROTATE != 0 || K_TYPE > PUMICE_CACHE_F16 || V_TYPE > PUMICE_CACHE_F16;
shared float row[ROW];
#include "lib/bits.glsl"
#include "lib/hadamard.glsl"
#include "lib/quantise_row.glsl"

void store_float(uint type, uint word, vec2 values) {
  if (type == PUMICE_CACHE_F32) {
    cache[word] = floatBitsToUint(values.x);
    cache[word + 1] = floatBitsToUint(values.y);
  } else {
    cache[word] = packHalf2x16(clamp(values, -65504.0, 65504.0));
  }
}

// Elements e and e + 1 of the head that this workgroup makes.
void store_pair(uint kind, uint type, uint first_unit, uint q_at, uint head, uint width,
                uint in_page, uint e, vec2 values) {
  if (kind == kQuery) {
    q_out[q_at + e] = values.x;
    q_out[q_at + e + 1] = values.y;
    return;
  }
  uint elements = 4u << type;
  uint units = width / elements, unit = e / elements;
  uint at_unit = kind == kKey ? k_unit(first_unit, head, units, in_page, unit)
                              : v_unit(first_unit, head, units, in_page, unit);
  uint in_unit = e % elements;
  store_float(type, at_unit * 4 + (type == PUMICE_CACHE_F32 ? in_unit : in_unit / 2), values);
}

void main() {
  uint lane = gl_LocalInvocationIndex;
  uint column = gl_WorkGroupID.y;
  uint head = gl_WorkGroupID.x;
  uint kind = head < p.n_heads ? kQuery : head < p.n_heads + p.kv_heads ? kKey : kValue;
  if (kind == kKey) head -= p.n_heads;
  if (kind == kValue) head -= p.n_heads + p.kv_heads;
  uint width = kind == kValue ? p.head_v : p.head_k;
  uint stride = kind == kQuery ? p.q_stride : kind == kKey ? p.k_stride : p.v_stride;
  uint start = kind == kQuery ? p.q_at : kind == kKey ? p.k_at : p.v_from;
  uint first = start + column * stride + head * width;

  uint position = step_words[p.positions_at + column];
  uint sequence = step_words[p.sequences_at + column];
  uint page = step_words[p.pages_at + sequence * p.page_stride + position / PUMICE_PAGE];
  uint in_page = position % PUMICE_PAGE;
  float factor = norm_factor(kind, first);
  uint angle_row = position * p.table_stride;

  uint type = kind == kKey ? K_TYPE : V_TYPE;
  uint page_word = page * p.page_words;
  uint first_unit = (page_word + (kind == kKey ? 0 : p.v_at)) / 4;
  uint q_at = column * p.q_out_stride + head * width;
  bool quantised = kind != kQuery && type > PUMICE_CACHE_F16;
  bool in_row = kAnyRow && (ROTATE != 0 || quantised);

  LOOP for (uint e = 2 * lane; e < width; e += 64) {
    vec2 out2 = factor * vec2(rotated(kind, first, e, angle_row), rotated(kind, first, e + 1, angle_row));
    if (in_row) {
      row[e] = out2.x;
      row[e + 1] = out2.y;
    } else {
      store_pair(kind, type, first_unit, q_at, head, width, in_page, e, out2);
    }
  }
  if (!in_row) return;

  float scale = 1.0;
  if (ROTATE != 0) {
    rotate_row(width, lane);
    scale = rotation_scale(width);
  } else {
    barrier();
  }
  if (quantised) {
    uint scales_at = page_word + (kind == kKey ? p.k_scales_at : p.v_scales_at);
    store_quantised(kind == kKey, type, first_unit, scales_at, head, width, in_page, scale, lane);
    return;
  }
  LOOP for (uint e = 2 * lane; e < width; e += 64)
    store_pair(kind, type, first_unit, q_at, head, width, in_page, e,
               scale * vec2(row[e], row[e + 1]));
}
