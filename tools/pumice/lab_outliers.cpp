// How unevenly activations are spread over channels, from E[x^2] of the calibration text.
#include <algorithm>
#include <cmath>
#include <numeric>

#include "lab.h"
#include "plot.h"

namespace pumice::command {
namespace {

constexpr size_t kMostPoints = 80;  ///< of a curve

/// One kind of input, all layers.
struct ChannelEnergies {
  std::string kind;
  uint64_t width = 0;
  std::vector<double> sorted;             ///< energies over their mean, falling; mean of the layers
  double mean_share = 0, most_share = 0;  ///< of the energy, in the top 1 % of channels
  std::string most_tensor;
  size_t layers = 0;
};

size_t top_channels(uint64_t width) {
  return size_t(std::max<uint64_t>((width + 50) / 100, 1));
}

void add_input(const std::string& name, const quant::ActivationStatistics& statistics,
               ChannelEnergies& into) {
  const std::vector<float> squares = quant::mean_squares(statistics);
  std::vector<double> energies(squares.begin(), squares.end());
  std::ranges::sort(energies, std::greater<>());
  const double sum = std::accumulate(energies.begin(), energies.end(), 0.0);
  if (!(sum > 0) || (into.width != 0 && into.width != statistics.width)) return;
  into.width = statistics.width;
  into.sorted.resize(energies.size());
  double top = 0;
  for (size_t i = 0; i < energies.size(); ++i) {
    into.sorted[i] += energies[i] / sum * double(energies.size());
    if (i < top_channels(into.width)) top += energies[i] / sum;
  }
  if (top > into.most_share) into.most_share = top, into.most_tensor = name;
  into.mean_share += top;
  ++into.layers;
}

std::vector<ChannelEnergies> measure(const LabBench& bench) {
  std::map<std::string, ChannelEnergies> kinds;
  for (const auto& [name, statistics] : bench.importance.tensors) {
    const std::string kind = kind_of(name);
    // q, k and v read one input, gate and up another: one of each says it all.
    if (kind == "attn_k" || kind == "attn_v" || kind.starts_with("ffn_gate")) continue;
    ChannelEnergies& energies = kinds[kind];
    energies.kind = kind;
    add_input(name, statistics, energies);
  }
  std::vector<ChannelEnergies> list;
  for (auto& [kind, energies] : kinds) {
    if (energies.layers == 0) continue;
    energies.mean_share /= double(energies.layers);
    for (double& energy : energies.sorted) energy /= double(energies.layers);
    list.push_back(std::move(energies));
  }
  return list;
}

PlotSeries curve_of(const ChannelEnergies& energies) {
  PlotSeries curve;
  curve.name = energies.kind;
  const size_t count = energies.sorted.size(), points = std::min(count, kMostPoints);
  for (size_t i = 0; i < points; ++i) {
    // Closer together among the largest, where the curve bends: squares of even steps.
    const double share = points < count ? double(i * i) / double((points - 1) * (points - 1))
                                        : double(i) / double(std::max<size_t>(points - 1, 1));
    const size_t at = size_t(share * double(count - 1));
    curve.x.push_back(100.0 * (double(at) + 0.5) / double(count));
    curve.y.push_back(energies.sorted[at]);
  }
  return curve;
}

Verdict verdict_of(const ChannelEnergies& most) {
  const double fair = double(top_channels(most.width)) / double(most.width);
  Verdict verdict;
  verdict.claim = "A few outlier channels carry most of the activations";
  verdict.standing = most.most_share > 0.5         ? Standing::Holds
                     : most.most_share > 10 * fair ? Standing::Partly
                                                   : Standing::Fails;
  verdict.words = fmt::format(
      "At most {} of an input's energy lies in its strongest {} of {} channels (before {}); an "
      "even "
      "spread would put {} there.",
      percent_text(most.most_share), top_channels(most.width), most.width, most.most_tensor,
      percent_text(fair));
  return verdict;
}

}  // namespace

Result<LabSection> outlier_section(LabBench& bench) {
  LabSection section;
  section.method = fmt::format(
      "E[x²] of every input channel of every matrix over the calibration text ({} tokens), sorted "
      "and divided by its mean over channels. The strongest 1 % is at least one channel.",
      bench.calibration.tokens.size());
  bench.progress->expect(1);
  const std::vector<ChannelEnergies> kinds = measure(bench);
  PUMICE_TRY(bench.progress->step());
  if (kinds.empty()) {
    section.absent = "no activation statistics of this model";
    return section;
  }
  std::vector<PlotSeries> curves;
  std::vector<std::string> groups;
  PlotSeries shares[2];
  shares[0].name = "mean of the layers", shares[1].name = "largest layer";
  for (const ChannelEnergies& kind : kinds) {
    curves.push_back(curve_of(kind));
    groups.push_back(kind.kind);
    shares[0].y.push_back(100 * kind.mean_share);
    shares[1].y.push_back(100 * kind.most_share);
    section.numbers["inputs"].push_back({{"kind", kind.kind},
                                         {"width", kind.width},
                                         {"layers", kind.layers},
                                         {"top_1_percent_mean", kind.mean_share},
                                         {"top_1_percent_most", kind.most_share},
                                         {"most_tensor", kind.most_tensor}});
  }
  section.figures.push_back(
      {line_plot("Energy of channels", {"channels, strongest first, %"},
                 {"E[x²] / mean", true, false}, curves),
       "Mean of the layers. A level line would mean channels without outliers."});
  section.figures.push_back(
      {bar_plot("Energy in the strongest 1 % of channels", groups,
                {"share of energy, %", false, true}, shares),
       "By the matrix that reads the input; attn_q stands for k and v too, ffn_up for the gate."});
  section.verdicts.push_back(
      verdict_of(*std::ranges::max_element(kinds, std::less<>(), &ChannelEnergies::most_share)));
  return section;
}

}  // namespace pumice::command
