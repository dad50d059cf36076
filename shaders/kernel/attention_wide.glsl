// Attention for GPUs and as the plain fallback: 64 invocations per (head, token), one position per
// invocation for the scores, two output elements per invocation for the values. Baseline tier.
// With SPLIT, a workgroup takes one page and leaves (output, max, sum) for attention_merge; without,
// it folds the pages itself, in the same order and with the same operations: equal bits.
#include "lib/prelude.glsl"
#include "shared/push.h"
layout(local_size_x = 64) in;
#include "lib/attention_io.glsl"
layout(constant_id = 5) const uint SPLIT = 0;

const uint kPairs = (HEAD_V + 127) / 128;  // pairs of output elements per invocation

shared vec4 query[HEAD_K / 4];
shared float scores[64];
const uint kRowLanes = 64;
shared float row[ROTATE != 0 ? HEAD_V : 1];
#include "lib/hadamard.glsl"

vec2 page_out[kPairs];
float page_max, page_sum;

float quantised_score(uint page_unit, uint kv_head, uint position) {
  float s = 0.0;
  LOOP for (uint block = 0; block < HEAD_K / 32; ++block) {
    uint at = page_unit * 4 + p.k_scales_at;
    vec2 two = unpackHalf2x16(cache_word(scale_word(at, kv_head, kPairsK, position, block >> 1)));
    float sum = 0.0;
    if (K_TYPE == PUMICE_CACHE_Q8_0) {
      UNROLL for (uint u = 0; u < 2; ++u) {
        uvec4 unit = cache_unit(k_unit(page_unit, kv_head, kUnitsK, position, block * 2 + u));
        UNROLL for (uint i = 0; i < 4; ++i)
          sum += dot(query[block * 8 + u * 4 + i], signed_bytes(unit[i]));
      }
    } else {
      uvec4 unit = cache_unit(k_unit(page_unit, kv_head, kUnitsK, position, block));
      UNROLL for (uint i = 0; i < 4; ++i) {
        sum += dot(query[block * 8 + i * 2], signed_nibbles(unit[i], 4));
        sum += dot(query[block * 8 + i * 2 + 1], signed_nibbles(unit[i], 0));
      }
    }
    s += sum * mix(two.x, two.y, (block & 1) != 0);
  }
  return s;
}

float score(uint page_unit, uint kv_head, uint position) {
  if (K_TYPE > PUMICE_CACHE_F16) return quantised_score(page_unit, kv_head, position);
  float s = 0.0;
  LOOP for (uint u = 0; u < kUnitsK; ++u) {
    uvec4 unit = cache_unit(k_unit(page_unit, kv_head, kUnitsK, position, u));
    if (K_TYPE == PUMICE_CACHE_F32) {
      s += dot(query[u], uintBitsToFloat(unit));
    } else {
      s += dot(query[2 * u], vec4(unpackHalf2x16(unit.x), unpackHalf2x16(unit.y)));
      s += dot(query[2 * u + 1], vec4(unpackHalf2x16(unit.z), unpackHalf2x16(unit.w)));
    }
  }
  return s;
}

vec2 quantised_pair(uint v_first, uint kv_head, uint position, uint pair) {
  uint at = v_first * 4 - p.v_at + p.v_scales_at;
  uint block = pair >> 4;
  vec2 two = unpackHalf2x16(cache_word(scale_word(at, kv_head, kPairsV, position, block >> 1)));
  float scale = mix(two.x, two.y, (block & 1) != 0);
  uint row_word = v_unit(v_first, kv_head, kUnitsV, position, 0) * 4;
  if (V_TYPE == PUMICE_CACHE_Q8_0) {
    int bits = int(cache_word(row_word + (pair >> 1)) >> (16 * (pair & 1)));
    return scale * vec2((bits << 24) >> 24, (bits << 16) >> 24);
  }
  // Two neighbouring bytes of the word: their low halves for its first four elements.
  uint shift = 16 * (pair & 1) + 2 * (pair & 2);
  int bits = int(cache_word(row_word + (pair >> 2)) >> shift);
  return scale * vec2((bits << 28) >> 28, (bits << 20) >> 28);
}

vec2 value_pair(uint v_first, uint kv_head, uint position, uint pair) {
  if (V_TYPE > PUMICE_CACHE_F16) return quantised_pair(v_first, kv_head, position, pair);
  if (V_TYPE == PUMICE_CACHE_F32) {
    uvec4 unit = cache_unit(v_unit(v_first, kv_head, kUnitsV, position, pair >> 1));
    return uintBitsToFloat((pair & 1) != 0 ? unit.zw : unit.xy);
  }
  return unpackHalf2x16(cache_unit(v_unit(v_first, kv_head, kUnitsV, position, pair >> 2))[pair & 3]);
}

void sum_page(uint page_unit, uint kv_head, uint page_first, uint visible, uint position, uint lane) {
  page_max = kFloor;
  page_sum = 0.0;
  UNROLL for (uint i = 0; i < kPairs; ++i) page_out[i] = vec2(0.0);
  uint first = visible > page_first ? (visible - page_first) & ~63u : 0;
  uint last = min(position - page_first, PUMICE_PAGE - 1);
  LOOP for (uint block = first; block <= last; block += 64) {
    uint at = page_first + block + lane;
    bool seen = at >= visible && at <= position;
    scores[lane] = seen ? shape_score(score(page_unit, kv_head, block + lane)) : kFloor;
    barrier();
    float new_max = page_max;
    LOOP for (uint i = 0; i < 64; ++i) new_max = max(new_max, scores[i]);
    float weight = seen ? exp(max(scores[lane] - new_max, -88.0)) : 0.0;
    barrier();
    scores[lane] = weight;
    barrier();
    float fade = exp(max(page_max - new_max, -88.0));
    page_sum *= fade;
    UNROLL for (uint i = 0; i < kPairs; ++i) page_out[i] *= fade;
    uint count = min(last - block + 1, 64);
    LOOP for (uint i = 0; i < count; ++i) {
      float w = scores[i];
      page_sum += w;
      UNROLL for (uint j = 0; j < kPairs; ++j) {
        uint pair = lane + 64 * j;
        if (pair < HEAD_V / 2)
          page_out[j] += w * value_pair(page_unit + p.v_at / 4, kv_head, block + i, pair);
      }
    }
    page_max = new_max;
    barrier();
  }
}

void main() {
  uint lane = gl_LocalInvocationIndex;
  uint head = gl_WorkGroupID.x, column = gl_WorkGroupID.y;
  uint kv_head = head / p.group;
  uint position = step_words[p.positions_at + column];
  uint pages = p.pages_at + step_words[p.sequences_at + column] * p.page_stride;
  uint visible = first_visible(position);
  uint first_page = visible / PUMICE_PAGE, last_page = position / PUMICE_PAGE;

  LOOP for (uint i = lane; i < HEAD_K / 4; i += 64)
    query[i] = in_quad((column * p.q_stride + head * HEAD_K) / 4 + i);
  barrier();

  if (SPLIT != 0) {
    uint page = first_page + gl_WorkGroupID.z;
    if (page > last_page) return;
    sum_page(step_words[pages + page] * (p.page_words / 4), kv_head, page * PUMICE_PAGE, visible,
             position, lane);
    uint at = ((column * p.n_heads + head) * p.splits + gl_WorkGroupID.z) * (HEAD_V + 2);
    UNROLL for (uint j = 0; j < kPairs; ++j) {
      uint pair = lane + 64 * j;
      if (pair >= HEAD_V / 2) continue;
      attention_out[at + 2 * pair] = page_out[j].x;
      attention_out[at + 2 * pair + 1] = page_out[j].y;
    }
    if (lane == 0) {
      attention_out[at + HEAD_V] = page_max;
      attention_out[at + HEAD_V + 1] = page_sum;
    }
    return;
  }

  float total_max = kFloor;
  precise float total_sum = 0.0;
  precise vec2 total_out[kPairs];
  UNROLL for (uint i = 0; i < kPairs; ++i) total_out[i] = vec2(0.0);
  LOOP for (uint page = first_page; page <= last_page; ++page) {
    sum_page(step_words[pages + page] * (p.page_words / 4), kv_head, page * PUMICE_PAGE, visible,
             position, lane);
    float new_max = max(total_max, page_max);
    float fade = exp(max(total_max - new_max, -88.0));
    float weight = exp(max(page_max - new_max, -88.0));
    total_sum = total_sum * fade + page_sum * weight;
    UNROLL for (uint i = 0; i < kPairs; ++i) total_out[i] = total_out[i] * fade + page_out[i] * weight;
    total_max = new_max;
  }
  uint at = column * p.out_stride + head * HEAD_V;
  UNROLL for (uint j = 0; j < kPairs; ++j) {
    uint e = 2 * (lane + 64 * j);
    if (e >= HEAD_V) continue;
    float x = total_out[j].x / total_sum, y = total_out[j].y / total_sum;
    if (ROTATE != 0) {
      row[e] = x;
      row[e + 1] = y;
    } else {
      attention_out[at + e] = x;
      attention_out[at + e + 1] = y;
    }
  }
  if (ROTATE == 0) return;
  rotate_row(HEAD_V, lane);
  float scale = rotation_scale(HEAD_V);
  LOOP for (uint e = lane; e < HEAD_V; e += 64) attention_out[at + e] = row[e] * scale;
}
