// Matrix times many columns for GPUs: a 64 x 64 tile of y per workgroup of 256, 32 weights of depth
// at a time through shared memory, 4 x 4 outputs per invocation. Baseline tier: f32 throughout.
// 16-bit tier (FP16): activations arrive as binary16 in 16-bit storage and both tiles are shared as
// binary16, half the traffic and half the shared memory; products and sums stay f32.
// The order of additions differs from the mat-vec kernels: not eligible with --deterministic.
#ifdef FP16
#extension GL_EXT_shader_16bit_storage : require
#extension GL_EXT_shader_explicit_arithmetic_types_float16 : require
#define STAGED float16_t
layout(set = 0, binding = 1, std430) readonly buffer XHalves { f16vec4 x_halves[]; };
vec4 x_quad(uint i) { return vec4(x_halves[i]); }
#else
#define STAGED float
#include "lib/columns.glsl"
#endif

layout(local_size_x = 256) in;
#include "lib/epilogue.glsl"

const uint kGroupsPerBlock = CODEC_BLOCK / 32;
const uint kRows = 64, kCols = 64;

shared STAGED stage[32 * (kRows + 1) + 32 * (kCols + 1)];
shared float exchange[16 * kRows];  // one column of sums of every invocation
const uint kXTile = 32 * (kRows + 1);

// Each of the first 64 invocations of a half decodes 32 weights of one row.
void load_weights(uint first_tile, uint group, uint lane) {
  if (lane >= kRows) return;
  uint blocks = p.groups / kGroupsPerBlock;
  uint tile = (min(first_tile + lane / 8, p.tiles - 1) * blocks + group / kGroupsPerBlock) * CODEC_UNITS;
  uint g = group % kGroupsPerBlock, r = lane & 7;
  Head head = load_head(tile, r);
  Q32 w = load32(tile, r, g / CODEC_SPAN, g % CODEC_SPAN);
  UNROLL for (uint i = 0; i < 8; ++i) {
    vec2 ab = affine(head, g, i >> 2);
    vec4 v = ab.x * quad(w, i) + ab.y;
    UNROLL for (uint e = 0; e < 4; ++e) stage[(4 * i + e) * (kRows + 1) + lane] = STAGED(v[e]);
  }
}

void load_columns(uint first_col, uint group, uint lane) {
  UNROLL for (uint k = 0; k < 2; ++k) {
    uint at = lane + 256 * k;  // 512 quads: 64 columns x 8
    uint c = at >> 3, q = at & 7;
    vec4 v = vec4(0.0);
    if (first_col + c < p.columns) v = x_quad(((first_col + c) * p.x_stride + group * 32) / 4 + q);
    UNROLL for (uint e = 0; e < 4; ++e) stage[kXTile + (4 * q + e) * (kCols + 1) + c] = STAGED(v[e]);
  }
}

void main() {
  uint lane = gl_LocalInvocationIndex;
  uint first_tile = gl_WorkGroupID.x * (kRows / 8);
  uint first_col = gl_WorkGroupID.y * kCols;
  uint row0 = (lane & 15) * 4, col0 = (lane >> 4) * 4;
  float sums[16];
  UNROLL for (uint i = 0; i < 16; ++i) sums[i] = 0.0;

  LOOP for (uint group = 0; group < p.groups; ++group) {
    load_weights(first_tile, group, lane);
    load_columns(first_col, group, lane);
    barrier();
    LOOP for (uint k = 0; k < 32; ++k) {
      float wr[4], xc[4];
      UNROLL for (uint i = 0; i < 4; ++i) {
        wr[i] = float(stage[k * (kRows + 1) + row0 + i]);
        xc[i] = float(stage[kXTile + k * (kCols + 1) + col0 + i]);
      }
      UNROLL for (uint i = 0; i < 4; ++i)
        UNROLL for (uint j = 0; j < 4; ++j) sums[i * 4 + j] += wr[i] * xc[j];
    }
    barrier();
  }

  // With a gate, tiles alternate gate and up: the partner of a row lies 8 rows further on, in
  // another invocation's sums. They change hands one column per invocation at a time.
  UNROLL for (uint j = 0; j < 4; ++j) {
    if (GATE != 0) {
      barrier();
      UNROLL for (uint i = 0; i < 4; ++i) exchange[(lane >> 4) * kRows + row0 + i] = sums[i * 4 + j];
      barrier();
    }
    UNROLL for (uint i = 0; i < 4; ++i) {
      uint row = row0 + i, tile = first_tile + row / 8, column = first_col + col0 + j;
      if (tile >= p.tiles || column >= p.columns || (GATE != 0 && (row & 8) != 0)) continue;
      uint out_row = p.first_row + (GATE != 0 ? tile / 2 : tile) * 8 + (row & 7);
      float partner = GATE != 0 ? exchange[(lane >> 4) * kRows + row + 8] : 0.0;
      store_row(out_row, column, sums[i * 4 + j], partner);
    }
  }
}
