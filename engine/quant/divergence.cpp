#include "engine/quant/divergence.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

namespace pumice::quant {
namespace {

using Column = std::vector<double>;

template <class Get>
Column column_of(const Comparison& comparison, const Get& get) {
  Column column(comparison.positions.size());
  for (size_t i = 0; i < column.size(); ++i) column[i] = get(comparison.positions[i]);
  return column;
}

/// e = f(estimate) with its error carried by the derivative there.
Estimate exponential(const Estimate& log) {
  const double value = std::exp(log.value);
  return {value, value * log.error};
}

Estimate square_root(const Estimate& square) {
  const double value = std::sqrt(square.value);
  return {value, value > 0 ? square.error / (2 * value) : 0.0};
}

DivergenceQuantiles quantiles(const Column& column, const Estimate& mean, const Blocks& blocks,
                              const BootstrapOptions& options) {
  constexpr std::array kFractions = {0.5, 0.9, 0.99, 0.999};
  const auto found = bootstrap_quantiles(column, kFractions, blocks, options);
  const double most = column.empty() ? 0.0 : *std::max_element(column.begin(), column.end());
  return {mean, found[0], found[1], found[2], found[3], most};
}

/// P(a standard normal number > x).
double normal_tail(double x) {
  return 0.5 * std::erfc(x * 0.70710678118654752440);
}

double predicted_flip(const PositionScore& score, double noise) {
  if (noise > 0) return normal_tail(score.margin / noise);
  return 0.0;
}

std::vector<FlipBin> bins(std::span<const double> edges) {
  std::vector<FlipBin> list;
  for (size_t i = 0; i < edges.size(); ++i)
    list.push_back(
        {.low = edges[i],
         .high = i + 1 < edges.size() ? edges[i + 1] : std::numeric_limits<double>::infinity()});
  return list;
}

void count(std::vector<FlipBin>& list, double margin, bool flipped, double predicted) {
  size_t i = 0;
  while (i + 1 < list.size() && margin >= list[i].high) ++i;
  ++list[i].positions;
  list[i].flips += flipped;
  list[i].predicted += predicted;  // a sum until finish()
}

void finish(std::vector<FlipBin>& list) {
  for (FlipBin& bin : list) {
    if (bin.positions > 0) bin.predicted /= double(bin.positions);
    bin.interval = wilson(bin.flips, bin.positions);
  }
}

/// First position of each bucket, two per doubling: 0 1 2 3 4 6 8 12 16 ...
std::vector<uint32_t> bucket_starts(uint32_t context) {
  std::vector<uint32_t> starts{0, 1, 2, 3};
  for (uint32_t power = 4; power < context && power < (1u << 30); power *= 2) {
    starts.push_back(power);
    starts.push_back(power + power / 2);
  }
  return starts;
}

}  // namespace

DivergenceStatistics summarise(const Comparison& comparison, const BootstrapOptions& options) {
  DivergenceStatistics statistics;
  const Blocks blocks(comparison.chunks, comparison.scored_per_chunk);
  statistics.positions = comparison.positions.size();
  statistics.blocks = blocks.count();
  const std::array columns = {
      column_of(comparison, [](const PositionScore& s) { return s.nll; }),
      column_of(comparison, [](const PositionScore& s) { return s.nll_reference; }),
      column_of(comparison, [](const PositionScore& s) { return s.nll - s.nll_reference; }),
      column_of(comparison, [](const PositionScore& s) { return s.kld; }),
      column_of(comparison, [](const PositionScore& s) { return s.kld_reverse; }),
      column_of(comparison, [](const PositionScore& s) { return s.same_top() ? 1.0 : 0.0; }),
      column_of(comparison, [](const PositionScore& s) { return s.probability_change; }),
      column_of(comparison,
                [](const PositionScore& s) { return s.probability_change * s.probability_change; }),
  };
  const size_t used = comparison.has_reference ? columns.size() : 1;
  const auto means = bootstrap_means(std::span(columns).first(used), blocks, options);
  statistics.nll = means[0];
  statistics.perplexity = exponential(means[0]);
  if (!comparison.has_reference) return statistics;
  statistics.nll_reference = means[1];
  statistics.perplexity_reference = exponential(means[1]);
  statistics.log_perplexity_ratio = means[2];
  statistics.perplexity_ratio = exponential(means[2]);
  statistics.kld = quantiles(columns[3], means[3], blocks, options);
  statistics.kld_reverse = quantiles(columns[4], means[4], blocks, options);
  statistics.same_top = means[5];
  statistics.probability_change = means[6];
  statistics.rms_probability_change = square_root(means[7]);
  return statistics;
}

std::vector<TemperatureStatistics> summarise_temperatures(const Comparison& comparison,
                                                          const BootstrapOptions& options) {
  const Blocks blocks(comparison.chunks, comparison.scored_per_chunk);
  constexpr std::array kFields = {&TemperatureScore::total_variation,
                                  &TemperatureScore::same_draw,
                                  &TemperatureScore::kld,
                                  &TemperatureScore::kld_predicted,
                                  &TemperatureScore::nucleus_overlap,
                                  &TemperatureScore::nucleus_mass};
  std::vector<TemperatureStatistics> rows;
  for (size_t t = 0; t < comparison.temperatures.size(); ++t) {
    std::vector<Column> columns;
    for (const auto field : kFields) {
      Column& column = columns.emplace_back();
      for (const TemperatureScore& score : comparison.tempered[t]) column.push_back(score.*field);
    }
    const auto means = bootstrap_means(columns, blocks, options);
    rows.push_back(
        {comparison.temperatures[t], means[0], means[1], means[2], means[3], means[4], means[5]});
  }
  return rows;
}

FlipStatistics summarise_flips(const Comparison& comparison) {
  constexpr std::array kProbabilities = {0.0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 0.9};
  constexpr std::array kLogits = {0.0, 0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4};
  FlipStatistics statistics;
  statistics.by_probability = bins(kProbabilities);
  statistics.by_logit = bins(kLogits);
  statistics.positions = comparison.positions.size();
  double squares = 0, kld = 0;
  for (const PositionScore& score : comparison.positions) {
    squares += score.margin_change * score.margin_change;
    kld += score.kld;
  }
  const double n = double(std::max<uint64_t>(statistics.positions, 1));
  statistics.noise = std::sqrt(squares / n);
  statistics.predicted_from_kld = 0.5 * std::sqrt(kld / n);
  for (const PositionScore& score : comparison.positions) {
    const bool flipped = !score.same_top();
    const double predicted = predicted_flip(score, statistics.noise);
    statistics.flips += flipped;
    statistics.predicted += predicted / n;
    count(statistics.by_probability, score.margin_probability, flipped, predicted);
    count(statistics.by_logit, score.margin, flipped, predicted);
  }
  statistics.interval = wilson(statistics.flips, statistics.positions);
  finish(statistics.by_probability);
  finish(statistics.by_logit);
  return statistics;
}

std::vector<CurveBucket> position_curve(const Comparison& comparison,
                                        const BootstrapOptions& options) {
  std::vector<CurveBucket> curve;
  const uint32_t begin = comparison.first_scored, per_chunk = comparison.scored_per_chunk;
  const uint32_t end = begin + per_chunk;
  const std::vector<uint32_t> starts = bucket_starts(end);
  for (size_t s = 0; s < starts.size(); ++s) {
    const uint32_t first = std::max(starts[s], begin);
    const uint32_t stop = std::min(s + 1 < starts.size() ? starts[s + 1] : end, end);
    if (first >= stop) continue;
    const uint32_t width = stop - first;
    std::array<Column, 3> columns;
    for (uint32_t chunk = 0; chunk < comparison.chunks; ++chunk) {
      const size_t at = size_t(chunk) * per_chunk + (first - begin);
      for (const PositionScore& score : std::span(comparison.positions).subspan(at, width)) {
        columns[0].push_back(score.nll);
        columns[1].push_back(score.nll_reference);
        columns[2].push_back(score.kld);
      }
    }
    const auto means = bootstrap_means(columns, Blocks(comparison.chunks, width), options);
    curve.push_back({first, stop - 1, columns[0].size(), means[0], means[1], means[2]});
  }
  return curve;
}

}  // namespace pumice::quant
