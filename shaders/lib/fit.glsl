// What the searches for scales share. They give the bits of the CPU's search (engine/quant/lanes.h,
// lane_block.h) on every device: sums run in the same order, `precise` keeps every product and sum
// rounded on its own, and divide() does not trust the device's division.
//
// One invocation holds one group of a block, GROUP_WEIGHTS weights, in registers. A block's groups
// are neighbours in the work group.
#include "lib/prelude.glsl"
#include "shared/fit_push.h"
layout(local_size_x = PUMICE_FIT_LANES) in;
layout(constant_id = 0) const uint GROUPS = 1;  // per block: a power of two
layout(constant_id = 1) const uint STARTS = 4;
layout(constant_id = 2) const uint PASSES = 2;
layout(constant_id = 3) const uint SCALE_WINDOW = 1;
layout(constant_id = 4) const uint MINIMUM_WINDOW = 1;
layout(constant_id = 5) const uint DIVISORS = 1;
layout(constant_id = 6) const uint SEGMENTS = 1;
layout(constant_id = 7) const uint ROUNDS = 1;
layout(constant_id = 8) const uint MIRRORED = 0;
layout(push_constant) uniform Push { FitPush p; };
layout(set = 0, binding = 0, std430) readonly buffer Weights { uvec4 weight_quads[]; };
layout(set = 0, binding = 1, std430) readonly buffer Importance { uvec4 importance_quads[]; };
layout(set = 0, binding = 2, std430) writeonly buffer Fits { uint fits[]; };

#ifdef GROUP_16
#define GROUP_WEIGHTS 16
#else
#define GROUP_WEIGHTS 32
#endif
#define OVER_WEIGHTS(i) UNROLL for (uint i = 0; i < GROUP_WEIGHTS; ++i)
#define OVER_GROUPS(g) LOOP for (uint g = 0; g < GROUPS; ++g)

const float kShift = 12582912.0;  // 1.5 * 2^23: adding it rounds to an integer
const float kHuge = 1e30;

float x[GROUP_WEIGHTS];  // weight * norm: the block's largest magnitude is in [1, 2), or all are 0
float w[GROUP_WEIGHTS];  // weight of the squared error, in [2^-20, 1]
float unit, norm;        // 2^exponent, 2^-exponent
int exponent;            // of the block's largest magnitude
bool unsure;             // of the whole block: numbers so far apart that sums may become subnormal

shared uint shared_bits[PUMICE_FIT_LANES];
shared float shared_values[PUMICE_FIT_LANES];
shared float shared_weights[PUMICE_FIT_LANES];

uint group_of_lane() { return gl_LocalInvocationIndex & (GROUPS - 1); }
uint first_lane() { return gl_LocalInvocationIndex - group_of_lane(); }
uint block_of_lane() {
  return gl_WorkGroupID.x * (PUMICE_FIT_LANES / GROUPS) + gl_LocalInvocationIndex / GROUPS;
}

// a / b, correctly rounded where both and the result are normal numbers. The device's reciprocal,
// good to a few units in the last place, proposes; integers decide. A quotient of two floats is
// never half way between two others.
precise float divide(float a, float b) {
  uint bits_a = floatBitsToUint(a), bits_b = floatBitsToUint(b);
  uint biased_a = bits_a >> 23 & 255u, biased_b = bits_b >> 23 & 255u;
  uint top = bits_a & 0x7FFFFFu | 0x800000u, bottom = bits_b & 0x7FFFFFu | 0x800000u;
  int biased = int(biased_a) - int(biased_b) + 127;
  if (top < bottom) {
    top <<= 1;
    --biased;
  }
  precise float result;
  if (biased_a - 1u < 254u && biased_b - 1u < 254u && biased > 0 && biased < 254) {
    float inverse = 1.0 / float(bottom);
    int quotient = int(float(top) * inverse * 8388608.0);  // in units of 2^-23
    int rest = int((top << 23) - uint(quotient) * bottom);  // small: what wraps around cancels
    int more = int(round(float(rest) * inverse));
    rest -= more * int(bottom);
    more += 2 * rest > int(bottom) ? 1 : 2 * rest < -int(bottom) ? -1 : 0;
    uint magnitude = (uint(biased) << 23) + uint(quotient + more - 0x800000);
    result = uintBitsToFloat((bits_a ^ bits_b) & 0x80000000u | magnitude);
  } else {
    result = a / b;
  }
  return result;
}

float smaller(float a, float b) { return a < b ? a : b; }
float larger(float a, float b) { return a > b ? a : b; }
float between(float value, float low, float high) { return smaller(larger(value, low), high); }

// The integer from low to high that is nearest to value; ties to even.
precise float nearest_integer(float value, float low, float high) {
  return between(value + kShift, kShift + low, kShift + high) - kShift;
}

// 1 / value, and 0 for 0: a scale of zero makes every code zero.
precise float reciprocal(float value) { return value == 0.0 ? 0.0 : divide(1.0, value); }

// a / b where b > 0, else `otherwise`.
precise float ratio(float a, float b, float otherwise) {
  return b > 0.0 ? divide(a, b) : otherwise;
}

// The nearest finite binary16 value, ties to even.
precise float nearest_half(float value) {
  float size = smaller(abs(value), 65504.0);
  uint bits = floatBitsToUint(size);
  float normal = uintBitsToFloat((bits + 0xFFF + (bits >> 13 & 1)) & ~0x1FFFu);
  precise float subnormal = (size + 0.5) - 0.5;
  uint rounded = floatBitsToUint(size < 6.103515625e-05 ? subnormal : normal);
  return uintBitsToFloat(rounded | floatBitsToUint(value) & 0x80000000u);
}

// A scale as the file can hold it, in normalised units.
precise float storable(float scale) {
  precise float in_file = scale * unit;
  return nearest_half(in_file) * norm;
}

// Storable, and not zero.
precise float storable_step(float scale) {
  precise float in_file = scale * unit;
  precise float rounded = nearest_half(in_file);
  return (rounded == 0.0 ? 5.9604644775390625e-08 : rounded) * norm;
}

uint largest_over_groups(uint value) {
  shared_bits[gl_LocalInvocationIndex] = value;
  barrier();
  uint largest = 0;
  OVER_GROUPS(g) largest = max(largest, shared_bits[first_lane() + g]);
  barrier();
  return largest;
}

// In the order of the groups.
precise float sum_over_groups(float value) {
  shared_values[gl_LocalInvocationIndex] = value;
  barrier();
  precise float sum = 0.0;
  OVER_GROUPS(g) sum += shared_values[first_lane() + g];
  barrier();
  return sum;
}

// Components by constant numbers, so that the arrays stay in registers.
#define OVER_QUADS(q) UNROLL for (uint q = 0; q < GROUP_WEIGHTS / 4; ++q)

// Weights of the squared error from the importance of the group's columns.
void load_importance(uint block) {
  OVER_WEIGHTS(i) w[i] = 1.0;
  if (p.importance_quads == 0) return;
  uint group_quads = GROUP_WEIGHTS / 4;
  uint quad = (block * GROUPS + group_of_lane()) * group_quads % p.importance_quads;
  uint largest_bits = 0;
  OVER_QUADS(q) {
    uvec4 bits = importance_quads[quad + q];
    UNROLL for (uint c = 0; c < 4; ++c) {
      // what is negative counts as nothing
      largest_bits = max(largest_bits, bits[c] >> 31 != 0 ? 0 : bits[c]);
      unsure = unsure || (bits[c] & 0x7FFFFFFFu) > 0x7F000000u;
      w[4 * q + c] = uintBitsToFloat(bits[c]);
    }
  }
  float largest = uintBitsToFloat(largest_over_groups(largest_bits));
  largest = smaller(largest, kHuge);
  bool plain = !(largest > 1e-30);
  precise float factor = divide(1.0, plain ? 1.0 : largest);
  OVER_WEIGHTS(i) {
    precise float weight = w[i] * factor;
    weight = larger(weight, 9.5367431640625e-07);
    w[i] = plain ? 1.0 : smaller(weight, 1.0);
  }
}

// The group's weights and their importance.
void load_group() {
  uint block = min(block_of_lane(), p.blocks - 1);
  uint quad = (block * GROUPS + group_of_lane()) * (GROUP_WEIGHTS / 4);
  uint largest = 0;
  uint least = 0x7F800000;  // of those that are not zero
  OVER_QUADS(q) {
    uvec4 bits = weight_quads[quad + q];
    UNROLL for (uint c = 0; c < 4; ++c) {
      uint size = bits[c] & 0x7FFFFFFFu;
      largest = max(largest, size);
      least = min(least, size == 0 ? least : size);
      x[4 * q + c] = uintBitsToFloat(bits[c]);
    }
  }
  largest = largest_over_groups(largest);
  exponent = clamp(int(largest >> 23) - 127, -100, 126);
  unsure = int(least >> 23) - 127 < exponent - 26;
  unit = uintBitsToFloat(uint(127 + exponent) << 23);
  norm = uintBitsToFloat(uint(127 - exponent) << 23);
  OVER_WEIGHTS(i) {
    precise float scaled = x[i] * norm;
    x[i] = scaled;
  }
  load_importance(block);
  unsure = largest_over_groups(unsure ? 1 : 0) != 0;
}

precise float sum_of_squares() {
  precise float sum = 0.0;
  OVER_WEIGHTS(i) sum += w[i] * x[i] * x[i];
  return sum;
}

// A common step for one value of each group: of the steps that put the largest value at `divisor`,
// `divisor` - 1, ... the one whose integer multiples lie nearest, errors weighed by `weight`. Each
// invocation tries its share of the steps.
precise float shared_step(float value, float weight, float low, float high, float divisor) {
  shared_values[gl_LocalInvocationIndex] = value;
  shared_weights[gl_LocalInvocationIndex] = weight;
  barrier();
  float largest = 0.0;
  OVER_GROUPS(g) largest = larger(largest, abs(shared_values[first_lane() + g]));
  float least = kHuge;
  uint best = DIVISORS;
  LOOP for (uint first = 0; first < DIVISORS; first += GROUPS) {
    precise float step = largest * divide(1.0, divisor - float(first + group_of_lane()));
    precise float inverse = reciprocal(step);
    precise float error = 0.0;
    OVER_GROUPS(g) {
      precise float of_group = shared_values[first_lane() + g];
      precise float units = of_group * inverse;
      precise float rest = of_group - nearest_integer(units, low, high) * step;
      error += shared_weights[first_lane() + g] * (rest * rest);
    }
    shared_bits[gl_LocalInvocationIndex] = floatBitsToUint(error);
    barrier();
    OVER_GROUPS(g) {
      float tried = uintBitsToFloat(shared_bits[first_lane() + g]);
      bool better = first + g < DIVISORS && tried < least;
      best = better ? first + g : best;
      least = better ? tried : least;
    }
    barrier();
  }
  precise float step = largest;
  if (best < DIVISORS) step = largest * divide(1.0, divisor - float(best));
  return storable_step(step);
}

// What the host reads: d, dmin, then a word per group.
void store_fit(float d, float dmin, int scale, int minimum) {
  uint block = block_of_lane();
  if (block >= p.blocks) return;
  uint at = block * (PUMICE_FIT_HEAD + GROUPS);
  if (group_of_lane() == 0) {
    fits[at] = unsure ? PUMICE_FIT_UNSURE : floatBitsToUint(d);
    fits[at + 1] = floatBitsToUint(dmin);
  }
  fits[at + PUMICE_FIT_HEAD + group_of_lane()] = uint(scale) & 0xFFFFu | uint(minimum) << 16;
}
