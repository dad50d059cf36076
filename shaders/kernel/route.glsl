// Mixture of experts: softmax over the router's logits, the n_used best (ties: lower id), weights
// first, then ids as floats. One invocation per token.
#include "lib/prelude.glsl"
#include "shared/push.h"
layout(local_size_x = 1) in;
layout(push_constant) uniform Push { RoutePush p; };
layout(set = 0, binding = 0, std430) readonly buffer X { float x[]; };
layout(set = 0, binding = 1, std430) buffer Y { float y[]; };

void main() {
  uint x_first = gl_WorkGroupID.x * p.x_stride, y_first = gl_WorkGroupID.x * p.y_stride;
  float largest = x[x_first];
  LOOP for (uint e = 1; e < p.n_experts; ++e) largest = max(largest, x[x_first + e]);
  float total = 0.0;
  LOOP for (uint e = 0; e < p.n_experts; ++e) total += exp(max(x[x_first + e] - largest, -88.0));

  float chosen_total = 0.0, last = 0.0;
  uint last_id = 0;
  LOOP for (uint s = 0; s < p.n_used; ++s) {
    float best = -3.0e38;
    uint best_id = 0;
    LOOP for (uint e = 0; e < p.n_experts; ++e) {
      float l = x[x_first + e];
      bool left = s == 0 || l < last || (l == last && e > last_id);
      if (left && l > best) {
        best = l;
        best_id = e;
      }
    }
    last = best;
    last_id = best_id;
    float weight = exp(max(best - largest, -88.0)) / total;
    chosen_total += weight;
    y[y_first + s] = weight;
    y[y_first + p.n_used + s] = float(best_id);
  }
  float factor = p.scale / (p.normalise != 0 ? chosen_total : 1.0);
  LOOP for (uint s = 0; s < p.n_used; ++s) y[y_first + s] *= factor;
}
