// Push constants and sizes of the scale search (kernel/fit_*.glsl), for GLSL and C++.
#ifndef PUMICE_SHADERS_SHARED_FIT_PUSH_H
#define PUMICE_SHADERS_SHARED_FIT_PUSH_H

#ifdef __cplusplus
#include <cstdint>
namespace pumice::shared {
using uint = uint32_t;
#endif

// Invocations of a work group, words in front of a block's groups in what it finds, and d of a block
// that it leaves to the CPU: no number.
#define PUMICE_FIT_LANES 64u
#define PUMICE_FIT_HEAD 2u
#define PUMICE_FIT_UNSURE 0x7FC00000u

// Numbers of a FitPlan (engine/quant/fit_plan.h) beside those that are constants of the pipeline.
struct FitPush {
  uint blocks;
  uint importance_quads;  // groups of four columns of a row; 0 = no importance
  float low, high;
  float scale_low, scale_high, minimum_high;
  float t_first, t_step;
  float divisor_first;
};

#ifdef __cplusplus
}  // namespace pumice::shared
#endif
#endif
