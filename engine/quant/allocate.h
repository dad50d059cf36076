// One type per tensor under a budget of bytes: the sum of the tensors' divergences made as small as
// it can be. Pure functions of a Sensitivity: the same choice on every machine.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/quant/sensitivity.h"

namespace pumice::quant {

struct Allocation {
  std::vector<QuantType> types;  ///< per tensor of the sensitivity
  uint64_t bytes = 0;            ///< of all tensors of the file, kept ones too
  double predicted_kld = 0;      ///< nats
  /// False where the search had to forget states and only came close to the best.
  bool exact = true;
};

/// The least sum of KLDs among all choices of at most `budget` bytes.
/// BadArgument when even the smallest types need more: the words say how much.
[[nodiscard]] Result<Allocation> allocate(const Sensitivity& sensitivity, uint64_t budget);

/// From the smallest file to the best one: each buys the most divergence for its bytes. These are
/// corners of the lower convex hull of all choices, about `most` of them.
[[nodiscard]] std::vector<Allocation> pareto_front(const Sensitivity& sensitivity,
                                                   size_t most = 1024);

/// At most `count` of a front, evenly by size, first and last among them.
[[nodiscard]] std::vector<Allocation> thinned(std::span<const Allocation> front, size_t count);

/// The additive model: the sum of the tensors' KLDs. Infinite where a type is no choice.
[[nodiscard]] double predict_kld(const Sensitivity& sensitivity, std::span<const QuantType> types);
/// Bytes of all tensors of the file, kept ones too.
[[nodiscard]] uint64_t bytes_of(const Sensitivity& sensitivity, std::span<const QuantType> types);

/// Of the smallest choice: no budget below it can be met.
[[nodiscard]] uint64_t least_bytes(const Sensitivity& sensitivity);

}  // namespace pumice::quant
