// Gram matrix of a matrix input, G += sum over columns of x x^T: a 64 x 64 block on or below the
// diagonal per workgroup of 256, 16 columns at a time through shared memory, 4 x 4 sums per
// invocation, columns ascending. A step's sums are added to the block at the end.
#include "lib/prelude.glsl"
#include "shared/push.h"
layout(local_size_x = 256) in;
#include "lib/observe.glsl"
#include "lib/gram_tile.glsl"
layout(set = 0, binding = 1, std430) buffer Gram { vec4 gram[]; };  // [block][64][64]

const uint kQuads = PUMICE_GRAM_TILE / 4, kDepth = 16;
shared vec4 rows[kDepth * kQuads], columns_of[kDepth * kQuads];

// Rows past the width are never read by anybody, but must not be out of bounds.
vec4 channels(uint matrix, uint c, uint quad, uint seen) {
  return c < seen && 4 * quad < p.width ? in_quad(seen_quad(matrix, c) + quad) : vec4(0.0);
}

void main() {
  uint lane = gl_LocalInvocationIndex;
  uint tile = p.first_tile + gl_WorkGroupID.x;
  uint matrix = tile / p.tiles;
  uvec2 place = gram_tile(tile - matrix * p.tiles);
  uint seen = seen_columns(matrix);
  uint row_quad = lane >> 4, column_quad = lane & 15;
  vec4 sums[4];
  UNROLL for (uint i = 0; i < 4; ++i) sums[i] = vec4(0.0);

  LOOP for (uint first = 0; first < seen; first += kDepth) {
    rows[lane] = channels(matrix, first + (lane >> 4), place.x * kQuads + (lane & 15), seen);
    columns_of[lane] = channels(matrix, first + (lane >> 4), place.y * kQuads + (lane & 15), seen);
    barrier();
    LOOP for (uint k = 0; k < kDepth; ++k) {
      vec4 left = rows[k * kQuads + row_quad], right = columns_of[k * kQuads + column_quad];
      UNROLL for (uint i = 0; i < 4; ++i) sums[i] += left[i] * right;
    }
    barrier();
  }

  uint at = (gl_WorkGroupID.x * PUMICE_GRAM_TILE + 4 * row_quad) * kQuads + column_quad;
  UNROLL for (uint i = 0; i < 4; ++i)
    gram[at + i * kQuads] = sums[i] + (from_zero() ? vec4(0.0) : gram[at + i * kQuads]);
}
