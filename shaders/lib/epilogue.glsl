// What happens to a row's sum before it is stored: bias, gate, residual. Fixed at pipeline creation.
layout(set = 0, binding = 2, std430) buffer Y { float y[]; };
layout(set = 0, binding = 3, std430) readonly buffer Bias { float bias[]; };
layout(set = 0, binding = 4, std430) readonly buffer Residual { float residual[]; };
layout(set = 0, binding = 5, std430) readonly buffer Route { float route[]; };

layout(constant_id = 0) const uint HAS_BIAS = 0;
layout(constant_id = 1) const uint HAS_RESIDUAL = 0;
layout(constant_id = 2) const uint GATE = 0;     // 0 none, 1 SiLU, 2 GELU (tanh form)
layout(constant_id = 3) const uint EXPERTS = 0;  // that `route` chooses among, per column; 0: one matrix

#include "lib/activation.glsl"

// Where column c (a token, or a token's slot with experts) lies in x and y.
uint token_of(uint c) { return EXPERTS != 0 ? c / p.n_used : c; }
uint slot_of(uint c) { return EXPERTS != 0 ? c % p.n_used : 0; }
uint x_word(uint c) {
  return token_of(c) * p.x_stride + (p.x_per_slot != 0 ? slot_of(c) * p.x_slot_stride : 0);
}
uint y_word(uint c) { return p.y_at + token_of(c) * p.y_stride + slot_of(c) * p.y_slot_stride; }
// The expert that column c goes through. Where a host threw the routing slice away and ran this one,
// `route` holds anything: the result is thrown away too, but the reads must stay within the weights.
uint expert_of(uint c) {
  uint chosen = uint(route[token_of(c) * p.route_stride + p.n_used + slot_of(c)]);
  return min(chosen, EXPERTS - 1u);
}
uint expert_tile(uint c) { return EXPERTS != 0 ? expert_of(c) * p.expert_tiles : 0; }

// `row` counts output rows; `partner` is the up row's sum when GATE is set.
float finished_row(uint row, uint c, float sum, float partner) {
  uint expert_row = EXPERTS != 0 && HAS_BIAS != 0 ? expert_of(c) * p.rows : 0;
  if (HAS_BIAS != 0) {
    if (GATE != 0) {  // biases lie as the rows do: gate tile, up tile
      uint at = (row >> 3) * 16 + (row & 7);
      sum += bias[2 * expert_row + at];
      partner += bias[2 * expert_row + at + 8];
    } else {
      sum += bias[expert_row + row];
    }
  }
  if (GATE != 0) sum = activate(GATE, sum) * partner;
  if (HAS_RESIDUAL != 0) sum += residual[token_of(c) * p.residual_stride + row];
  return sum;
}

void store_row(uint row, uint c, float sum, float partner) {
  if (row < p.rows) y[y_word(c) + row] = finished_row(row, c, sum, partner);
}
