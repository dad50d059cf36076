// Whether the additive model can be believed: random allocations, predicted and measured.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/quant/allocate.h"

namespace pumice::quant {

struct PredictionPair {
  std::vector<QuantType> types;  ///< per tensor
  uint64_t bytes = 0;
  double predicted = 0, measured = 0;  ///< mean KLD, nats
};

struct PredictionCheck {
  std::vector<PredictionPair> pairs;
  double spearman = 0;   ///< of predicted and measured
  double log_ratio = 0;  ///< mean of log(measured / predicted) where both are above 0
};

/// Every tensor draws its type evenly from its allowed candidates that are quantised, independently
/// of the others. The same seed draws the same allocations on every machine.
[[nodiscard]] std::vector<std::vector<QuantType>> random_allocations(const Sensitivity& sensitivity,
                                                                     uint32_t count, uint64_t seed);

[[nodiscard]] Result<PredictionCheck> check_prediction(Trial& trial, const Sensitivity& sensitivity,
                                                       uint32_t count, uint64_t seed,
                                                       const EvaluationProgress& progress = {});

/// Correlation of ranks, equal values sharing the mean of theirs; 0 where one side is constant.
[[nodiscard]] double spearman(std::span<const double> a, std::span<const double> b);

}  // namespace pumice::quant
