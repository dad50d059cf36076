// Folds the pages that attention_wide left with SPLIT, ascending, with the same operations.
#include "lib/prelude.glsl"
#include "shared/push.h"
layout(local_size_x = 64) in;
layout(push_constant) uniform Push { AttentionPush p; };
layout(constant_id = 0) const uint ROTATE = 0;  // the output is turned back (lib/hadamard.glsl)
layout(constant_id = 1) const uint HEAD_V = 64;
layout(set = 0, binding = 0, std430) readonly buffer Partial { float partial_out[]; };
layout(set = 0, binding = 1, std430) writeonly buffer Out { float attention_out[]; };
layout(set = 0, binding = 2, std430) readonly buffer Step { uint step_words[]; };

const uint kRowLanes = 64;
shared float row[ROTATE != 0 ? HEAD_V : 1];
#include "lib/hadamard.glsl"

void main() {
  uint head = gl_WorkGroupID.x, column = gl_WorkGroupID.y;
  uint position = step_words[p.positions_at + column];
  uint visible = p.window == 0 || position < p.window ? 0 : position - p.window + 1;
  uint count = position / PUMICE_PAGE - visible / PUMICE_PAGE + 1;
  uint first = (column * p.n_heads + head) * p.splits * (p.head_v + 2);
  uint out_first = column * p.out_stride + head * p.head_v;
  LOOP for (uint e = gl_LocalInvocationIndex; e < p.head_v; e += 64) {
    float total_max = -1.0e30;
    precise float total_sum = 0.0, total_out = 0.0;
    LOOP for (uint page = 0; page < count; ++page) {
      uint at = first + page * (p.head_v + 2);
      float page_max = partial_out[at + p.head_v], page_sum = partial_out[at + p.head_v + 1];
      float new_max = max(total_max, page_max);
      float fade = exp(max(total_max - new_max, -88.0));
      float weight = exp(max(page_max - new_max, -88.0));
      total_sum = total_sum * fade + page_sum * weight;
      total_out = total_out * fade + partial_out[at + e] * weight;
      total_max = new_max;
    }
    float x = total_out / total_sum;
    if (ROTATE != 0)
      row[e] = x;
    else
      attention_out[out_first + e] = x;
  }
  if (ROTATE == 0) return;
  rotate_row(HEAD_V, gl_LocalInvocationIndex);
  LOOP for (uint e = gl_LocalInvocationIndex; e < HEAD_V; e += 64)
    attention_out[out_first + e] = row[e] * rotation_scale(HEAD_V);
}
