// Words for a size that a model may have: "4.9bpw", "800MiB", "0.62x".
#pragma once

#include <cstdint>
#include <string_view>

#include "engine/base/result.h"

namespace pumice::quant {

/// What sizes are relative to: a whole model.
struct BudgetScale {
  uint64_t weights = 0;  ///< of all tensors
  uint64_t bytes = 0;    ///< of all tensors, as they are now
};

/// Bytes of tensors. bpw counts the weights of all tensors, x multiplies the model's present bytes;
/// else B, kB, MB, GB, KiB, MiB or GiB, in any case. BadArgument for other words, for nothing, and
/// for more than f32 weights take.
[[nodiscard]] Result<uint64_t> parse_budget(std::string_view text, const BudgetScale& scale);

}  // namespace pumice::quant
