// Per head of every token: optional RMS norm of q and k, rotation by the angle table, then q goes
// on to attention and K and V into the cache page of the token's sequence and position.
// One workgroup per head; an invocation makes two neighbouring elements (one word of binary16).
#include "lib/prelude.glsl"
#include "shared/push.h"
layout(local_size_x = 32) in;
layout(push_constant) uniform Push { RopePush p; };
#include "lib/kv.glsl"
layout(constant_id = 1) const uint Q_NORM = 0;
layout(constant_id = 2) const uint K_NORM = 0;
layout(constant_id = 3) const uint PAIRS = 0;  // 0 none, 1 adjacent elements, 2 halves

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

float element(uint kind, uint first, uint e) {
  if (kind == kQuery) return q[first + e] * (Q_NORM != 0 ? q_norm[e] : 1.0);
  if (kind == kKey) return k[first + e] * (K_NORM != 0 ? k_norm[e] : 1.0);
  return v[first + e];
}

float norm_factor(uint kind, uint first) {
  if (kind == kValue || (kind == kQuery ? Q_NORM : K_NORM) == 0) return 1.0;
  float sum = 0.0;
  LOOP for (uint e = 0; e < p.head_k; ++e) {
    float value = kind == kQuery ? q[first + e] : k[first + e];
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

void store_cache(uint word, vec2 values, uint e) {
  if (KV_F32 != 0) {
    cache[word] = floatBitsToUint(values.x);
    cache[word + 1] = floatBitsToUint(values.y);
  } else {
    cache[word] = packHalf2x16(clamp(values, -65504.0, 65504.0));
  }
}

void main() {
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

  LOOP for (uint e = 2 * gl_LocalInvocationIndex; e < width; e += 64) {
    vec2 out2 = factor * vec2(rotated(kind, first, e, angle_row), rotated(kind, first, e + 1, angle_row));
    if (kind == kQuery) {
      uint at = column * p.q_out_stride + head * width + e;
      q_out[at] = out2.x;
      q_out[at + 1] = out2.y;
      continue;
    }
    uint units = width / unit_elements(), unit = e / unit_elements();
    uint page_unit = page * (p.page_words / 4);
    uint at_unit = kind == kKey ? k_unit(page_unit, head, units, in_page, unit)
                                : v_unit(page_unit + p.v_at / 4, head, units, in_page, unit);
    uint in_unit = e % unit_elements();
    store_cache(at_unit * 4 + (KV_F32 != 0 ? in_unit : in_unit / 2), out2, e);
  }
}
