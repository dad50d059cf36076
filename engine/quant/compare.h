// Runs an evaluation: a model over a text, beside a reference where there is one. What comes out is
// one record per scored position; divergence.h makes tables of them.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/base/result.h"
#include "engine/quant/evaluation_text.h"
#include "engine/quant/logit_source.h"
#include "engine/quant/row_score.h"

namespace pumice::quant {

struct CompareOptions {
  std::vector<double> temperatures;  ///< each > 0; empty = none
  double top_p = 0.95;               ///< of the nuclei
  uint32_t threads = 0;              ///< that score rows; 0 = all. Does not change any number
  EvaluationProgress progress;
};

struct Comparison {
  uint32_t chunks = 0, first_scored = 0, scored_per_chunk = 0;
  bool has_reference = false;
  std::vector<PositionScore> positions;  ///< [chunks][scored_per_chunk]
  std::vector<double> temperatures;
  std::vector<std::vector<TemperatureScore>> tempered;  ///< [temperatures][positions]
  double model_seconds = 0, reference_seconds = 0, score_seconds = 0;

  [[nodiscard]] uint32_t position_in_chunk(uint64_t i) const {
    return first_scored + uint32_t(i % scored_per_chunk);
  }
};

/// Positions that count (EvaluationText::counted); where not all do they are one chunk.
/// `reference` may be null: only what needs none is filled in. NonFinite names the chunk and the
/// position of a logit that is NaN or infinite, and whose it is; Cancelled when progress says so;
/// BadArgument when the two have vocabularies of different sizes.
[[nodiscard]] Result<Comparison> compare(LogitSource* reference, LogitSource& model,
                                         const EvaluationText& text,
                                         const CompareOptions& options = {});

}  // namespace pumice::quant
