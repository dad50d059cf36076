// Attention for drivers that run on a CPU: a subgroup of 8 per (head, token), one position per lane
// for the scores, one piece of the output per lane for the values. Every page is summed on its own
// and folded in ascending order, so the bits do not depend on how prompts were cut.
#include "lib/prelude.glsl"
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_shuffle : require
#include "shared/push.h"
layout(local_size_x = 8) in;
#include "lib/attention_io.glsl"

// A lane owns `kPiece` neighbouring elements of the output, then those 8 * kPiece further on.
const uint kQueryQuads = (HEAD_K + 31) / 32;  // of q per lane
const uint kPiece = V_TYPE == PUMICE_CACHE_F32 ? 4 : 8;
const uint kPieceQuads = kPiece / 4;
const uint kPieces = (HEAD_V / kPiece + 7) / 8;  // per lane
const uint kOutQuads = kPieces * kPieceQuads;

vec4 query[kQueryQuads];
vec4 page_out[kOutQuads], total_out[kOutQuads];

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

float quantised_score(uint page_unit, uint kv_head, uint position) {
  float s = 0.0;
  uint scales_at = page_unit * 4 + p.k_scales_at;
  UNROLL for (uint block = 0; block < HEAD_K / 32; ++block) {
    vec2 two = unpackHalf2x16(
        cache_word(scale_word(scales_at, kv_head, kPairsK, position, block >> 1)));
    float sum = 0.0;
    if (K_TYPE == PUMICE_CACHE_Q8_0) {
      UNROLL for (uint u = 0; u < 2; ++u) {
        uvec4 unit = cache_unit(k_unit(page_unit, kv_head, kUnitsK, position, block * 2 + u));
        UNROLL for (uint i = 0; i < 4; ++i)
          sum += dot_query(block * 8 + u * 4 + i, signed_bytes(unit[i]));
      }
    } else {
      uvec4 unit = cache_unit(k_unit(page_unit, kv_head, kUnitsK, position, block));
      UNROLL for (uint i = 0; i < 4; ++i) {
        sum += dot_query(block * 8 + i * 2, signed_nibbles(unit[i], 4));
        sum += dot_query(block * 8 + i * 2 + 1, signed_nibbles(unit[i], 0));
      }
    }
    s += sum * ((block & 1) != 0 ? two.y : two.x);
  }
  return s;
}

float score(uint page_unit, uint kv_head, uint position) {
  if (K_TYPE > PUMICE_CACHE_F16) return quantised_score(page_unit, kv_head, position);
  float s = 0.0;
  UNROLL for (uint u = 0; u < kUnitsK; ++u) {
    uvec4 unit = cache_unit(k_unit(page_unit, kv_head, kUnitsK, position, u));
    if (K_TYPE == PUMICE_CACHE_F32) {
      s += dot_query(u, uintBitsToFloat(unit));
    } else {
      s += dot_query(2 * u, vec4(unpackHalf2x16(unit.x), unpackHalf2x16(unit.y)));
      s += dot_query(2 * u + 1, vec4(unpackHalf2x16(unit.z), unpackHalf2x16(unit.w)));
    }
  }
  return s;
}

// Adds eight weighted rows of V; lane l holds the weight of position `first + l`.
void add_floats(uint v_first, uint kv_head, uint first, float weight, uint lane) {
  UNROLL for (uint i = 0; i < 8; ++i) {
    float w = subgroupShuffle(weight, i);
    UNROLL for (uint u = 0; u < kPieces; ++u) {
      uint unit_index = min(u * 8 + lane, kUnitsV - 1);
      uvec4 unit = cache_unit(v_unit(v_first, kv_head, kUnitsV, first + i, unit_index));
      if (V_TYPE == PUMICE_CACHE_F32) {
        page_out[u] += w * uintBitsToFloat(unit);
      } else {
        page_out[2 * u] += w * vec4(unpackHalf2x16(unit.x), unpackHalf2x16(unit.y));
        page_out[2 * u + 1] += w * vec4(unpackHalf2x16(unit.z), unpackHalf2x16(unit.w));
      }
    }
  }
}

// Two lanes share a unit of q8_0, four one of q4_0. A round of pieces is two blocks: their scales
// are read by the lane that holds the position's weight.
void add_quantised(uint v_first, uint kv_head, uint first, float weight, uint lane) {
  uint scales_at = v_first * 4 - p.v_at + p.v_scales_at;
  UNROLL for (uint u = 0; u < kPieces; ++u) {
    vec2 weights = weight * unpackHalf2x16(
        cache_word(scale_word(scales_at, kv_head, kPairsV, first + lane, u)));
    uint piece = min(u * 8 + lane, HEAD_V / 8 - 1);
    UNROLL for (uint i = 0; i < 8; ++i) {
      float w_low = subgroupShuffle(weights.x, i), w_high = subgroupShuffle(weights.y, i);
      float w = lane < 4 ? w_low : w_high;
      if (V_TYPE == PUMICE_CACHE_Q8_0) {
        uvec4 unit = cache_unit(v_unit(v_first, kv_head, kUnitsV, first + i, piece >> 1));
        uvec2 words = (piece & 1) != 0 ? unit.zw : unit.xy;
        page_out[2 * u] += w * signed_bytes(words.x);
        page_out[2 * u + 1] += w * signed_bytes(words.y);
      } else {
        uint word = cache_unit(v_unit(v_first, kv_head, kUnitsV, first + i, piece >> 2))[piece & 3];
        page_out[2 * u] += w * signed_nibbles(word, 4);
        page_out[2 * u + 1] += w * signed_nibbles(word, 0);
      }
    }
  }
}

void add_values(uint v_first, uint kv_head, uint first, float weight, uint lane) {
  if (V_TYPE > PUMICE_CACHE_F16)
    add_quantised(v_first, kv_head, first, weight, lane);
  else
    add_floats(v_first, kv_head, first, weight, lane);
}

// Sums and differences of elements of total_out at the distances inside a lane, between lanes, and
// between rounds of pieces: the transform of lib/hadamard.glsl, without shared memory.
void turn_back(uint lane) {
  const uint block = HEAD_V & (~HEAD_V + 1u);
  UNROLL for (uint i = 0; i < kOutQuads; ++i) {
    vec4 v = total_out[i];
    v = vec4(v.x + v.y, v.x - v.y, v.z + v.w, v.z - v.w);
    total_out[i] = vec4(v.xy + v.zw, v.xy - v.zw);
  }
  if (kPieceQuads == 2) {
    UNROLL for (uint i = 0; i < kOutQuads; i += 2) {
      vec4 a = total_out[i], b = total_out[i + 1];
      total_out[i] = a + b;
      total_out[i + 1] = a - b;
    }
  }
  UNROLL for (uint apart = 1; apart < 8; apart *= 2) {
    if (apart * kPiece < block) {
      UNROLL for (uint i = 0; i < kOutQuads; ++i) {
        vec4 own = total_out[i], other = subgroupShuffleXor(own, apart);
        total_out[i] = other + ((lane & apart) == 0 ? own : -own);
      }
    }
  }
  UNROLL for (uint apart = 1; apart < kPieces; apart *= 2) {
    if (apart * 8 * kPiece < block) {
      UNROLL for (uint i = 0; i + apart * kPieceQuads < kOutQuads; ++i) {
        if (((i / kPieceQuads) & apart) != 0) continue;
        vec4 a = total_out[i], b = total_out[i + apart * kPieceQuads];
        total_out[i] = a + b;
        total_out[i + apart * kPieceQuads] = a - b;
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

  if (ROTATE != 0) turn_back(lane);
  uint out_first = column * p.out_stride + head * HEAD_V;
  float inverse = 1.0 / total_sum;
  if (ROTATE != 0) inverse /= sqrt(float(HEAD_V & (~HEAD_V + 1u)));
  UNROLL for (uint i = 0; i < kOutQuads; ++i) {
    uint piece = (i / kPieceQuads) * 8 + lane;
    if (piece >= HEAD_V / kPiece) continue;
    uint e = piece * kPiece + (i % kPieceQuads) * 4;
    UNROLL for (uint j = 0; j < 4; ++j) attention_out[out_first + e + j] = total_out[i][j] * inverse;
  }
}
