// Matrix times COLS columns for GPUs and as the plain fallback: 64 invocations share TILES tiles of
// 8 rows, lane % 8 is the row (so 8 lanes read 128 contiguous bytes), lane / 8 walks the groups of
// 32 weights. Partial sums meet in shared memory in a fixed order. Baseline tier: no subgroup
// operation, 32-bit storage. Bits of one output do not depend on COLS or TILES.
#ifdef DOT8
#extension GL_EXT_spirv_intrinsics : require
spirv_instruction(extensions = ["SPV_KHR_integer_dot_product"], capabilities = [6019, 6018], id = 4450)
int dot4_signed(int a, int b, spirv_literal int packed_4x8);
#endif

layout(local_size_x = 64) in;
layout(constant_id = 4) const uint COLS = 1;
layout(constant_id = 5) const uint TILES = 1;  // 1 or 2

#include "lib/columns.glsl"
#include "lib/epilogue.glsl"

const uint kGroupsPerBlock = CODEC_BLOCK / 32;
const uint kSlots = 8;

shared float partial[TILES * COLS * 64];
float acc[TILES * COLS];

// 32 weights of a row; scale and offset of the lower and the upper 16.
struct Piece {
  Q32 w;
  vec2 lo, hi;
};

#ifdef ACT_Q8
#ifdef DOT8
int dot4(uint a, uint b) { return dot4_signed(int(a), int(b), 0); }
#else
int dot4(uint a, uint b) {
  int sum = 0;
  UNROLL for (int i = 0; i < 32; i += 8)
    sum += bitfieldExtract(int(a), i, 8) * bitfieldExtract(int(b), i, 8);
  return sum;
}
#endif

float piece_sum(Piece t, uvec4 x_lo, uvec4 x_hi, vec4 xs) {
  int sum_lo = 0, sum_hi = 0;
  UNROLL for (uint i = 0; i < 4; ++i) {
    sum_lo += dot4(t.w.lo[i], x_lo[i]);
    sum_hi += dot4(t.w.hi[i], x_hi[i]);
  }
  if (CODEC_GROUP != 16) return xs.x * t.lo.x * float(sum_lo + sum_hi) + t.lo.y * (xs.y + xs.z);
  return xs.x * (t.lo.x * float(sum_lo) + t.hi.x * float(sum_hi)) + (t.lo.y * xs.y + t.hi.y * xs.z);
}

void multiply_column(Piece first, Piece second, uint c, uint group) {
  uint column = x_word(gl_WorkGroupID.y * COLS + c) / 32 + group;
  uvec4 x_lo = x_unit(column * 2), x_hi = x_unit(column * 2 + 1);
  vec4 xs = x_scale(column);
  acc[c] += piece_sum(first, x_lo, x_hi, xs);
  if (TILES > 1) acc[COLS + c] += piece_sum(second, x_lo, x_hi, xs);
}
#else
void multiply_column(Piece first, Piece second, uint c, uint group) {
  uint x_first = (x_word(gl_WorkGroupID.y * COLS + c) + group * 32) / 4;
  UNROLL for (uint side = 0; side < 2; ++side) {
    float dot_first = 0.0, dot_second = 0.0, x_sum = 0.0;
    UNROLL for (uint i = 0; i < 4; ++i) {
      vec4 x = x_quad(x_first + 4 * side + i);
      dot_first += dot(quad(first.w, 4 * side + i), x);
      if (TILES > 1) dot_second += dot(quad(second.w, 4 * side + i), x);
#ifndef CODEC_FLOAT
      x_sum += (x.x + x.y) + (x.z + x.w);
#endif
    }
    vec2 ab = side == 0 ? first.lo : first.hi;
    acc[c] += ab.x * dot_first + ab.y * x_sum;
    if (TILES > 1) {
      ab = side == 0 ? second.lo : second.hi;
      acc[COLS + c] += ab.x * dot_second + ab.y * x_sum;
    }
  }
}
#endif

Piece load_piece(uint tile, uint row, uint group) {
  uint unit = (tile * (p.groups / kGroupsPerBlock) + group / kGroupsPerBlock) * CODEC_UNITS;
  uint g = group % kGroupsPerBlock;
  Head head = load_head(unit, row);
  Piece piece;
  piece.w = load32(unit, row, g / CODEC_SPAN, g % CODEC_SPAN);
  piece.lo = affine(head, g, 0);
  piece.hi = CODEC_GROUP == 16 ? affine(head, g, 1) : piece.lo;
  return piece;
}

void main() {
  uint lane = gl_LocalInvocationIndex;
  uint row = lane & 7, slot = lane >> 3;
  uint first_tile = gl_WorkGroupID.x * TILES;
  uint first_col = gl_WorkGroupID.y * COLS;
  uint expert = expert_tile(first_col);
  UNROLL for (uint i = 0; i < TILES * COLS; ++i) acc[i] = 0.0;

  // The tiles' weights are held and the columns pass one by one: the other way round a compiler
  // holds all columns for the second tile, and spills.
  LOOP for (uint group = slot; group < p.groups; group += kSlots) {
    Piece first = load_piece(expert + first_tile, row, group), second = first;
    if (TILES > 1) second = load_piece(expert + min(first_tile + 1, p.tiles - 1), row, group);
    UNROLL for (uint c = 0; c < COLS; ++c) multiply_column(first, second, c, group);
  }

  UNROLL for (uint i = 0; i < TILES * COLS; ++i) partial[i * 64 + lane] = acc[i];
  barrier();
  // 8 rows x TILES x COLS sums of 8 slots, slots ascending; one (pair of) output(s) each.
  uint outputs = (GATE != 0 ? TILES / 2 : TILES) * COLS * 8;
  LOOP for (uint o = lane; o < outputs; o += 64) {
    uint r = o & 7, c = (o >> 3) % COLS, t = (o >> 3) / COLS;
    float sum = 0.0, partner = 0.0;
    uint own = (GATE != 0 ? 2 * t : t) * COLS + c;
    UNROLL for (uint s = 0; s < kSlots; ++s) {
      sum += partial[own * 64 + s * 8 + r];
      if (GATE != 0) partner += partial[(own + COLS) * 64 + s * 8 + r];
    }
    uint tile = GATE != 0 ? first_tile / 2 + t : first_tile + t;
    if ((GATE != 0 ? 2 * tile : tile) < p.tiles)
      store_row(p.first_row + tile * 8 + r, first_col + c, sum, partner);
  }
}
