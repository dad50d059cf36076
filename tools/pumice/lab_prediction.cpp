// Whether divergences of single tensors predict that of a whole allocation.
#include <cmath>

#include "engine/quant/prediction.h"
#include "lab.h"
#include "plot.h"

namespace pumice::command {
namespace {

constexpr uint32_t kAllocations = 60, kQuickAllocations = 12;
constexpr double kGoal = 0.95;

Result<quant::PredictionCheck> check(LabBench& bench, const quant::EvaluationText& text,
                                     uint32_t count) {
  quant::TrialOptions how;
  how.importance = &bench.importance;
  PUMICE_TRY_ASSIGN(quant::Trial trial, quant::Trial::start(*bench.engine, *bench.file, text, how));
  PUMICE_TRY_ASSIGN(
      quant::PredictionCheck checked,
      quant::check_prediction(trial, *bench.sensitivity, count, bench.options.seed,
                              [&](uint64_t done, uint64_t all) {
                                return bench.progress->tick(all ? double(done) / double(all) : 0);
                              }));
  PUMICE_TRY(bench.progress->step());
  return checked;
}

/// `same` is of the text that the sensitivities were measured on, `other` of the test text.
Verdict verdict_of(const quant::PredictionCheck& same, const quant::PredictionCheck& other) {
  Verdict verdict;
  verdict.claim = "Divergences of single tensors predict that of a whole allocation";
  verdict.standing = other.spearman >= kGoal                           ? Standing::Holds
                     : other.spearman >= 0.8 || same.spearman >= kGoal ? Standing::Partly
                                                                       : Standing::Fails;
  verdict.words = fmt::format(
      "Spearman correlation over {} random allocations (goal: {}): {:.3f} on the text that the "
      "sensitivities come from, {:.3f} on the test text. Measured there is {} times predicted "
      "(geometric mean).",
      other.pairs.size(), kGoal, same.spearman, other.spearman,
      number_text(std::exp(other.log_ratio)));
  return verdict;
}

PlotSeries points_of(const char* name, const quant::PredictionCheck& check) {
  PlotSeries points{name, {}, {}, {}, false, true};
  for (const quant::PredictionPair& pair : check.pairs) {
    points.x.push_back(pair.predicted);
    points.y.push_back(pair.measured);
  }
  return points;
}

}  // namespace

Result<LabSection> prediction_section(LabBench& bench) {
  LabSection section;
  if (!bench.sensitivity || bench.sensitivity->tensors.empty()) {
    section.absent = "sensitivities were not measured";
    return section;
  }
  const uint32_t count = bench.options.allocations != 0 ? bench.options.allocations
                         : bench.options.quick          ? kQuickAllocations
                                                        : kAllocations;
  section.method = fmt::format(
      "Every tensor draws a type at random (seed {}). Predicted: the sum of the tensors' "
      "divergences "
      "on the calibration text. Measured: the whole model, on that text and on the test text.",
      bench.options.seed);
  bench.progress->expect(2);
  PUMICE_TRY_ASSIGN(const quant::PredictionCheck same, check(bench, bench.calibration, count));
  PUMICE_TRY_ASSIGN(const quant::PredictionCheck other, check(bench, bench.test, count));
  PlotSeries even{"equal", {}, {}, {}, true, false};
  double low = INFINITY, high = 0;
  for (size_t i = 0; i < other.pairs.size(); ++i) {
    const quant::PredictionPair& pair = other.pairs[i];
    low = std::min({low, pair.predicted, pair.measured});
    high = std::max({high, pair.predicted, pair.measured});
    section.numbers["pairs"].push_back({{"bytes", pair.bytes},
                                        {"predicted", pair.predicted},
                                        {"measured", pair.measured},
                                        {"measured_calibration", same.pairs[i].measured}});
  }
  section.numbers["spearman"] = other.spearman;
  section.numbers["spearman_calibration"] = same.spearman;
  even.x = even.y = {low, high};
  const PlotSeries series[] = {points_of("test text", other), points_of("calibration text", same),
                               even};
  section.figures.push_back(
      {line_plot("Predicted and measured divergence",
                 {"predicted KLD, nats per token", true, false},
                 {"measured KLD, nats per token", true, false}, series),
       fmt::format("Spearman correlation {:.3f} and {:.3f}.", other.spearman, same.spearman)});
  section.verdicts.push_back(verdict_of(same, other));
  return section;
}

}  // namespace pumice::command
