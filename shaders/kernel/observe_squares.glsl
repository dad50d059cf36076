// Sums of x^2 per input channel over the columns that a matrix sees. One invocation per four
// channels, columns ascending; the sum is a pair (high, low) so that no addition of a long run
// loses bits. Also counts the columns.
#include "lib/prelude.glsl"
#include "shared/push.h"
layout(local_size_x = 64) in;
#include "lib/observe.glsl"
layout(set = 0, binding = 1, std430) buffer Sums { vec4 sums[]; };  // [matrix][high, low][quad]
layout(set = 0, binding = 4, std430) buffer Counts { uint counts[]; };

void main() {
  uint quad = gl_GlobalInvocationID.x, matrix = gl_WorkGroupID.y;
  uint quads = (p.width + 3) / 4;
  uint columns = seen_columns(matrix);
  if (quad == 0) counts[matrix] = columns + (from_zero() ? 0 : counts[matrix]);
  if (quad >= quads) return;
  uint at = matrix * 2 * quads + quad;
  precise vec4 high = from_zero() ? vec4(0.0) : sums[at];
  precise vec4 low = from_zero() ? vec4(0.0) : sums[at + quads];
  LOOP for (uint c = 0; c < columns; ++c) {
    vec4 x = in_quad(seen_quad(matrix, c) + quad);
    precise vec4 square = x * x;
    precise vec4 total = high + square;
    precise vec4 part = total - high;
    low += (high - (total - part)) + (square - part);  // what the addition lost
    high = total;
  }
  sums[at] = high;
  sums[at + quads] = low;
}
