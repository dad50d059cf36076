// How hard the scale search of each type looks: grids, starting points, windows. Plain numbers; no
// std code (see lanes.h).
#pragma once

#include <stdint.h>

namespace pumice::quant {

/// How a type stores the scale of a group.
enum class FitKind {
  Signed,        ///< one f16 scale: d * level
  SignedSuper,   ///< d * integer scale of the group * level
  Minimum,       ///< one f16 scale and one f16 offset: d * code + m
  MinimumSuper,  ///< d * integer scale * code - dmin * integer minimum
  Exponent,      ///< a power of two * level
};

/// How a number in units of the scale finds its level.
enum class LevelKind { Linear, Iq4, E2m1 };

constexpr float kIq4Levels[16] = {-127, -104, -83, -65, -49, -35, -22, -10,
                                  1,    13,   25,  38,  53,  69,  89,  113};
/// Twice the magnitudes of a 4-bit float with one mantissa bit (E2M1).
constexpr float kE2m1Levels[8] = {0, 1, 2, 3, 4, 6, 8, 12};

struct FitPlan {
  FitKind kind = FitKind::Signed;
  LevelKind levels = LevelKind::Linear;
  int groups = 1;
  int group_weights = 32;
  float low = 0, high = 0;              ///< first and last level of a linear type
  float scale_low = 0, scale_high = 0;  ///< range of integer scales
  float minimum_high = 0;               ///< largest integer minimum

  /// Starting points of a group. Signed: scale = largest magnitude / t for `starts` values of t
  /// from t_first to t_last, either sign. With a minimum: the range cut by t_first + i * t_step at
  /// the bottom and by as many choices at the top, in units of the range; starts^2 of them.
  int starts = 1;
  float t_first = 0, t_step = 0;
  int passes = 2;  ///< rounds of nearest codes <-> closed-form least squares per starting point

  int scale_window = 1;    ///< integer scales tried on each side of the target
  int minimum_window = 1;  ///< integer minimums tried on each side of the target
  /// Super-block scales tried: those that put the largest group at the integer divisor_first,
  /// divisor_first - 1, ...; of each `divisors` in a row the one that rounds the groups best is
  /// tried in full, and there are `segments` such runs.
  float divisor_first = 0;
  int divisors = 1, segments = 1;
  int rounds = 2;         ///< rounds of super-block least squares <-> integer windows
  bool mirrored = false;  ///< also try the grid upside down: negative d and dmin
};

/// Where a block's numbers lie. Importance is null for the plain search.
struct BlockSource {
  const float* weights = nullptr;
  const float* importance = nullptr;
};

/// The scale fields of one block, unpacked. Signed types use d (and `scale` if they have groups),
/// Q4_1 and Q5_1 their offset m as dmin, MXFP4 its exponent byte as scale[0].
struct BlockFit {
  float d = 0;     ///< an f16 value
  float dmin = 0;  ///< an f16 value
  int16_t scale[16] = {};
  int16_t minimum[16] = {};
};

/// The search for any number of blocks, compiled for vectors of 4, 8 and 16 floats. The same bits
/// from all. The last two run where the processor has AVX2 and AVX-512.
void fit_4_lanes(const FitPlan& plan, const BlockSource* blocks, int count, BlockFit* out);
void fit_8_lanes(const FitPlan& plan, const BlockSource* blocks, int count, BlockFit* out);
void fit_16_lanes(const FitPlan& plan, const BlockSource* blocks, int count, BlockFit* out);

}  // namespace pumice::quant
