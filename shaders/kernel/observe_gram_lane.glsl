// Gram matrix of a matrix input for drivers that run on a CPU: G += sum over columns of x x^T. A
// workgroup of 8 lanes owns 32 rows (4 per lane) x WIDE columns of a 64 x 64 block and walks over
// the step's columns; the right sides are loaded by all lanes together and handed around by
// constant shuffles. No shared memory, no barrier. Needs a subgroup of 8.
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_shuffle : require
#include "lib/prelude.glsl"
#include "shared/push.h"
layout(local_size_x = 8) in;
#include "lib/observe.glsl"
#include "lib/gram_tile.glsl"
layout(set = 0, binding = 1, std430) buffer Gram { float gram[]; };  // [block][64][64]

const uint WIDE = 8;              // columns of the block per workgroup
const uint kAtOnce = 32 / WIDE;   // columns of x that eight lanes load as right sides

vec4 sums[WIDE];

// kAtOnce columns of x; with `partial`, those past `seen` do not count and must not be multiplied:
// what lies there may be infinite.
void add_columns(uint matrix, uint c, uint seen, bool partial, uint row_quad, uint column_quad) {
  uint lane = gl_SubgroupInvocationID, own = c + lane / (WIDE / 4);
  vec4 right = in_quad(seen_quad(matrix, partial ? min(own, seen - 1) : own) + column_quad);
  if (partial && own >= seen) right = vec4(0.0);
  UNROLL for (uint t = 0; t < kAtOnce; ++t) {
    vec4 left = in_quad(seen_quad(matrix, partial ? min(c + t, seen - 1) : c + t) + row_quad);
    UNROLL for (uint j = 0; j < WIDE; ++j)
      sums[j] += left * subgroupShuffle(right[j & 3], t * (WIDE / 4) + (j >> 2));
  }
}

void main() {
  uint lane = gl_SubgroupInvocationID;
  uint tile = p.first_tile + gl_WorkGroupID.x;
  uint matrix = tile / p.tiles;
  uvec2 place = gram_tile(tile - matrix * p.tiles);
  uint seen = seen_columns(matrix);
  uint first_row = (gl_WorkGroupID.y & 1) * 32 + 4 * lane;
  uint first_column = (gl_WorkGroupID.y >> 1) * WIDE;
  uint row_quad = (place.x * PUMICE_GRAM_TILE + first_row) / 4;
  uint column_quad = (place.y * PUMICE_GRAM_TILE + first_column) / 4 + lane % (WIDE / 4);
  UNROLL for (uint j = 0; j < WIDE; ++j) sums[j] = vec4(0.0);

  uint whole = seen / kAtOnce * kAtOnce;
  LOOP for (uint c = 0; c < whole; c += kAtOnce)
    add_columns(matrix, c, seen, false, row_quad, column_quad);
  if (whole < seen) add_columns(matrix, whole, seen, true, row_quad, column_quad);

  uint at = (gl_WorkGroupID.x * PUMICE_GRAM_TILE + first_row) * PUMICE_GRAM_TILE + first_column;
  UNROLL for (uint j = 0; j < WIDE; ++j)
    UNROLL for (uint i = 0; i < 4; ++i) {
      uint word = at + i * PUMICE_GRAM_TILE + j;
      gram[word] = sums[j][i] + (from_zero() ? 0.0 : gram[word]);
    }
}
