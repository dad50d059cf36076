// Element-wise ops on columns, chosen by OP: one kernel, one table row each.
#include "lib/prelude.glsl"
#include "shared/push.h"
layout(local_size_x = 64) in;
layout(push_constant) uniform Push { ColumnPush p; };
layout(constant_id = 0) const uint OP = 0;  // 0 add, 1 SiLU gate, 2 GELU gate, 3 softcap, 4 select
layout(set = 0, binding = 0, std430) readonly buffer A { float a[]; };
layout(set = 0, binding = 1, std430) readonly buffer B { float b[]; };
layout(set = 0, binding = 2, std430) writeonly buffer Y { float y[]; };
layout(set = 0, binding = 3, std430) readonly buffer Step { uint step_words[]; };
#include "lib/activation.glsl"

void main() {
  uint i = gl_GlobalInvocationID.x, column = gl_WorkGroupID.y;
  if (i >= p.width) return;
  uint source = OP == 4 ? step_words[p.at + column] : column;
  float left = a[p.a_at + source * p.a_stride + i];
  float right = OP < 3 ? b[p.b_at + column * p.b_stride + i] : 0.0;
  float value = left;
  if (OP == 0) value = left + right;
  if (OP == 1 || OP == 2) value = activate(OP, left) * right;
  if (OP == 3) {
    float e = exp(clamp(2.0 * left / p.scale, -88.0, 88.0));
    value = p.scale * (1.0 - 2.0 / (e + 1.0));
  }
  y[column * p.y_stride + i] = value;
}
