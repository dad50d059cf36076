// Tables of an evaluation: what the records of compare.h amount to, with standard errors.
#pragma once

#include <span>
#include <vector>

#include "engine/quant/bootstrap.h"
#include "engine/quant/compare.h"

namespace pumice::quant {

/// Of one direction of KL divergence, nats per position.
struct DivergenceQuantiles {
  Estimate mean, median, q90, q99, q999;
  double max = 0;
};

/// Without a reference only `positions` and the model's own nll and perplexity count.
struct DivergenceStatistics {
  uint64_t positions = 0;
  uint32_t blocks = 0;                        ///< that the bootstrap drew
  Estimate nll, nll_reference;                ///< mean negative log likelihood, nats per token
  Estimate perplexity, perplexity_reference;  ///< exp of those
  Estimate perplexity_ratio;                  ///< model / reference, errors paired
  Estimate log_perplexity_ratio;              ///< nats
  DivergenceQuantiles kld;                    ///< reference || model: the published one
  DivergenceQuantiles kld_reverse;            ///< model || reference
  Estimate same_top;            ///< share of positions with the same most likely token
  Estimate probability_change;  ///< mean of p(next token): model - reference
  Estimate rms_probability_change;
};

[[nodiscard]] DivergenceStatistics summarise(const Comparison& comparison,
                                             const BootstrapOptions& options = {});

struct TemperatureStatistics {
  double temperature = 1;
  Estimate total_variation, same_draw, kld, kld_predicted, nucleus_overlap, nucleus_mass;
};

/// One row per temperature of the comparison.
[[nodiscard]] std::vector<TemperatureStatistics> summarise_temperatures(
    const Comparison& comparison, const BootstrapOptions& options = {});

/// Positions whose reference margin lies in [low, high).
struct FlipBin {
  double low = 0, high = 0;  ///< the last bin has no upper end: infinity
  uint64_t positions = 0, flips = 0;
  Interval interval;     ///< of flips / positions, 95 %, as if positions were independent
  double predicted = 0;  ///< share: mean of P(normal noise > margin in logits)
  [[nodiscard]] double rate() const { return positions ? double(flips) / double(positions) : 0.0; }
};

/// Flips of the most likely token by the reference's margin between its two best tokens.
struct FlipStatistics {
  uint64_t positions = 0, flips = 0;
  Interval interval;
  double noise = 0;  ///< root mean square of the change of the margin, logits
  double predicted = 0;
  double predicted_from_kld = 0;  ///< 0.5 sqrt(mean KLD): the rule of thumb
  std::vector<FlipBin> by_probability, by_logit;
};
[[nodiscard]] FlipStatistics summarise_flips(const Comparison& comparison);

/// Positions first .. last of all chunks together.
struct CurveBucket {
  uint32_t first = 0, last = 0;
  uint64_t positions = 0;
  Estimate nll, nll_reference, kld;  ///< errors over chunks
};

/// Log-spaced buckets: two per doubling of the position.
[[nodiscard]] std::vector<CurveBucket> position_curve(const Comparison& comparison,
                                                      const BootstrapOptions& options = {});

}  // namespace pumice::quant
