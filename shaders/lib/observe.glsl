// Which columns of a step a matrix sees, and where they lie. Binding 2 is the step buffer,
// binding 3 the experts' lists.
layout(constant_id = 0) const uint EXPERTS = 0;  // 1: columns come from the list of an expert
layout(push_constant) uniform Push { ObservePush p; };
#include "lib/quads.glsl"
layout(set = 0, binding = 2, std430) readonly buffer Step { uint step_words[]; };
layout(set = 0, binding = 3, std430) readonly buffer Lists { uint lists[]; };

uint seen_columns(uint matrix) {
  return EXPERTS != 0 ? lists[matrix * p.list_stride] : step_words[p.observed_at];
}

// First quad of x in column `c` of those that `matrix` sees.
uint seen_quad(uint matrix, uint c) {
  if (EXPERTS == 0) return c * (p.x_stride / 4);
  uint entry = lists[matrix * p.list_stride + PUMICE_LIST_HEAD + c];
  uint token = entry / p.n_used;
  return (token * p.x_stride + (entry - token * p.n_used) * p.x_slot_stride) / 4;
}

bool from_zero() { return step_words[p.observed_at + 1] != 0; }
