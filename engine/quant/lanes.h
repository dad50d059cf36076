// Vectors of PUMICE_LANES floats with one block of weights per lane. Nothing here mixes lanes, so a
// block gets the same bits from every width. Compiled once per instruction set: the including file
// defines PUMICE_LANES and the target first. No std code: it would be emitted for that target and
// then serve the whole program.
#pragma once

#ifndef PUMICE_LANES
#error "define PUMICE_LANES (4, 8 or 16) before including the fit kernels"
#endif

#include <stdint.h>

#define PUMICE_LANES_JOIN(a, b) a##b
#define PUMICE_LANES_NAMED(n) PUMICE_LANES_JOIN(lanes_, n)
#define PUMICE_LANES_NAMESPACE PUMICE_LANES_NAMED(PUMICE_LANES)

namespace pumice::quant::PUMICE_LANES_NAMESPACE {

constexpr int kLanes = PUMICE_LANES;
typedef float F __attribute__((vector_size(4 * PUMICE_LANES)));
typedef int32_t I __attribute__((vector_size(4 * PUMICE_LANES)));

inline F splat(float value) {
  return F{} + value;
}

inline F smaller(F a, F b) {
  return a < b ? a : b;
}
inline F larger(F a, F b) {
  return a > b ? a : b;
}
inline F clamp(F value, float low, float high) {
  return smaller(larger(value, splat(low)), splat(high));
}
inline F magnitude(F value) {
  return (F)((I)value & 0x7FFFFFFF);
}

/// The integer from low to high (within 2^22) that is nearest to value, which may be of any
/// size; ties to even.
inline F nearest_integer(F value, float low, float high) {
  return clamp(value + 0x1.8p23f, 0x1.8p23f + low, 0x1.8p23f + high) - 0x1.8p23f;
}

/// 1 / value, and 0 for 0: a scale of zero makes every code zero.
inline F reciprocal(F value) {
  const F quotient = 1.0f / value;
  return value == 0.0f ? splat(0.0f) : quotient;
}

/// a / b where b > 0, else `otherwise`.
inline F ratio(F a, F b, F otherwise) {
  const I good = b > 0.0f;
  const F quotient = a / (good ? b : splat(1.0f));
  return good ? quotient : otherwise;
}

/// The nearest finite binary16 value, ties to even.
inline F nearest_half(F value) {
  const F size = smaller(magnitude(value), splat(65504.0f));
  const I bits = (I)size;
  const F normal = (F)((bits + 0xFFF + ((bits >> 13) & 1)) & ~0x1FFF);
  const F subnormal = (size + 0.5f) - 0.5f;  // the adder's last place is 2^-24 there
  const F rounded = size < 0x1p-14f ? subnormal : normal;
  return (F)((I)rounded | ((I)value & INT32_MIN));
}

}  // namespace pumice::quant::PUMICE_LANES_NAMESPACE
