// The fit kernels for vectors of 8 floats: AVX2.
#define PUMICE_LANES 8
#include "engine/quant/fit_plan.h"
#if defined(__x86_64__)
#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2"))), apply_to = function)
#else
#pragma GCC target("avx2")
#endif
#include "engine/quant/fit_kernel.h"

namespace pumice::quant {

void fit_8_lanes(const FitPlan& plan, const BlockSource* blocks, int count, BlockFit* out) {
  lanes_8::fit_all(plan, blocks, count, out);
}

}  // namespace pumice::quant

#if defined(__clang__)
#pragma clang attribute pop
#endif
#endif
