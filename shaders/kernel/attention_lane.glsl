// Attention for drivers that run on a CPU: a subgroup of 8 per (head, token), one position per lane
// for the scores, one piece of the output per lane for the values. Every page is summed on its own
// and folded in ascending order, so the bits do not depend on how prompts were cut. In prompts a
// workgroup has several queries: what costs most is fetching and unpacking K and V.
#include "lib/prelude.glsl"
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_shuffle : require
#include "shared/push.h"
layout(local_size_x = 8) in;
#include "lib/attention_io.glsl"
layout(constant_id = 5) const uint QUERIES = 1;  // columns of a workgroup
layout(constant_id = 6) const uint FEEDS = PUMICE_FEED_NOTHING;
#include "lib/eight.glsl"

// A lane owns `kPiece` neighbouring elements of the output, then those 8 * kPiece further on.
const uint kQueryQuads = (HEAD_K + 31) / 32;  // of q per lane
const uint kPiece = V_TYPE == PUMICE_CACHE_F32 ? 4 : 8;
const uint kPieceQuads = kPiece / 4;
const uint kPieces = (HEAD_V / kPiece + 7) / 8;  // per lane
const uint kOutQuads = kPieces * kPieceQuads;

vec4 query[QUERIES * kQueryQuads];
vec4 page_out[QUERIES * kOutQuads], total_out[QUERIES * kOutQuads];
#include "lib/feed_query.glsl"

float dot_query(uint q, uint quad_index, vec4 k) {
  vec4 mine = query[q * kQueryQuads + quad_index / 8];
  uint from = quad_index % 8;
  return (k.x * subgroupShuffle(mine.x, from) + k.y * subgroupShuffle(mine.y, from)) +
         (k.z * subgroupShuffle(mine.z, from) + k.w * subgroupShuffle(mine.w, from));
}

void quantised_scores(uint page_unit, uint kv_head, uint position, inout float s[QUERIES]) {
  uint scales_at = page_unit * 4 + p.k_scales_at;
  UNROLL for (uint block = 0; block < HEAD_K / 32; ++block) {
    vec2 two = unpackHalf2x16(
        cache_word(scale_word(scales_at, kv_head, kPairsK, position, block >> 1)));
    float scale = (block & 1) != 0 ? two.y : two.x;
    float sums[QUERIES];
    UNROLL for (uint q = 0; q < QUERIES; ++q) sums[q] = 0.0;
    if (K_TYPE == PUMICE_CACHE_Q8_0) {
      UNROLL for (uint u = 0; u < 2; ++u) {
        uvec4 unit = cache_unit(k_unit(page_unit, kv_head, kUnitsK, position, block * 2 + u));
        UNROLL for (uint i = 0; i < 4; ++i) {
          vec4 k = signed_bytes(unit[i]);
          UNROLL for (uint q = 0; q < QUERIES; ++q)
            sums[q] += dot_query(q, block * 8 + u * 4 + i, k);
        }
      }
    } else {
      uvec4 unit = cache_unit(k_unit(page_unit, kv_head, kUnitsK, position, block));
      UNROLL for (uint i = 0; i < 8; ++i) {
        vec4 k = signed_nibbles(unit[i >> 1], (i & 1) == 0 ? 4 : 0);
        UNROLL for (uint q = 0; q < QUERIES; ++q) sums[q] += dot_query(q, block * 8 + i, k);
      }
    }
    UNROLL for (uint q = 0; q < QUERIES; ++q) s[q] += sums[q] * scale;
  }
}

// Of this lane's position with every query.
void scores(uint page_unit, uint kv_head, uint position, out float s[QUERIES]) {
  UNROLL for (uint q = 0; q < QUERIES; ++q) s[q] = 0.0;
  if (K_TYPE > PUMICE_CACHE_F16) {
    quantised_scores(page_unit, kv_head, position, s);
    return;
  }
  UNROLL for (uint u = 0; u < kUnitsK; ++u) {
    uvec4 unit = cache_unit(k_unit(page_unit, kv_head, kUnitsK, position, u));
    if (K_TYPE == PUMICE_CACHE_F32) {
      UNROLL for (uint q = 0; q < QUERIES; ++q) s[q] += dot_query(q, u, uintBitsToFloat(unit));
    } else {
      vec4 low = vec4(unpackHalf2x16(unit.x), unpackHalf2x16(unit.y));
      vec4 high = vec4(unpackHalf2x16(unit.z), unpackHalf2x16(unit.w));
      UNROLL for (uint q = 0; q < QUERIES; ++q) {
        s[q] += dot_query(q, 2 * u, low);
        s[q] += dot_query(q, 2 * u + 1, high);
      }
    }
  }
}

// Adds eight weighted rows of V to each query's; lane l holds the weights of position `first + l`.
// Nothing beyond `last` is read: what lies there is another time's, and a weight of zero does not
// make a zero of an infinity.
void add_floats(uint v_first, uint kv_head, uint first, uint last, float weight[QUERIES],
                uint lane) {
  UNROLL for (uint i = 0; i < 8; ++i) {
    uint position = min(first + i, last);
    UNROLL for (uint u = 0; u < kPieces; ++u) {
      uint unit_index = min(u * 8 + lane, kUnitsV - 1);
      uvec4 unit = cache_unit(v_unit(v_first, kv_head, kUnitsV, position, unit_index));
      vec4 low = uintBitsToFloat(unit), high;
      if (V_TYPE == PUMICE_CACHE_F16) {
        low = vec4(unpackHalf2x16(unit.x), unpackHalf2x16(unit.y));
        high = vec4(unpackHalf2x16(unit.z), unpackHalf2x16(unit.w));
      }
      UNROLL for (uint q = 0; q < QUERIES; ++q) {
        float w = subgroupShuffle(weight[q], i);
        page_out[q * kOutQuads + u * kPieceQuads] += w * low;
        if (V_TYPE == PUMICE_CACHE_F16) page_out[q * kOutQuads + u * kPieceQuads + 1] += w * high;
      }
    }
  }
}

// Two lanes share a unit of q8_0, four one of q4_0. A round of pieces is two blocks: their scales
// are read by the lane that holds the position's weights.
void add_quantised(uint v_first, uint kv_head, uint first, uint last, float weight[QUERIES],
                   uint lane) {
  uint scales_at = v_first * 4 - p.v_at + p.v_scales_at;
  UNROLL for (uint u = 0; u < kPieces; ++u) {
    vec2 block_scales = unpackHalf2x16(
        cache_word(scale_word(scales_at, kv_head, kPairsV, min(first + lane, last), u)));
    uint piece = min(u * 8 + lane, HEAD_V / 8 - 1);
    UNROLL for (uint i = 0; i < 8; ++i) {
      vec4 low, high;
      if (V_TYPE == PUMICE_CACHE_Q8_0) {
        uvec4 unit = cache_unit(v_unit(v_first, kv_head, kUnitsV, first + i, piece >> 1));
        uvec2 words = (piece & 1) != 0 ? unit.zw : unit.xy;
        low = signed_bytes(words.x);
        high = signed_bytes(words.y);
      } else {
        uint word = cache_unit(v_unit(v_first, kv_head, kUnitsV, first + i, piece >> 2))[piece & 3];
        low = signed_nibbles(word, 4);
        high = signed_nibbles(word, 0);
      }
      UNROLL for (uint q = 0; q < QUERIES; ++q) {
        vec2 weights = weight[q] * block_scales;
        float w_low = subgroupShuffle(weights.x, i), w_high = subgroupShuffle(weights.y, i);
        float w = lane < 4 ? w_low : w_high;
        page_out[q * kOutQuads + 2 * u] += w * low;
        page_out[q * kOutQuads + 2 * u + 1] += w * high;
      }
    }
  }
}

void add_values(uint v_first, uint kv_head, uint first, uint last, float weight[QUERIES],
                uint lane) {
  if (V_TYPE > PUMICE_CACHE_F16)
    add_quantised(v_first, kv_head, first, last, weight, lane);
  else
    add_floats(v_first, kv_head, first, last, weight, lane);
}

// Sums and differences of elements of total_out at the distances inside a lane, between lanes, and
// between rounds of pieces: the transform of lib/hadamard.glsl, without shared memory.
void turn_back(uint at, uint lane) {
  const uint block = HEAD_V & (~HEAD_V + 1u);
  UNROLL for (uint i = 0; i < kOutQuads; ++i) {
    vec4 v = total_out[at + i];
    v = vec4(v.x + v.y, v.x - v.y, v.z + v.w, v.z - v.w);
    total_out[at + i] = vec4(v.xy + v.zw, v.xy - v.zw);
  }
  if (kPieceQuads == 2) {
    UNROLL for (uint i = 0; i < kOutQuads; i += 2) {
      vec4 a = total_out[at + i], b = total_out[at + i + 1];
      total_out[at + i] = a + b;
      total_out[at + i + 1] = a - b;
    }
  }
  UNROLL for (uint apart = 1; apart < 8; apart *= 2) {
    if (apart * kPiece < block) {
      UNROLL for (uint i = 0; i < kOutQuads; ++i) {
        vec4 own = total_out[at + i], other = subgroupShuffleXor(own, apart);
        total_out[at + i] = other + ((lane & apart) == 0 ? own : -own);
      }
    }
  }
  UNROLL for (uint apart = 1; apart < kPieces; apart *= 2) {
    if (apart * 8 * kPiece < block) {
      UNROLL for (uint i = 0; i + apart * kPieceQuads < kOutQuads; ++i) {
        if (((i / kPieceQuads) & apart) != 0) continue;
        vec4 a = total_out[at + i], b = total_out[at + i + apart * kPieceQuads];
        total_out[at + i] = a + b;
        total_out[at + i + apart * kPieceQuads] = a - b;
      }
    }
  }
}

struct Softmax {
  float largest, sum;
};

// One sequence's pages against its queries. Blocks that a query does not see leave its bits alone:
// they fade by exp(0) and add zeros. A query of another sequence keeps what it has, whatever is
// read: zero times an infinity is not zero.
void read_pages(uint pages, uint position[QUERIES], bool of_this[QUERIES], uint kv_head, uint lane,
                inout Softmax total[QUERIES]) {
  uint visible[QUERIES];
  uint first_seen = 0xFFFFFFFFu, last_seen = 0;
  UNROLL for (uint q = 0; q < QUERIES; ++q) {
    visible[q] = first_visible(position[q]);
    if (of_this[q]) {
      first_seen = min(first_seen, visible[q]);
      last_seen = max(last_seen, position[q]);
    }
  }
  LOOP for (uint page = first_seen / PUMICE_PAGE; page <= last_seen / PUMICE_PAGE; ++page) {
    uint page_unit = step_words[pages + page] * (p.page_words / 4);
    Softmax of_page[QUERIES];
    UNROLL for (uint q = 0; q < QUERIES; ++q) of_page[q] = Softmax(kFloor, 0.0);
    UNROLL for (uint i = 0; i < QUERIES * kOutQuads; ++i) page_out[i] = vec4(0.0);
    uint page_first = page * PUMICE_PAGE;
    uint first = first_seen > page_first ? (first_seen - page_first) & ~7u : 0;
    uint last = min(last_seen - page_first, PUMICE_PAGE - 1);
    LOOP for (uint eight = first; eight <= last; eight += 8) {
      uint at = page_first + eight + lane;
      float s[QUERIES], weight[QUERIES];
      scores(page_unit, kv_head, eight + lane, s);
      UNROLL for (uint q = 0; q < QUERIES; ++q) {
        bool seen = of_this[q] && at >= visible[q] && at <= position[q];
        float shaped = seen ? shape_score(s[q]) : kFloor;
        float largest = max(of_page[q].largest, max8(shaped));
        float fade = exp(max(of_page[q].largest - largest, -88.0));
        weight[q] = seen ? exp(max(shaped - largest, -88.0)) : 0.0;
        of_page[q] = Softmax(largest, of_page[q].sum * fade + sum8(weight[q]));
        UNROLL for (uint i = 0; i < kOutQuads; ++i) page_out[q * kOutQuads + i] *= fade;
      }
      add_values(page_unit + p.v_at / 4, kv_head, eight, last, weight, lane);
    }
    UNROLL for (uint q = 0; q < QUERIES; ++q) {
      float largest = max(total[q].largest, of_page[q].largest);
      float fade = exp(max(total[q].largest - largest, -88.0));
      float weight = exp(max(of_page[q].largest - largest, -88.0));
      if (of_this[q]) total[q] = Softmax(largest, total[q].sum * fade + of_page[q].sum * weight);
      UNROLL for (uint i = 0; i < kOutQuads; ++i) {
        uint at = q * kOutQuads + i;
        vec4 before = total_out[at], after = before * fade + page_out[at] * weight;
        total_out[at] = of_this[q] ? after : before;
      }
    }
  }
}

void store_query(uint q, uint column, uint head, float sum, uint lane) {
  if (ROTATE != 0) turn_back(q * kOutQuads, lane);
  uint out_first = column * p.out_stride + head * HEAD_V;
  float inverse = 1.0 / sum;
  if (ROTATE != 0) inverse /= sqrt(float(HEAD_V & (~HEAD_V + 1u)));
  if (FEEDS != PUMICE_FEED_NOTHING) {
    feed_query(q * kOutQuads, column, head, inverse, lane);
    return;
  }
  UNROLL for (uint i = 0; i < kOutQuads; ++i) {
    uint piece = (i / kPieceQuads) * 8 + lane;
    if (piece >= HEAD_V / kPiece) continue;
    uint e = piece * kPiece + (i % kPieceQuads) * 4;
    UNROLL for (uint j = 0; j < 4; ++j)
      attention_out[out_first + e + j] = total_out[q * kOutQuads + i][j] * inverse;
  }
}

void main() {
  uint lane = gl_SubgroupInvocationID;
  uint head = gl_WorkGroupID.x, first_column = gl_WorkGroupID.y * QUERIES;
  uint column[QUERIES], position[QUERIES], sequence[QUERIES];
  Softmax total[QUERIES];
  UNROLL for (uint q = 0; q < QUERIES; ++q) {
    column[q] = min(first_column + q, p.columns - 1);
    position[q] = step_words[p.positions_at + column[q]];
    sequence[q] = step_words[p.sequences_at + column[q]];
    total[q] = Softmax(kFloor, 0.0);
    UNROLL for (uint i = 0; i < kQueryQuads; ++i) {
      uint quad_index = min(i * 8 + lane, HEAD_K / 4 - 1);
      query[q * kQueryQuads + i] = in_quad((column[q] * p.q_stride + head * HEAD_K) / 4 + quad_index);
    }
  }
  UNROLL for (uint i = 0; i < QUERIES * kOutQuads; ++i) total_out[i] = vec4(0.0);

  // Neighbours are of one sequence nearly always; where not, every sequence has a round of its own.
  LOOP for (uint round = 0; round < QUERIES; ++round) {
    uint of_round = sequence[0];  // sequence[round], which would put the array into memory
    UNROLL for (uint q = 1; q < QUERIES; ++q) of_round = q == round ? sequence[q] : of_round;
    bool of_this[QUERIES];
    bool had = false;
    UNROLL for (uint q = 0; q < QUERIES; ++q) {
      of_this[q] = sequence[q] == of_round;
      had = had || (q < round && of_this[q]);
    }
    if (!had)
      read_pages(p.pages_at + of_round * p.page_stride, position, of_this, head / p.group, lane, total);
  }
  UNROLL for (uint q = 0; q < QUERIES; ++q)
    if (first_column + q < p.columns) store_query(q, column[q], head, total[q].sum, lane);
}
