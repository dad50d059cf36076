// Which weights carry the rounding error: squared error by deciles of |w|, per type.
#include <algorithm>
#include <array>
#include <cmath>

#include "lab.h"
#include "plot.h"

namespace pumice::command {
namespace {

constexpr size_t kBins = 10;
constexpr double kFair = 1.0 / double(kBins);
constexpr uint64_t kMostWeights = uint64_t(1) << 20;  ///< of a tensor that are looked at
constexpr size_t kQuickMatrices = 6;

/// Sums per decile of |w| within each tensor, over all tensors looked at.
struct MagnitudeErrors {
  QuantType type;
  std::array<double, kBins> error{};   ///< sum of (w - w')^2
  std::array<double, kBins> energy{};  ///< sum of w^2
  uint64_t weights = 0;

  [[nodiscard]] double share(size_t bin) const {
    double all = 0;
    for (const double one : error) all += one;
    return all > 0 ? error[bin] / all : 0.0;
  }
};

/// |w| below which each tenth lies: the inner edges of the bins.
std::array<float, kBins - 1> deciles(std::vector<float> magnitudes) {
  std::array<float, kBins - 1> edges{};
  std::ranges::sort(magnitudes);
  for (size_t i = 0; i + 1 < kBins; ++i) edges[i] = magnitudes[magnitudes.size() * (i + 1) / kBins];
  return edges;
}

void add_tensor(std::span<const float> weights, std::span<const float> rounded,
                MagnitudeErrors& sums) {
  std::vector<float> magnitudes(weights.begin(), weights.end());
  for (float& w : magnitudes) w = std::abs(w);
  const auto edges = deciles(magnitudes);
  for (size_t i = 0; i < weights.size(); ++i) {
    const size_t bin = size_t(std::ranges::upper_bound(edges, magnitudes[i]) - edges.begin());
    const double w = weights[i], e = w - double(rounded[i]);
    sums.error[bin] += e * e;
    sums.energy[bin] += w * w;
  }
  sums.weights += weights.size();
}

Result<MagnitudeErrors> measure(LabBench& bench, QuantType type) {
  MagnitudeErrors sums{type, {}, {}, 0};
  size_t looked_at = 0;
  for (const TensorInfo* tensor : bench.matrices) {
    if (!quant::fits(type, *tensor)) continue;
    if (bench.options.quick && looked_at == kQuickMatrices) break;
    ++looked_at;
    PUMICE_TRY_ASSIGN(const std::vector<float> weights, bench.weights(*tensor));
    PUMICE_TRY_ASSIGN(const std::vector<float> rounded,
                      bench.rounded(*tensor, type, Weighing::Plain));
    const size_t count = size_t(std::min<uint64_t>(weights.size(), kMostWeights));
    add_tensor(std::span(weights).first(count), std::span(rounded).first(count), sums);
  }
  return sums;
}

Verdict verdict_of(const MagnitudeErrors& errors) {
  const double top = errors.share(kBins - 1), low = errors.share(0);
  Verdict verdict;
  verdict.claim = "The large weights are the ones that rounding damages most";
  verdict.standing = top > 3 * kFair     ? Standing::Holds
                     : top > 1.5 * kFair ? Standing::Partly
                                         : Standing::Fails;
  verdict.words = fmt::format(
      "{}: the largest tenth of the weights has {} of the squared error, the smallest tenth {}; an "
      "even spread would be 10 %.",
      upper_name(errors.type), percent_text(top), percent_text(low));
  return verdict;
}

}  // namespace

Result<LabSection> magnitude_section(LabBench& bench) {
  LabSection section;
  section.method =
      "Every matrix is rounded to the type without weighing; its weights are sorted by |w| into "
      "ten "
      "bins of equal count. Shares are of the summed squared error of weights, so no text is "
      "involved.";
  const std::vector<QuantType> types = bench.ladder();
  bench.progress->expect(types.size());
  std::vector<PlotSeries> shares, relative;
  std::optional<MagnitudeErrors> usual;
  for (const QuantType type : types) {
    PUMICE_TRY_ASSIGN(const MagnitudeErrors errors, measure(bench, type));
    PUMICE_TRY(bench.progress->step());
    if (errors.weights == 0) continue;
    PlotSeries share{upper_name(type), {}, {}, {}, false, false}, noise = share;
    for (size_t bin = 0; bin < kBins; ++bin) {
      share.x.push_back(10.0 * double(bin) + 5);
      share.y.push_back(100 * errors.share(bin));
      noise.x.push_back(10.0 * double(bin) + 5);
      noise.y.push_back(errors.energy[bin] > 0 ? errors.error[bin] / errors.energy[bin] : NAN);
    }
    section.numbers["types"].push_back({{"type", upper_name(type)},
                                        {"weights", errors.weights},
                                        {"error_share", share.y},
                                        {"relative_error", noise.y}});
    if (type == bench.four_bit()) usual = errors;
    shares.push_back(std::move(share));
    relative.push_back(std::move(noise));
  }
  const PlotAxis x{"rank of |w|, % (left: smallest)", false, false};
  section.figures.push_back(
      {line_plot("Share of squared error by weight magnitude", x,
                 {"share of squared error, %", false, true}, shares),
       "Which tenth of the weights holds the squared error. Level at 10 % means: all alike."});
  section.figures.push_back({line_plot("Relative error by weight magnitude", x,
                                       {"error² / weight²", true, false}, relative),
                             "The same error relative to the weights themselves: small weights "
                             "lose most of what they are, "
                             "which is why they may not be dropped from the count."});
  if (usual) section.verdicts.push_back(verdict_of(*usual));
  return section;
}

}  // namespace pumice::command
