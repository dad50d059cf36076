// Mixture of experts: for each expert, the (token, slot) pairs of the step that visit it, tokens
// ascending. One invocation per expert.
#include "lib/prelude.glsl"
#include "shared/push.h"
layout(local_size_x = 32) in;
layout(push_constant) uniform Push { ObservePush p; };
layout(set = 0, binding = 0, std430) readonly buffer Route { float route[]; };
layout(set = 0, binding = 1, std430) writeonly buffer Lists { uint lists[]; };
layout(set = 0, binding = 2, std430) readonly buffer Step { uint step_words[]; };

void main() {
  uint expert = gl_GlobalInvocationID.x;
  if (expert >= p.matrices) return;
  uint first = expert * p.list_stride, seen = 0, columns = step_words[p.observed_at];
  LOOP for (uint token = 0; token < columns; ++token)
    LOOP for (uint slot = 0; slot < p.n_used; ++slot)
      if (uint(route[token * p.route_stride + p.n_used + slot]) == expert) {
        lists[first + PUMICE_LIST_HEAD + seen] = token * p.n_used + slot;
        ++seen;
      }
  lists[first] = seen;
}
