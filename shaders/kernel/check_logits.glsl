// Looks at raw logits before anybody believes them: a hash of their bits (a sum, so independent of
// the order) and whether all are finite by their exponent bits (isnan may be optimised away).
// With PENALISE it then divides what was said recently: here, and not where logits are read again
// and again, because a loop over the history per logit would be long (and lavapipe leaves loops
// after 65,535 rounds of one invocation). One workgroup per output column.
#include "lib/prelude.glsl"
#include "shared/push.h"
layout(local_size_x = 256) in;
layout(push_constant) uniform Push { SamplePush p; };
#include "lib/quads.glsl"
layout(set = 0, binding = 1, std430) buffer Result { uint result[]; };
layout(set = 0, binding = 2, std430) buffer Logits { float logits[]; };
layout(set = 0, binding = 3, std430) readonly buffer Step { uint step_words[]; };
layout(constant_id = 0) const uint PENALISE = 0;

shared uint hashes[256];
shared uint bad[256];

uint mix_bits(uint v) {
  v ^= v >> 16;
  v *= 0x7FEB352Du;
  v ^= v >> 15;
  v *= 0x846CA68Bu;
  return v ^ (v >> 16);
}

// Every token of the recent history once: positive logits are divided, others multiplied.
void penalise(uint column, uint lane) {
  uint at = p.settings_at + column * PUMICE_SETTINGS_WORDS;
  float penalty = uintBitsToFloat(step_words[at + 4]);
  uint length = step_words[at + 6];
  uint count = min(min(step_words[at + 5], length), PUMICE_HISTORY);
  if (penalty == 1.0 || lane >= count) return;
  uint ring = p.history_at + column * p.history_stride;
  uint token = step_words[ring + (length - 1 - lane) % PUMICE_HISTORY];
  LOOP for (uint i = 0; i < lane; ++i)
    if (step_words[ring + (length - 1 - i) % PUMICE_HISTORY] == token) return;
  if (token >= p.n_vocab) return;
  float l = logits[column * p.logits_stride + token];
  logits[column * p.logits_stride + token] = l > 0.0 ? l / penalty : l * penalty;
}

void main() {
  uint lane = gl_LocalInvocationIndex, column = gl_WorkGroupID.x;
  uint hash = 0, not_finite = 0;
  uint first = column * p.logits_stride / 4;
  LOOP for (uint i = lane; i * 4 < p.n_vocab; i += 256) {
    uvec4 bits = floatBitsToUint(in_quad(first + i));
    UNROLL for (uint e = 0; e < 4; ++e) {
      if (i * 4 + e >= p.n_vocab) continue;
      hash += mix_bits(bits[e] ^ mix_bits(i * 4 + e + 1u));
      not_finite |= (bits[e] & 0x7F800000u) == 0x7F800000u ? 1u : 0u;
    }
  }
  hashes[lane] = hash;
  bad[lane] = not_finite;
  barrier();
  LOOP for (uint width = 128; width > 0; width >>= 1) {
    if (lane < width) {
      hashes[lane] += hashes[lane + width];
      bad[lane] |= bad[lane + width];
    }
    barrier();
  }
  if (PENALISE != 0) penalise(column, lane);
  if (lane == 0) {
    result[p.result_at + column * PUMICE_RESULT_WORDS] += 1;
    result[p.result_at + column * PUMICE_RESULT_WORDS + 1] = bad[0] == 0 ? 1u : 0u;
    result[p.result_at + column * PUMICE_RESULT_WORDS + 3] = hashes[0];
  }
}
