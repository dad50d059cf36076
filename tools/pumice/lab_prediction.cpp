// Whether divergences of single tensors predict that of a whole allocation.
#include <cmath>

#include "engine/quant/prediction.h"
#include "lab.h"
#include "plot.h"

namespace pumice::command {
namespace {

constexpr uint32_t kAllocations = 60, kQuickAllocations = 12;
constexpr double kGoal = 0.95;

Verdict verdict_of(const quant::PredictionCheck& check) {
  Verdict verdict;
  verdict.claim = "Divergences of single tensors predict that of a whole allocation";
  verdict.standing = check.spearman >= kGoal ? Standing::Holds
                     : check.spearman >= 0.8 ? Standing::Partly
                                             : Standing::Fails;
  verdict.words = fmt::format(
      "Spearman correlation {:.3f} over {} random allocations (goal: {}); measured is {} times "
      "predicted (geometric mean).",
      check.spearman, check.pairs.size(), kGoal, number_text(std::exp(check.log_ratio)));
  return verdict;
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
      "on the calibration text. Measured: the whole model on the test text.",
      bench.options.seed);
  bench.progress->expect(1);
  quant::TrialOptions how;
  how.importance = &bench.importance;
  PUMICE_TRY_ASSIGN(quant::Trial trial,
                    quant::Trial::start(*bench.engine, *bench.file, bench.test, how));
  PUMICE_TRY_ASSIGN(
      const quant::PredictionCheck check,
      quant::check_prediction(trial, *bench.sensitivity, count, bench.options.seed,
                              [&](uint64_t done, uint64_t all) {
                                return bench.progress->tick(all ? double(done) / double(all) : 0);
                              }));
  PUMICE_TRY(bench.progress->step());
  PlotSeries points{"allocations", {}, {}, {}, false, true}, even{"equal", {}, {}, {}, true, false};
  double low = INFINITY, high = 0;
  for (const quant::PredictionPair& pair : check.pairs) {
    points.x.push_back(pair.predicted);
    points.y.push_back(pair.measured);
    low = std::min({low, pair.predicted, pair.measured});
    high = std::max({high, pair.predicted, pair.measured});
    section.numbers["pairs"].push_back(
        {{"bytes", pair.bytes}, {"predicted", pair.predicted}, {"measured", pair.measured}});
  }
  section.numbers["spearman"] = check.spearman;
  even.x = even.y = {low, high};
  const PlotSeries series[] = {points, even};
  section.figures.push_back({line_plot("Predicted and measured divergence",
                                       {"predicted KLD, nats per token", true, false},
                                       {"measured KLD, nats per token", true, false}, series),
                             fmt::format("Spearman correlation {:.3f}.", check.spearman)});
  section.verdicts.push_back(verdict_of(check));
  return section;
}

}  // namespace pumice::command
