// The fit kernels for vectors of 4 floats: every machine: SSE2, NEON.
#define PUMICE_LANES 4
#include "engine/quant/fit_kernel.h"
#include "engine/quant/fit_plan.h"

namespace pumice::quant {

void fit_4_lanes(const FitPlan& plan, const BlockSource* blocks, int count, BlockFit* out) {
  lanes_4::fit_all(plan, blocks, count, out);
}

}  // namespace pumice::quant
