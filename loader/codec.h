// Reference decoders of every quant type on the CPU: written to be read, and what shaders are
// compared with. Also the finite check of weights before they are believed.
#pragma once

#include <cstddef>
#include <cstdint>

#include "engine/base/result.h"
#include "loader/quant_type.h"
#include "loader/tensor_info.h"

namespace pumice {

/// Decodes `n_weights` weights, a multiple of the type's block, to f32. The type has a codec.
/// `blocks` needs no alignment.
void decode_row(QuantType type, const std::byte* blocks, uint64_t n_weights, float* out);

/// Decodes rows [first_row, first_row + n_rows) of a tensor; out holds n_rows * shape[0] floats.
void decode_rows(const TensorInfo& tensor, uint64_t first_row, uint64_t n_rows, float* out);

/// NonFinite, naming the tensor and the block, if any block scale (or any weight of an unscaled
/// type) is NaN, infinite, or so large that its weights overflow f32. Reads all of tensor.data.
[[nodiscard]] Result<void> check_finite(const TensorInfo& tensor);

}  // namespace pumice
