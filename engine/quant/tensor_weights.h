// The weights of a tensor as the quantiser works on them: cut into slices, read, decoded, checked.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "engine/base/result.h"
#include "loader/gguf.h"

namespace pumice::quant {

/// True where a tensor's rows are whole blocks of the type.
[[nodiscard]] inline bool fits(QuantType type, const TensorInfo& tensor) {
  return tensor.shape[0] % info(type).block_weights == 0;
}

/// Bytes of `weights` weights, whole blocks of the type.
[[nodiscard]] inline uint64_t bytes_as(QuantType type, uint64_t weights) {
  return weights / info(type).block_weights * info(type).block_bytes;
}

/// Bytes of a tensor in this type; 0 where the type does not fit.
[[nodiscard]] inline uint64_t bytes_as(QuantType type, const TensorInfo& tensor) {
  return fits(type, tensor) ? bytes_as(type, tensor.n_weights) : 0;
}

/// Whole rows of one matrix, or a piece of a row that is longer than a slice.
struct Slice {
  uint64_t first = 0, count = 0;  ///< weights in the tensor
  uint64_t matrix = 0;            ///< experts have statistics of their own
  uint64_t column = 0;            ///< of the first weight
};

/// All of a tensor in slices of at most `most` weights, a multiple of every block.
[[nodiscard]] std::vector<Slice> cut_slices(const TensorInfo& tensor, uint64_t most);

/// A slice's bytes into `blocks`, its numbers into `weights`. NonFinite names a weight that is
/// none.
[[nodiscard]] Result<void> read_slice(const GgufFile& file, const TensorInfo& tensor,
                                      const Slice& slice, std::vector<std::byte>& blocks,
                                      std::span<float> weights);

/// All weights of a tensor, `weights.size()` of them, read by several threads (0: all cores).
/// Errors: those of read_slice.
[[nodiscard]] Result<void> read_weights(const GgufFile& file, const TensorInfo& tensor,
                                        std::span<float> weights, uint32_t threads = 0);

}  // namespace pumice::quant
