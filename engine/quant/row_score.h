// The numbers of one scored position: a row of logits against the row of a reference. Everything
// in double, sums in a fixed order: the same rows give the same bits on any number of threads.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace pumice::quant {

/// One scored position. What needs a reference is 0 without one. nats unless said otherwise.
struct PositionScore {
  double nll = 0, nll_reference = 0;  ///< -log p of the token that follows
  double kld = 0;                     ///< KL(reference || model) >= 0
  double kld_reverse = 0;             ///< KL(model || reference)
  double probability_change = 0;      ///< of the token that follows: model - reference
  double margin = 0;                  ///< reference: logit of its best token - of its second
  double margin_probability = 0;      ///< the same of probabilities
  double margin_change = 0;           ///< the model's difference of those two logits - margin
  uint32_t top = 0;                   ///< the model's best token (the lowest id of equals)
  uint32_t top_reference = 0;
  bool finite = true;  ///< false: a logit is NaN or infinite and nothing else here counts

  [[nodiscard]] bool same_top() const { return top == top_reference; }
};

/// `reference` is empty or as long as `row`; `next` is the token that follows, an index of both.
[[nodiscard]] PositionScore score_row(std::span<const float> reference, std::span<const float> row,
                                      uint32_t next);

/// What sampling at a temperature sees of the difference.
struct TemperatureScore {
  double total_variation = 0;  ///< 0..1; how often the best coupling of two samplers disagrees
  double same_draw = 0;        ///< how often samplers fed the same random number disagree:
                               ///< inverse cumulative distribution in the order of token ids
  double kld = 0;              ///< KL(reference || model) of the tempered distributions, nats
  double kld_predicted = 0;    ///< second order: variance of the logit differences / (2 T^2), nats
  double nucleus_overlap = 0;  ///< tokens in both nuclei / tokens in either
  double nucleus_mass = 0;     ///< reference's probability inside the model's nucleus
  double top_changed = 0;      ///< 1 where the best tokens differ: T -> 0
};

/// Buffers of score_temperature; one per thread.
struct TemperatureWork {
  std::vector<double> p, q;
  std::vector<uint8_t> in_p, in_q;
  std::vector<double> bins;
  std::vector<uint32_t> order;
};

/// `temperature` > 0, 0 < `top_p` <= 1, both rows finite. The nucleus is the smallest set of
/// likeliest tokens (lower ids first among equals) whose probability reaches `top_p`.
[[nodiscard]] TemperatureScore score_temperature(std::span<const float> reference,
                                                 std::span<const float> row, double temperature,
                                                 double top_p, TemperatureWork& work);

}  // namespace pumice::quant
