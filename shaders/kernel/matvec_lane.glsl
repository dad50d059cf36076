// Matrix times COLS columns for drivers that run on a CPU: one row of the matrix per lane, TILES
// tiles of 8 rows per workgroup. Eight lanes load x together and hand it around by constant
// shuffles. No shared memory, no barrier. Needs a subgroup of 8; it would spill on a GPU.
// The order of additions of one output depends on its row alone, never on COLS, TILES or RUNS.
//
// What costs most in small matrices is the dispatch itself, so a kernel takes over what neighbours
// would do: it can leave its rows as the next matrix reads them (FEEDS), rotate q and k and store K
// and V (STORES, one column), and apply the RMS norm of x to its sums, for W (x / rms) = (W x) / rms:
// who made x leaves its squares.
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_shuffle : require
#extension GL_KHR_shader_subgroup_shuffle_relative : require

layout(local_size_x = 8) in;
layout(constant_id = 4) const uint COLS = 1;
layout(constant_id = 5) const uint TILES = 1;
layout(constant_id = 6) const uint RUNS = 1;    // groups of TILES, one after the other
#ifdef ACT_Q8
layout(constant_id = 7) const uint X_NORM = 0;  // x is still to be divided by its RMS
layout(constant_id = 8) const uint FEEDS = PUMICE_FEED_NOTHING;  // else 32 rows per workgroup
#else
const uint X_NORM = 0, FEEDS = PUMICE_FEED_NOTHING;
#endif

#include "lib/columns.glsl"
#include "lib/epilogue.glsl"
#include "lib/eight.glsl"
#ifdef ACT_Q8
#include "lib/feed.glsl"
#include "lib/qkv_store.glsl"
#endif

const uint kGroupsPerBlock = CODEC_BLOCK / 32;
// Groups that share words are unrolled together for one column; with more the code would only grow.
const uint kSpan = COLS == 1 || CODEC_SPAN == 1 ? CODEC_SPAN : 2;

// Columns that are multiplied together: with all tiles their sums shall fit a core's registers.
const uint kAtOnce = COLS * TILES <= 16 ? COLS : 16 / TILES;

float acc[TILES * COLS];
float squares[COLS];  // lane g: of the groups of x whose scales it reads

#ifdef ACT_Q8
// Pairs that fit 16 bits between two flushes: 2 * kPairs * CODEC_QMAX * 127 < 32768.
const uint kPairs = CODEC_QMAX <= 3 ? 16 : CODEC_QMAX <= 7 ? 16 : CODEC_QMAX <= 15 ? 8
                    : CODEC_QMAX <= 31 ? 4 : CODEC_QMAX <= 63 ? 2 : 1;

// Whether products are made one by one. LLVM sees that both sides fit 16 bits and makes product and
// addition one instruction of one micro-operation (vpdpwssd, or vpmaddwd); a pair's vpmulld has two
// and its sum must be flushed. But weights and activations have to be taken apart, which only many
// columns pay back. The sums are integers: both ways give the same bits.
#ifdef CODEC_SIGNED
const bool kSingly = false;
#else
const bool kSingly = COLS >= 4;
#endif

const uint kSums = 2 * TILES * kAtOnce;  // of both halves of a group, of each tile and column

// Weights (0, 2) or (1, 3) of four packed ones as two 16-bit halves of a product's left side.
uint pair_of(uint b, uint odd) {
  uint halves = (odd != 0 ? b >> 8 : b) & 0x00FF00FFu;
#ifdef CODEC_SIGNED
  halves = (halves ^ 0x00800080u) - 0x00800080u;
#endif
  return halves;
}

// x words hold x_b + (x_a << 16), so the upper half of a product sums q_a x_a + q_b x_b exactly.
void sum_pairs(Q32 w[TILES], uvec4 xv[COLS], uint first, uint first_lane, inout int sums[kSums]) {
  uint packed_sum[TILES * kAtOnce];
  UNROLL for (uint i = 0; i < TILES * kAtOnce; ++i) packed_sum[i] = 0;
  UNROLL for (uint k = 0; k < 16; ++k) {  // k-th pair: word k / 2, even or odd bytes
    uint q[TILES];
    UNROLL for (uint t = 0; t < TILES; ++t) q[t] = pair_of(bytes4(w[t], k >> 1), k & 1);
    UNROLL for (uint c = 0; c < kAtOnce; ++c) {
      uint x = subgroupShuffle(xv[first + c][k & 3], first_lane + (k >> 2));
      UNROLL for (uint t = 0; t < TILES; ++t) packed_sum[t * kAtOnce + c] += q[t] * x;
    }
    if ((k + 1) % kPairs == 0 || k == 15 || k == 7) {
      UNROLL for (uint i = 0; i < TILES * kAtOnce; ++i) {
        sums[2 * i + (k >> 3)] += int(packed_sum[i] + 0x8000u) >> 16;
        packed_sum[i] = 0;
      }
    }
  }
}

void sum_singly(Q32 w[TILES], ivec4 x_a[COLS], ivec4 x_b[COLS], uint first, uint first_lane,
                inout int sums[kSums]) {
  UNROLL for (uint k = 0; k < 32; ++k) {  // byte k % 4 of word k / 4
    int q[TILES];
    UNROLL for (uint t = 0; t < TILES; ++t) q[t] = int((bytes4(w[t], k >> 2) >> (8 * (k & 3))) & 0xFFu);
    uint word = 2 * (k >> 2) + (k & 1);
    UNROLL for (uint c = 0; c < kAtOnce; ++c) {
      int half_word = (k & 2) == 0 ? x_a[first + c][word & 3] : x_b[first + c][word & 3];
      int x = subgroupShuffle(half_word, first_lane + (word >> 2));
      UNROLL for (uint t = 0; t < TILES; ++t)
        sums[2 * (t * kAtOnce + c) + (CODEC_GROUP == 16 ? k >> 4 : 0)] += q[t] * x;
    }
  }
}

// 32 weights of TILES rows against 32 activations of COLS columns.
void multiply_group(Q32 w[TILES], vec2 ab_lo[TILES], vec2 ab_hi[TILES], uvec4 xv[COLS],
                    vec4 xs[COLS], uint first_lane) {
  ivec4 x_a[COLS], x_b[COLS];
  if (kSingly) {
    UNROLL for (uint c = 0; c < COLS; ++c) {
      x_a[c] = ivec4(xv[c] + 0x8000u) >> 16;
      x_b[c] = ivec4(xv[c] << 16) >> 16;
    }
  }
  UNROLL for (uint first = 0; first < COLS; first += kAtOnce) {
    int sums[kSums];
    UNROLL for (uint i = 0; i < kSums; ++i) sums[i] = 0;
    if (kSingly)
      sum_singly(w, x_a, x_b, first, first_lane, sums);
    else
      sum_pairs(w, xv, first, first_lane, sums);
    UNROLL for (uint t = 0; t < TILES; ++t) {
      UNROLL for (uint c = 0; c < kAtOnce; ++c) {
        uint s = 2 * (t * kAtOnce + c), at = t * COLS + first + c;
        vec4 x = xs[first + c];
#if CODEC_GROUP == 16
        acc[at] += x.x * (ab_lo[t].x * float(sums[s]) + ab_hi[t].x * float(sums[s + 1])) +
                   (ab_lo[t].y * x.y + ab_hi[t].y * x.z);
#else
        acc[at] += x.x * (ab_lo[t].x * float(sums[s] + sums[s + 1])) + ab_lo[t].y * (x.y + x.z);
#endif
      }
    }
  }
}
#else
// Sums of x over the halves of 32 activations, in every lane.
vec2 half_sums(vec4 xv) {
  float s = (xv.x + xv.y) + (xv.z + xv.w);
  s += subgroupShuffleXor(s, 1);
  s += subgroupShuffleXor(s, 2);
  return vec2(subgroupShuffle(s, 0), subgroupShuffle(s, 4));
}

void multiply_group(Q32 w[TILES], vec2 ab_lo[TILES], vec2 ab_hi[TILES], vec4 xv[COLS]) {
  UNROLL for (uint side = 0; side < 2; ++side) {
    float dots[TILES * COLS];
    UNROLL for (uint k = 0; k < TILES * COLS; ++k) dots[k] = 0.0;
    UNROLL for (uint i = 0; i < 4; ++i) {
      vec4 q[TILES];
      UNROLL for (uint t = 0; t < TILES; ++t) q[t] = quad(w[t], 4 * side + i);
      UNROLL for (uint c = 0; c < COLS; ++c) {
        UNROLL for (uint e = 0; e < 4; ++e) {
          float x = subgroupShuffle(xv[c][e], 4 * side + i);
          UNROLL for (uint t = 0; t < TILES; ++t) dots[t * COLS + c] += q[t][e] * x;
        }
      }
    }
    UNROLL for (uint t = 0; t < TILES; ++t)
      UNROLL for (uint c = 0; c < COLS; ++c)
        acc[t * COLS + c] += (side == 0 ? ab_lo[t].x : ab_hi[t].x) * dots[t * COLS + c];
  }
#ifndef CODEC_FLOAT
  UNROLL for (uint c = 0; c < COLS; ++c) {
    vec2 sums = half_sums(xv[c]);
    UNROLL for (uint t = 0; t < TILES; ++t)
      acc[t * COLS + c] += ab_lo[t].y * sums.x + ab_hi[t].y * sums.y;
  }
#endif
}
#endif

// Of TILES tiles of 8 rows; `first_unit` is where their weights begin.
void sum_rows(uint first_unit[TILES], uint x_first[COLS], uint blocks, uint lane) {
  UNROLL for (uint i = 0; i < TILES * COLS; ++i) acc[i] = 0.0;
  UNROLL for (uint c = 0; c < COLS; ++c) squares[c] = 0.0;
  LOOP for (uint b = 0; b < blocks; ++b) {
    uint tile[TILES];
    Head head[TILES];
    UNROLL for (uint t = 0; t < TILES; ++t) {
      tile[t] = first_unit[t] + b * CODEC_UNITS;
      head[t] = load_head(tile[t], lane);
    }
#ifdef ACT_Q8
    uint x_block[COLS];
    vec4 x_scales_8[COLS];  // lane g: scale and sums of group g of this block
    UNROLL for (uint c = 0; c < COLS; ++c) {
      x_block[c] = x_first[c] / 32 + b * kGroupsPerBlock;
      x_scales_8[c] = x_scale(x_block[c] + min(lane, kGroupsPerBlock - 1));
      if (X_NORM != 0) squares[c] += lane < kGroupsPerBlock ? x_scales_8[c].w : 0.0;
    }
#endif
    LOOP for (uint span = 0; span < kGroupsPerBlock; span += kSpan) {
      // Compilers must see that a span's groups share words: h is the same, s a constant.
      uint h = span / CODEC_SPAN;
#if defined(ACT_Q8)
      // Eight lanes hold the 2 x 16 words of two groups, or one group twice.
      uvec4 xv[COLS];
      UNROLL for (uint s = 0; s < kSpan; ++s) {
        uint g = span + s;
        uint in_span = kSpan == CODEC_SPAN ? s : span % CODEC_SPAN + s;
        if ((s & 1) == 0) {
          UNROLL for (uint c = 0; c < COLS; ++c)
            xv[c] = x_unit((x_block[c] + g) * 4 + (kSpan == 1 ? lane & 3 : lane));
        }
        vec4 xs[COLS];
        UNROLL for (uint c = 0; c < COLS; ++c)
          xs[c] = vec4(subgroupShuffle(x_scales_8[c].x, g), subgroupShuffle(x_scales_8[c].y, g),
                       subgroupShuffle(x_scales_8[c].z, g), 0.0);
        Q32 w[TILES];
        vec2 ab_lo[TILES], ab_hi[TILES];
        UNROLL for (uint t = 0; t < TILES; ++t) {
          w[t] = load32(tile[t], lane, h, in_span);
          ab_lo[t] = affine(head[t], g, 0);
          ab_hi[t] = CODEC_GROUP == 16 ? affine(head[t], g, 1) : ab_lo[t];
        }
        multiply_group(w, ab_lo, ab_hi, xv, xs, 4 * (s & 1));
      }
#else
      UNROLL for (uint s = 0; s < kSpan; ++s) {
        uint g = span + s;
        uint in_span = kSpan == CODEC_SPAN ? s : span % CODEC_SPAN + s;
        vec4 xv[COLS];
        UNROLL for (uint c = 0; c < COLS; ++c)
          xv[c] = x_quad((x_first[c] + (b * kGroupsPerBlock + g) * 32) / 4 + lane);
        Q32 w[TILES];
        vec2 ab_lo[TILES], ab_hi[TILES];
        UNROLL for (uint t = 0; t < TILES; ++t) {
          w[t] = load32(tile[t], lane, h, in_span);
          ab_lo[t] = affine(head[t], g, 0);
          ab_hi[t] = CODEC_GROUP == 16 ? affine(head[t], g, 1) : ab_lo[t];
        }
        multiply_group(w, ab_lo, ab_hi, xv);
      }
#endif
    }
  }
}

// A gate tile and its up tile make one tile of rows.
const uint kTilesPerRow = GATE != 0 ? 2 : 1;
const uint kRowTiles = TILES / kTilesPerRow;  // of a run

float fed[RUNS * kRowTiles * COLS];

void run_tiles(uint run, uint blocks, uint expert, uint x_first[COLS], uint first_col, uint lane) {
  uint first_tile = (gl_WorkGroupID.x * RUNS + run) * TILES;
  uint first_unit[TILES];
  UNROLL for (uint t = 0; t < TILES; ++t)
    first_unit[t] = (expert + min(first_tile + t, p.tiles - 1)) * blocks * CODEC_UNITS;
  sum_rows(first_unit, x_first, blocks, lane);

  float factor[COLS];
  UNROLL for (uint c = 0; c < COLS; ++c)
    factor[c] = X_NORM != 0 ? 1.0 / sqrt(sum8(squares[c]) / float(p.x_width) + p.x_eps) : 1.0;
  UNROLL for (uint t = 0; t < kRowTiles; ++t) {
    uint tile = first_tile + t * kTilesPerRow;
    uint row = p.first_row + (tile / kTilesPerRow) * 8 + lane;
    UNROLL for (uint c = 0; c < COLS; ++c) {
      float sum = acc[t * kTilesPerRow * COLS + c] * factor[c];
      float partner = GATE != 0 ? acc[(2 * t + 1) * COLS + c] * factor[c] : 0.0;
#ifdef ACT_Q8
      if (STORES != 0) {
        if (tile < p.tiles)
          store_qkv(row, first_col + c, finished_row(row, first_col + c, sum, partner), lane);
        continue;
      }
#endif
      if (FEEDS == PUMICE_FEED_NOTHING) {
        if (tile < p.tiles) store_row(row, first_col + c, sum, partner);
        continue;
      }
      float value = finished_row(row, first_col + c, sum, partner);
      if (FEEDS == PUMICE_FEED_NORM) y[y_word(first_col + c) + row] = value;
      // fed[run], which would put the array into memory
      UNROLL for (uint r = 0; r < RUNS; ++r) {
        uint at = (r * kRowTiles + t) * COLS + c;
        fed[at] = run == r ? value : fed[at];
      }
    }
  }
}

void main() {
  uint lane = gl_SubgroupInvocationID;
  uint first_col = gl_WorkGroupID.y * COLS;
  // Read once: a driver that runs on a CPU gathers push constants lane by lane, each time.
  uint blocks = p.groups / kGroupsPerBlock;
  uint expert = expert_tile(first_col);
  uint x_first[COLS];
  UNROLL for (uint c = 0; c < COLS; ++c) x_first[c] = x_word(first_col + c);
#ifdef ACT_Q8
  if (STORES != 0) find_page(first_col);
#endif
  if (RUNS == 1) {  // not a loop of one turn: there everything would be masked
    run_tiles(0, blocks, expert, x_first, first_col, lane);
  } else {
    LOOP for (uint run = 0; run < RUNS; ++run)
      run_tiles(run, blocks, expert, x_first, first_col, lane);
  }
#ifdef ACT_Q8
  if (FEEDS == PUMICE_FEED_NOTHING) return;
  UNROLL for (uint c = 0; c < COLS; ++c) {
    float rows[4];
    UNROLL for (uint i = 0; i < 4; ++i) rows[i] = fed[(i % (RUNS * kRowTiles)) * COLS + c];
    feed_rows(rows, p.first_row / 32 + gl_WorkGroupID.x, first_col + c, p.feed_groups, lane,
              FEEDS == PUMICE_FEED_NORM);
  }
#endif
}
