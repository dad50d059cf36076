// From f32 weights to blocks of a quant type: the scale search. CPU only; a call works on the
// calling thread, callers hand ranges of rows to as many threads as they like.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "engine/base/result.h"
#include "engine/quant/fit_plan.h"
#include "loader/quant_type.h"

namespace pumice::quant {

/// True for the types that encode_rows writes.
[[nodiscard]] bool can_encode(QuantType type);

/// Encodes whole rows of `width` weights (a multiple of the type's block).
///
/// `importance` weighs squared errors per input channel: `width` non-negative numbers, E[x^2] of an
/// importance matrix, or empty for the plain search. `out` holds weights.size() / width rows of the
/// type's row bytes. The same input gives the same bytes on every machine. Weights must be finite:
/// callers check where they read them.
void encode_rows(QuantType type, std::span<const float> weights, uint64_t width,
                 std::span<const float> importance, std::span<std::byte> out);

/// The rest of encode_rows for blocks whose scales are chosen: `fits` holds what fit() found for
/// each block of `weights`. The type has a grid.
void encode_fitted(QuantType type, std::span<const float> weights, std::span<const BlockFit> fits,
                   std::span<std::byte> out);

}  // namespace pumice::quant
