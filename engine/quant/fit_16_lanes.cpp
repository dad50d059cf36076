// The fit kernels for vectors of 16 floats: AVX-512.
#define PUMICE_LANES 16
#include "engine/quant/fit_plan.h"
#if defined(__x86_64__)
#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx512f"))), apply_to = function)
#else
#pragma GCC target("avx512f")
#endif
#include "engine/quant/fit_kernel.h"

namespace pumice::quant {

void fit_16_lanes(const FitPlan& plan, const BlockSource* blocks, int count, BlockFit* out) {
  lanes_16::fit_all(plan, blocks, count, out);
}

}  // namespace pumice::quant

#if defined(__clang__)
#pragma clang attribute pop
#endif
#endif
