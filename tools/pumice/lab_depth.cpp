// How errors pile up in the residual stream: only the first layers quantised, one more each time.
#include <algorithm>
#include <cmath>
#include <set>

#include "lab.h"
#include "plot.h"

namespace pumice::command {
namespace {

constexpr size_t kMostPoints = 16, kQuickPoints = 3;

/// Layers after which the divergence is measured, the last one among them.
std::set<uint32_t> stops(const std::set<uint32_t>& layers, size_t most) {
  std::set<uint32_t> chosen;
  const std::vector<uint32_t> list(layers.begin(), layers.end());
  const size_t count = std::min(most, list.size());
  for (size_t i = 1; i <= count; ++i) chosen.insert(list[list.size() * i / count - 1]);
  return chosen;
}

/// Sum of the divergences of single tensors of layers <= last; NaN where none was measured.
double sum_alone(const LabBench& bench, uint32_t last, QuantType type) {
  if (!bench.sensitivity) return NAN;
  const auto& candidates = bench.sensitivity->candidates;
  const auto found = std::ranges::find(candidates, type);
  if (found == candidates.end()) return NAN;
  const size_t candidate = size_t(found - candidates.begin());
  double sum = 0;
  for (const quant::TensorSensitivity& tensor : bench.sensitivity->tensors) {
    const auto layer = layer_of(tensor.name);
    if (layer && *layer <= last && tensor.allows(candidate)) sum += tensor.kld[candidate];
  }
  return sum;
}

Verdict verdict_of(double whole, double sum, const std::string& type) {
  Verdict verdict;
  verdict.claim = "Errors of layers simply add up through the residual stream";
  if (!(sum > 0)) {
    verdict.words = "The divergences of single tensors are missing.";
    return verdict;
  }
  const double ratio = whole / sum;
  verdict.standing = ratio > 0.8 && ratio < 1.25 ? Standing::Holds
                     : ratio > 0.5 && ratio < 2  ? Standing::Partly
                                                 : Standing::Fails;
  verdict.words = fmt::format(
      "{} in all layers: {} nats together on the test text, {} as the sum of each tensor alone on "
      "the calibration text: {} times.",
      type, number_text(whole), number_text(sum), number_text(ratio));
  return verdict;
}

}  // namespace

Result<LabSection> depth_section(LabBench& bench) {
  const QuantType type = bench.four_bit();
  LabSection section;
  section.method = fmt::format(
      "Layers are quantised to {} from the first on, weighed by activation statistics; KLD of the "
      "whole model on the test text after each. Dashed: the sum of the divergences of the same "
      "tensors alone.",
      upper_name(type));
  std::set<uint32_t> layers;
  for (const TensorInfo* tensor : bench.matrices)
    if (const auto layer = layer_of(tensor->name); layer && quant::fits(type, *tensor))
      layers.insert(*layer);
  if (layers.empty()) {
    section.absent = fmt::format("{} fits no rows of this model's layers", upper_name(type));
    return section;
  }
  const std::set<uint32_t> measured =
      stops(layers, bench.options.quick ? kQuickPoints : kMostPoints);
  bench.progress->expect(measured.size());
  PlotSeries together{"layers so far", {}, {}, {}, false, false},
      alone{"sum of single tensors", {}, {}, {}, true, false};
  for (const uint32_t layer : layers) {
    for (const TensorInfo* tensor : bench.matrices) {
      if (layer_of(tensor->name) != layer || !quant::fits(type, *tensor)) continue;
      PUMICE_TRY_ASSIGN(const std::vector<float> values,
                        bench.rounded(*tensor, type, Weighing::Activation));
      PUMICE_TRY(bench.put(*tensor, values));
    }
    if (!measured.contains(layer)) continue;
    PUMICE_TRY_ASSIGN(const quant::Comparison comparison, bench.compare());
    PUMICE_TRY(bench.progress->step());
    const quant::Estimate mean = mean_kld(comparison);
    together.x.push_back(layer + 1.0), alone.x.push_back(layer + 1.0);
    together.y.push_back(mean.value), together.error.push_back(mean.error);
    alone.y.push_back(sum_alone(bench, layer, type));
    section.numbers["depths"].push_back(
        {{"layers", layer + 1}, {"kld", to_json(mean)}, {"sum_alone", alone.y.back()}});
  }
  PUMICE_TRY(bench.restore_all());
  const PlotSeries series[] = {together, alone};
  section.figures.push_back(
      {line_plot("Divergence by depth", {"layers quantised, from the first", false, true},
                 {"mean KLD, nats per token", false, true}, series),
       "Whiskers: one standard error."});
  section.verdicts.push_back(verdict_of(together.y.back(), alone.y.back(), upper_name(type)));
  return section;
}

}  // namespace pumice::command
