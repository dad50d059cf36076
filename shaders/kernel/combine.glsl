// Mixture of experts: y = residual + sum over slots of weight * x, slots ascending.
#include "lib/prelude.glsl"
#include "shared/push.h"
layout(local_size_x = 64) in;
layout(push_constant) uniform Push { CombinePush p; };
layout(constant_id = 0) const uint HAS_RESIDUAL = 1;
layout(set = 0, binding = 0, std430) readonly buffer X { float x[]; };
layout(set = 0, binding = 1, std430) readonly buffer Route { float route[]; };
layout(set = 0, binding = 2, std430) readonly buffer Residual { float residual[]; };
layout(set = 0, binding = 3, std430) writeonly buffer Y { float y[]; };

void main() {
  uint i = gl_GlobalInvocationID.x, column = gl_WorkGroupID.y;
  if (i >= p.width) return;
  float sum = HAS_RESIDUAL != 0 ? residual[column * p.residual_stride + i] : 0.0;
  LOOP for (uint s = 0; s < p.n_used; ++s)
    sum += route[column * p.route_stride + s] * x[column * p.x_stride + s * p.width + i];
  y[column * p.y_stride + i] = sum;
}
