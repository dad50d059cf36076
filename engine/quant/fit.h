// The scale search behind its plain border: blocks of weights in, scale fields out.
#pragma once

#include <span>

#include "engine/quant/fit_plan.h"
#include "loader/quant_type.h"

namespace pumice::quant {

/// The plan of a type with scales, or null (F32, F16, BF16, types without an encoder).
[[nodiscard]] const FitPlan* fit_plan(QuantType type);

/// Chooses the scales of every block: least squared error, weighed by importance, of the weights as
/// the decoder will compute them. A block's result depends on nothing but the block: not on its
/// neighbours, the machine's vectors or the number of threads. `type` has a plan.
void fit(QuantType type, std::span<const BlockSource> blocks, std::span<BlockFit> out);

}  // namespace pumice::quant
