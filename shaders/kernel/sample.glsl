// Picks a token per column on the device: top-k, top-p, min-p, temperature and a counter-based
// random number, or the greedy choice (check_logits has applied the repetition penalty). One workgroup of 256 per column; every sum
// has a fixed order or is an integer, so the same seed picks the same token everywhere the logits
// have the same bits. Order: penalty, bias, top-k, top-p, min-p, temperature.
#include "lib/prelude.glsl"
#include "shared/push.h"
layout(local_size_x = 256) in;
layout(push_constant) uniform Push { SamplePush p; };
#include "lib/quads.glsl"
layout(set = 0, binding = 1, std430) buffer Result { uint result[]; };
layout(set = 0, binding = 2, std430) buffer Step { uint step_words[]; };
layout(set = 0, binding = 3, std430) readonly buffer Bias { float logit_bias[]; };

const uint kThreads = 256;
const float kNone = -3.0e38;

shared float shared_float[kThreads];
shared uint shared_uint[kThreads];

SampleSettings settings;
uint lane, first_quad;
float best_logit;

// Sortable key: greater float, greater key.
uint key_of(float v) {
  uint bits = floatBitsToUint(v);
  return (bits & 0x80000000u) != 0 ? ~bits : bits | 0x80000000u;
}

// Logits of tokens 4i .. 4i+3 with their bias.
vec4 logits4(uint i) {
  vec4 l = in_quad(first_quad + i);
  UNROLL for (uint e = 0; e < 4; ++e) {
    uint token = 4 * i + e;
    if (token >= p.n_vocab) l[e] = kNone;
    else if (p.bias_words != 0) l[e] = max(l[e] + logit_bias[token], kNone);
  }
  return l;
}

// Highest logit; the lowest token among equals.
uint arg_max() {
  float best = kNone;
  uint token = 0xFFFFFFFFu;
  LOOP for (uint i = lane; i * 4 < p.n_vocab; i += kThreads) {
    vec4 l = logits4(i);
    UNROLL for (uint e = 0; e < 4; ++e)
      if (l[e] > best || (l[e] == best && 4 * i + e < token)) {
        best = l[e];
        token = 4 * i + e;
      }
  }
  shared_float[lane] = best;
  shared_uint[lane] = token;
  barrier();
  LOOP for (uint width = kThreads / 2; width > 0; width >>= 1) {
    if (lane < width) {
      float other = shared_float[lane + width];
      if (other > shared_float[lane] ||
          (other == shared_float[lane] && shared_uint[lane + width] < shared_uint[lane])) {
        shared_float[lane] = other;
        shared_uint[lane] = shared_uint[lane + width];
      }
    }
    barrier();
  }
  best_logit = shared_float[0];
  uint winner = min(shared_uint[0], p.n_vocab - 1);
  barrier();
  return winner;
}

// Sum of exp((l - best) / t) over tokens whose key is at least `threshold`.
float mass_above(uint threshold, float inverse_t) {
  float sum = 0.0;
  LOOP for (uint i = lane; i * 4 < p.n_vocab; i += kThreads) {
    vec4 l = logits4(i);
    UNROLL for (uint e = 0; e < 4; ++e)
      if (key_of(l[e]) >= threshold) sum += exp(max((l[e] - best_logit) * inverse_t, -88.0));
  }
  shared_float[lane] = sum;
  barrier();
  LOOP for (uint width = kThreads / 2; width > 0; width >>= 1) {
    if (lane < width) shared_float[lane] += shared_float[lane + width];
    barrier();
  }
  float total = shared_float[0];
  barrier();
  return total;
}

// Largest key such that the weight of the keys at or above it reaches `wanted`, by its four bytes
// from the top. Weights are 1 (top-k) or probabilities in units of 2^-30 (top-p): integer sums.
uint select_key(uint floor_key, uint wanted, float unit_mass) {
  uint prefix = 0;
  LOOP for (uint shift = 32; shift > 0;) {
    shift -= 8;
    shared_uint[lane] = 0;
    barrier();
    LOOP for (uint i = lane; i * 4 < p.n_vocab; i += kThreads) {
      vec4 l = logits4(i);
      UNROLL for (uint e = 0; e < 4; ++e) {
        uint key = key_of(l[e]);
        bool in_prefix = shift == 24 || (key >> (shift + 8)) == (prefix >> (shift + 8));
        if (!in_prefix || key < floor_key) continue;
        uint weight = unit_mass == 0.0 ? 1u : uint(exp(max(l[e] - best_logit, -88.0)) * unit_mass);
        if (weight != 0) atomicAdd(shared_uint[(key >> shift) & 0xFFu], weight);
      }
    }
    barrier();
    uint digit = 0, above = 0;
    LOOP for (uint d = 256; d > 0;) {  // every invocation walks the same 256 counts
      --d;
      uint here = shared_uint[d];
      if (above + here >= wanted || d == 0) {
        digit = d;
        break;
      }
      above += here;
    }
    wanted -= min(above, wanted);
    prefix |= digit << shift;
    barrier();
  }
  return max(prefix, floor_key);
}

uint threshold_key() {
  // Tokens e^-20 below the best never matter (at high temperature the range grows with it).
  uint key = key_of(best_logit - 20.0 * max(settings.temperature, 1.0));
  if (settings.top_k != 0 && settings.top_k < p.n_vocab) key = select_key(key, settings.top_k, 0.0);
  if (settings.top_p < 1.0) {
    float total = mass_above(key, 1.0);
    key = select_key(key, uint(max(settings.top_p, 0.0) * 1073741824.0 * 0.9999), 1073741824.0 / total);
  }
  if (settings.min_p > 0.0) key = max(key, key_of(best_logit + log(min(settings.min_p, 1.0))));
  return key;
}

uint mix_bits(uint v) {
  v ^= v >> 16;
  v *= 0x7FEB352Du;
  v ^= v >> 15;
  v *= 0x846CA68Bu;
  return v ^ (v >> 16);
}

// Uniform in [0, 1) from the seed and the number of draws so far.
float uniform_draw() {
  uint v = mix_bits(settings.seed_lo + 0x9E3779B9u * (settings.counter + 1u));
  v = mix_bits(v ^ mix_bits(settings.seed_hi + 0x85EBCA6Bu * (settings.counter + 1u)));
  return float(v >> 8) * (1.0 / 16777216.0);
}

shared uint drawn;

// Each invocation owns a run of tokens; the one whose run holds the drawn mass finds the token.
uint draw(uint threshold, uint fallback) {
  float inverse_t = 1.0 / settings.temperature;
  uint quads = (p.n_vocab + 3) / 4, run = (quads + kThreads - 1) / kThreads;
  uint begin = min(lane * run, quads), end = min(begin + run, quads);
  float sum = 0.0;
  LOOP for (uint i = begin; i < end; ++i) {
    vec4 l = logits4(i);
    UNROLL for (uint e = 0; e < 4; ++e)
      if (key_of(l[e]) >= threshold) sum += exp(max((l[e] - best_logit) * inverse_t, -88.0));
  }
  shared_float[lane] = sum;
  if (lane == 0) drawn = fallback;
  barrier();
  float total = 0.0, before = 0.0;
  LOOP for (uint i = 0; i < kThreads; ++i) {
    if (i == lane) before = total;
    total += shared_float[i];
  }
  float target = uniform_draw() * total;
  if (sum > 0.0 && target >= before && target < before + sum) {
    float passed = before;
    uint last = fallback;
    bool found = false;
    LOOP for (uint i = begin; i < end && !found; ++i) {
      vec4 l = logits4(i);
      for (uint e = 0; e < 4 && !found; ++e) {
        if (key_of(l[e]) < threshold) continue;
        passed += exp(max((l[e] - best_logit) * inverse_t, -88.0));
        last = 4 * i + e;
        found = passed > target;
      }
    }
    drawn = last;
  }
  barrier();
  return drawn;
}

void remember(uint column, uint token) {
  uint at = p.settings_at + column * PUMICE_SETTINGS_WORDS;
  uint ring = p.history_at + column * p.history_stride;
  step_words[ring + settings.history_length % PUMICE_HISTORY] = token;
  step_words[at + 6] = settings.history_length + 1;
  step_words[at + 9] = settings.counter + 1;
  if (p.advance != 0) {
    step_words[p.tokens_at + column] = token;
    step_words[p.positions_at + column] += 1;
  }
}

void main() {
  lane = gl_LocalInvocationIndex;
  uint column = gl_WorkGroupID.x;
  first_quad = column * p.logits_stride / 4;
  uint at = p.settings_at + column * PUMICE_SETTINGS_WORDS;
  settings = SampleSettings(uintBitsToFloat(step_words[at]), step_words[at + 1],
                            uintBitsToFloat(step_words[at + 2]), uintBitsToFloat(step_words[at + 3]),
                            uintBitsToFloat(step_words[at + 4]), step_words[at + 5],
                            step_words[at + 6], step_words[at + 7], step_words[at + 8],
                            step_words[at + 9]);
  uint token = arg_max();
  if (settings.temperature > 0.0) {
    uint threshold = threshold_key();
    token = draw(threshold, token);
  }
  if (lane != 0) return;
  uint out_at = p.result_at + column * PUMICE_RESULT_WORDS;
  result[out_at + 2] = token;
  result[out_at + 4] = floatBitsToUint(best_logit);
  remember(column, token);
}
