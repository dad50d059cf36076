// What each matrix costs alone: divergence of the whole model with one of its tensors quantised.
#include <algorithm>
#include <cmath>
#include <set>

#include "lab.h"
#include "plot.h"

namespace pumice::command {
namespace {

/// All tensors of a kind at one type.
struct KindLoss {
  std::string kind;
  double kld = 0;
  uint64_t weights = 0;
  [[nodiscard]] double per_weight() const { return weights ? kld / double(weights) : NAN; }
};

/// Where a type stands among the candidates; nothing if it is none.
std::optional<size_t> candidate_of(const quant::Sensitivity& sensitivity, QuantType type) {
  const auto found = std::ranges::find(sensitivity.candidates, type);
  if (found == sensitivity.candidates.end()) return {};
  return size_t(found - sensitivity.candidates.begin());
}

std::vector<KindLoss> losses_by_kind(const quant::Sensitivity& sensitivity, size_t candidate) {
  std::map<std::string, KindLoss> kinds;
  for (const quant::TensorSensitivity& tensor : sensitivity.tensors) {
    if (!tensor.allows(candidate)) continue;
    KindLoss& loss = kinds[kind_of(tensor.name)];
    loss.kind = kind_of(tensor.name);
    loss.kld += tensor.kld[candidate];
    loss.weights += tensor.weights;
  }
  std::vector<KindLoss> sorted;
  for (auto& [kind, loss] : kinds) sorted.push_back(std::move(loss));
  std::ranges::stable_sort(sorted, std::greater<>(), &KindLoss::per_weight);
  return sorted;
}

HeatMap layers_by_kind(const quant::Sensitivity& sensitivity, size_t candidate) {
  HeatMap map;
  map.label = "KLD, nats per token";
  map.log = true;
  std::set<std::string> kinds;
  std::set<uint32_t> layers;
  for (const quant::TensorSensitivity& tensor : sensitivity.tensors) {
    if (!layer_of(tensor.name)) continue;
    kinds.insert(kind_of(tensor.name));
    layers.insert(*layer_of(tensor.name));
  }
  map.columns.assign(kinds.begin(), kinds.end());
  for (const uint32_t layer : layers) map.rows.push_back(fmt::format("{}", layer));
  map.values.assign(map.rows.size() * map.columns.size(), NAN);
  for (const quant::TensorSensitivity& tensor : sensitivity.tensors) {
    const auto layer = layer_of(tensor.name);
    if (!layer || !tensor.allows(candidate)) continue;
    const auto row = size_t(std::distance(layers.begin(), layers.find(*layer)));
    const auto column =
        size_t(std::ranges::find(map.columns, kind_of(tensor.name)) - map.columns.begin());
    map.values[row * map.columns.size() + column] = tensor.kld[candidate];
  }
  return map;
}

Verdict down_verdict(const std::vector<KindLoss>& kinds, const std::string& type) {
  Verdict verdict;
  verdict.claim = "ffn_down needs two bits more than ffn_up and ffn_gate";
  KindLoss down, others;
  for (const KindLoss& kind : kinds) {
    const bool is_down = kind.kind.starts_with("ffn_down");
    if (!is_down && !kind.kind.starts_with("ffn_up") && !kind.kind.starts_with("ffn_gate"))
      continue;
    KindLoss& into = is_down ? down : others;
    into.kld += kind.kld;
    into.weights += kind.weights;
  }
  const double ratio = down.per_weight() / others.per_weight();
  if (!(ratio > 0) || !std::isfinite(ratio)) {
    verdict.words = fmt::format("Not to be seen here: {} does not fit both kinds' rows.", type);
    return verdict;
  }
  // Divergence falls by 4 per bit, so a ratio of 4 is worth one bit.
  const double bits = 0.5 * std::log2(ratio);
  verdict.standing = bits > 1.5 ? Standing::Holds : bits > 0.5 ? Standing::Partly : Standing::Fails;
  verdict.words = fmt::format(
      "At {} a weight of ffn_down costs {} times the divergence of one of up and gate: worth "
      "{:+.2f} "
      "bits (half the binary logarithm).",
      type, number_text(ratio), bits);
  return verdict;
}

Verdict kinds_verdict(const std::vector<KindLoss>& kinds, const std::string& type) {
  Verdict verdict;
  verdict.claim = "All kinds of matrices deserve the same precision";
  if (kinds.size() < 2) {
    verdict.words = "Fewer than two kinds of matrices fit the type.";
    return verdict;
  }
  const double ratio = kinds.front().per_weight() / kinds.back().per_weight();
  if (std::isfinite(ratio))
    verdict.standing = ratio < 2 ? Standing::Holds : ratio < 4 ? Standing::Partly : Standing::Fails;
  verdict.words = fmt::format("At {} a weight of {} costs {} times the divergence of one of {}.",
                              type, kinds.front().kind, number_text(ratio), kinds.back().kind);
  return verdict;
}

Verdict experts_verdict(const LabBench& bench) {
  Verdict verdict;
  verdict.claim = "Experts make quantisation harmless";
  verdict.words =
      bench.facts.experts == 0
          ? "This model has no experts."
          : "Not separated here: compare the rows of expert tensors above with those of "
            "the attention.";
  return verdict;
}

void describe(const LabBench& bench, const quant::Sensitivity& sensitivity, QuantType type,
              LabSection& section) {
  const auto candidate = candidate_of(sensitivity, type);
  if (!candidate) return;
  const std::string name = upper_name(type);
  const std::vector<KindLoss> kinds = losses_by_kind(sensitivity, *candidate);
  section.figures.push_back(
      {heat_map("Divergence with one tensor quantised", layers_by_kind(sensitivity, *candidate)),
       fmt::format(
           "Layers down, tensors across, each alone at {}. Empty: the type does not fit the "
           "rows.",
           name)});
  std::vector<std::string> groups;
  PlotSeries bars;
  for (const KindLoss& kind : kinds) {
    groups.push_back(kind.kind);
    bars.y.push_back(kind.per_weight() * 1e6);
  }
  const PlotSeries series[] = {bars};
  section.figures.push_back(
      {bar_plot("Divergence per million weights", groups, {"nats per million weights", true, false},
                series),
       fmt::format("By kind, all layers together, at {}: where a byte more buys most.", name)});
  section.verdicts.push_back(down_verdict(kinds, name));
  section.verdicts.push_back(kinds_verdict(kinds, name));
  section.verdicts.push_back(experts_verdict(bench));
}

nlohmann::ordered_json numbers_of(const quant::Sensitivity& sensitivity) {
  nlohmann::ordered_json numbers;
  for (const QuantType type : sensitivity.candidates)
    numbers["candidates"].push_back(upper_name(type));
  numbers["positions"] = sensitivity.positions;
  for (const quant::TensorSensitivity& tensor : sensitivity.tensors)
    numbers["tensors"].push_back({{"name", tensor.name},
                                  {"weights", tensor.weights},
                                  {"kld", tensor.kld},
                                  {"measured", tensor.measured},
                                  {"weight_error", tensor.weight_error},
                                  {"bytes", tensor.bytes}});
  return numbers;
}

}  // namespace

Result<LabSection> sensitivity_section(LabBench& bench) {
  LabSection section;
  section.method = fmt::format(
      "One tensor at a time is quantised, weighed by activation statistics, and the whole model "
      "runs "
      "over the calibration text: mean KL divergence from the untouched model over {} positions.",
      bench.calibration.positions());
  quant::TrialOptions how;
  how.importance = &bench.importance;
  PUMICE_TRY_ASSIGN(quant::Trial trial,
                    quant::Trial::start(*bench.engine, *bench.file, bench.calibration, how));
  quant::SensitivityOptions options;
  if (bench.options.quick) options.anchors = 2;
  options.progress = [&](uint64_t done, uint64_t all) {
    return bench.progress->tick(all ? double(done) / double(all) : 0.0);
  };
  bench.progress->expect(1);
  PUMICE_TRY_ASSIGN(bench.sensitivity, quant::measure_sensitivity(trial, options));
  PUMICE_TRY(bench.progress->step());
  describe(bench, *bench.sensitivity, bench.four_bit(), section);
  section.numbers = numbers_of(*bench.sensitivity);
  return section;
}

}  // namespace pumice::command
