// Attention for drivers that run on a CPU: a subgroup of 8 per (head, token), one position per lane
// for the scores, one piece of the output per lane for the values. Every page is summed on its own
// and folded in ascending order, so the bits do not depend on how prompts were cut.
#include "lib/prelude.glsl"
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_shuffle : require
#include "shared/push.h"
layout(local_size_x = 8) in;
#include "lib/attention_io.glsl"

const uint kQueryQuads = (HEAD_K + 31) / 32;      // of q per lane
const uint kUnitsK = HEAD_K / (KV_F32 != 0 ? 4 : 8);
const uint kUnitsV = HEAD_V / (KV_F32 != 0 ? 4 : 8);
const uint kOutUnits = (kUnitsV + 7) / 8;         // of the output per lane
const uint kOutQuads = kOutUnits * (KV_F32 != 0 ? 1 : 2);

vec4 query[kQueryQuads];
vec4 page_out[kOutQuads];

float sum8(float v) {
  v += subgroupShuffleXor(v, 1);
  v += subgroupShuffleXor(v, 2);
  return v + subgroupShuffleXor(v, 4);
}
float max8(float v) {
  v = max(v, subgroupShuffleXor(v, 1));
  v = max(v, subgroupShuffleXor(v, 2));
  return max(v, subgroupShuffleXor(v, 4));
}

float dot_query(uint quad_index, vec4 k) {
  vec4 mine = query[quad_index / 8];
  uint from = quad_index % 8;
  return (k.x * subgroupShuffle(mine.x, from) + k.y * subgroupShuffle(mine.y, from)) +
         (k.z * subgroupShuffle(mine.z, from) + k.w * subgroupShuffle(mine.w, from));
}

float score(uint page_unit, uint kv_head, uint position) {
  float s = 0.0;
  UNROLL for (uint u = 0; u < kUnitsK; ++u) {
    uvec4 unit = cache_unit(k_unit(page_unit, kv_head, kUnitsK, position, u));
    if (KV_F32 != 0) {
      s += dot_query(u, uintBitsToFloat(unit));
    } else {
      s += dot_query(2 * u, vec4(unpackHalf2x16(unit.x), unpackHalf2x16(unit.y)));
      s += dot_query(2 * u + 1, vec4(unpackHalf2x16(unit.z), unpackHalf2x16(unit.w)));
    }
  }
  return s;
}

// Adds eight weighted rows of V; lane l holds the weight of position `first + l`.
void add_values(uint v_first, uint kv_head, uint first, float weight, uint lane) {
  UNROLL for (uint i = 0; i < 8; ++i) {
    float w = subgroupShuffle(weight, i);
    UNROLL for (uint u = 0; u < kOutUnits; ++u) {
      uint unit_index = min(u * 8 + lane, kUnitsV - 1);
      uvec4 unit = cache_unit(v_unit(v_first, kv_head, kUnitsV, first + i, unit_index));
      if (KV_F32 != 0) {
        page_out[u] += w * uintBitsToFloat(unit);
      } else {
        page_out[2 * u] += w * vec4(unpackHalf2x16(unit.x), unpackHalf2x16(unit.y));
        page_out[2 * u + 1] += w * vec4(unpackHalf2x16(unit.z), unpackHalf2x16(unit.w));
      }
    }
  }
}

void main() {
  uint lane = gl_SubgroupInvocationID;
  uint head = gl_WorkGroupID.x, column = gl_WorkGroupID.y;
  uint kv_head = head / p.group;
  uint position = step_words[p.positions_at + column];
  uint pages = p.pages_at + step_words[p.sequences_at + column] * p.page_stride;
  uint visible = first_visible(position);

  UNROLL for (uint i = 0; i < kQueryQuads; ++i) {
    uint quad_index = min(i * 8 + lane, HEAD_K / 4 - 1);
    query[i] = in_quad((column * p.q_stride + head * HEAD_K) / 4 + quad_index);
  }
  float total_max = kFloor, total_sum = 0.0;
  vec4 total_out[kOutQuads];
  UNROLL for (uint i = 0; i < kOutQuads; ++i) total_out[i] = vec4(0.0);

  LOOP for (uint page = visible / PUMICE_PAGE; page <= position / PUMICE_PAGE; ++page) {
    uint page_unit = step_words[pages + page] * (p.page_words / 4);
    float page_max = kFloor, page_sum = 0.0;
    UNROLL for (uint i = 0; i < kOutQuads; ++i) page_out[i] = vec4(0.0);
    uint page_first = page * PUMICE_PAGE;
    uint first = visible > page_first ? (visible - page_first) & ~7u : 0;
    uint last = min(position - page_first, PUMICE_PAGE - 1);
    LOOP for (uint eight = first; eight <= last; eight += 8) {
      uint at = page_first + eight + lane;
      bool seen = at >= visible && at <= position;
      float s = seen ? shape_score(score(page_unit, kv_head, eight + lane)) : kFloor;
      float new_max = max(page_max, max8(s));
      float fade = exp(max(page_max - new_max, -88.0));
      float weight = seen ? exp(max(s - new_max, -88.0)) : 0.0;
      page_sum = page_sum * fade + sum8(weight);
      UNROLL for (uint i = 0; i < kOutQuads; ++i) page_out[i] *= fade;
      add_values(page_unit + p.v_at / 4, kv_head, eight, weight, lane);
      page_max = new_max;
    }
    float new_max = max(total_max, page_max);
    float fade = exp(max(total_max - new_max, -88.0));
    float weight = exp(max(page_max - new_max, -88.0));
    total_sum = total_sum * fade + page_sum * weight;
    UNROLL for (uint i = 0; i < kOutQuads; ++i) total_out[i] = total_out[i] * fade + page_out[i] * weight;
    total_max = new_max;
  }

  uint out_first = column * p.out_stride + head * HEAD_V;
  float inverse = 1.0 / total_sum;
  UNROLL for (uint i = 0; i < kOutQuads; ++i) {
    uint unit = (KV_F32 != 0 ? i : i / 2) * 8 + lane;
    if (unit >= kUnitsV) continue;
    uint e = unit * unit_elements() + (KV_F32 != 0 ? 0 : (i & 1) * 4);
    UNROLL for (uint j = 0; j < 4; ++j) attention_out[out_first + e + j] = total_out[i][j] * inverse;
  }
}
