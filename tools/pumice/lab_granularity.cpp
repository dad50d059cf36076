// How many weights may share a scale: 4-bit rounding simulated at several granularities.
#include <algorithm>
#include <array>
#include <cmath>

#include "lab.h"
#include "plot.h"

namespace pumice::command {
namespace {

constexpr uint64_t kTensor = UINT64_MAX, kRow = UINT64_MAX - 1, kColumns = UINT64_MAX - 2;
constexpr uint64_t kColumnGroup = 64;  ///< rows that share a scale for one input channel

struct Grain {
  uint64_t group;  ///< weights along a row, or one of the names above
  const char* name;
};

constexpr std::array kGrains = {
    Grain{kTensor, "tensor"}, Grain{kRow, "row"}, Grain{256, "256"},          Grain{64, "64"},
    Grain{32, "32"},          Grain{16, "16"},    Grain{kColumns, "64 rows"},
};
constexpr size_t kOfRow = 1, kOf32 = 4, kOf64 = 3, kOf64Rows = 6;

/// Weights at `stride` from each other that share a scale, rounded in place. Symmetric: 15 levels
/// about zero; else 16 from the least to the largest.
void round_group(float* weights, uint64_t count, uint64_t stride, bool symmetric) {
  float low = weights[0], high = weights[0];
  for (uint64_t i = 1; i < count; ++i) {
    low = std::min(low, weights[i * stride]);
    high = std::max(high, weights[i * stride]);
  }
  const float zero = symmetric ? 0.0f : low;
  const float step =
      symmetric ? std::max(std::abs(low), std::abs(high)) / 7.0f : (high - low) / 15.0f;
  if (!(step > 0)) return;
  for (uint64_t i = 0; i < count; ++i) {
    float& w = weights[i * stride];
    w = zero + step * std::round((w - zero) / step);
  }
}

void round_matrix(std::span<float> weights, uint64_t width, uint64_t group, bool symmetric) {
  const uint64_t rows = weights.size() / width;
  if (group == kTensor) return round_group(weights.data(), weights.size(), 1, symmetric);
  if (group == kColumns) {
    for (uint64_t row = 0; row < rows; row += kColumnGroup)
      for (uint64_t column = 0; column < width; ++column)
        round_group(&weights[row * width + column], std::min(kColumnGroup, rows - row), width,
                    symmetric);
    return;
  }
  const uint64_t step = std::min(group, width);  // a row's last group may be shorter
  for (uint64_t row = 0; row < rows; ++row)
    for (uint64_t at = 0; at < width; at += step)
      round_group(&weights[row * width + at], std::min(step, width - at), 1, symmetric);
}

Result<quant::Comparison> measure(LabBench& bench, uint64_t group, bool symmetric) {
  for (const TensorInfo* tensor : bench.matrices) {
    PUMICE_TRY_ASSIGN(std::vector<float> values, bench.weights(*tensor));
    const uint64_t one = tensor->shape[0] * tensor->shape[1];
    for (uint64_t at = 0; at < values.size(); at += one)
      round_matrix(std::span(values).subspan(at, one), tensor->shape[0], group, symmetric);
    PUMICE_TRY(bench.put(*tensor, values));
  }
  PUMICE_TRY_ASSIGN(quant::Comparison comparison, bench.compare());
  PUMICE_TRY(bench.progress->step());
  return comparison;
}

/// By place in kGrains; empty where it was not run.
struct GrainRuns {
  std::array<std::optional<quant::Comparison>, kGrains.size()> symmetric, affine;
};

Verdict row_verdict(const GrainRuns& runs) {
  const double row = mean_kld(*runs.affine[kOfRow]).value,
               group = mean_kld(*runs.affine[kOf32]).value;
  Verdict verdict;
  verdict.claim = "One scale per row is fine enough for 4 bits";
  verdict.standing = row < 1.25 * group ? Standing::Holds
                     : row < 2 * group  ? Standing::Partly
                                        : Standing::Fails;
  verdict.words = fmt::format("KLD with a scale per row {}, per 32 weights {}: {} times as much.",
                              number_text(row), number_text(group), number_text(row / group));
  return verdict;
}

Verdict offset_verdict(const GrainRuns& runs) {
  const quant::Estimate won = kld_difference(*runs.symmetric[kOf32], *runs.affine[kOf32]);
  Verdict verdict;
  verdict.claim = "An offset beside the scale pays for itself";
  verdict.standing = judged(won, Standing::Holds);
  verdict.words = fmt::format(
      "In groups of 32 an offset takes {} nats off ({} to {}); with 16 bits each, scale and offset "
      "cost 5.0 bits per weight where a scale alone costs 4.5.",
      with_error(won), number_text(mean_kld(*runs.symmetric[kOf32]).value),
      number_text(mean_kld(*runs.affine[kOf32]).value));
  return verdict;
}

Verdict layout_verdict(const GrainRuns& runs) {
  const QuantTypeInfo& type = info(QuantType::Q4_K);
  Verdict verdict;
  verdict.claim = "Q4_K groups 64 output channels with a scale and a zero point";
  verdict.standing = Standing::Fails;
  verdict.words = fmt::format(
      "By its format: {} weights along the input dimension of one row, as 8 groups of 32 with a "
      "scale and a minimum each, in {} bytes: {:.2f} bits per weight.",
      type.block_weights, type.block_bytes, 8.0 * type.block_bytes / type.block_weights);
  if (runs.affine[kOf64Rows] && runs.affine[kOf64])
    verdict.words +=
        fmt::format(" Grouping 64 output channels would cost {} nats here, 64 along the row {}.",
                    number_text(mean_kld(*runs.affine[kOf64Rows]).value),
                    number_text(mean_kld(*runs.affine[kOf64]).value));
  return verdict;
}

}  // namespace

Result<LabSection> granularity_section(LabBench& bench) {
  LabSection section;
  section.method =
      "Every matrix is rounded to 4 bits, nothing weighed and nothing searched: symmetric is 15 "
      "levels "
      "about zero up to the largest |w| of the group, asymmetric 16 levels from its least to its "
      "largest weight. Scales stay f32. KLD on the test text.";
  const bool quick = bench.options.quick;
  bench.progress->expect(quick ? 4 : 2 * kGrains.size());
  GrainRuns runs;
  std::vector<std::string> groups;
  PlotSeries bars[2];
  bars[0].name = "symmetric", bars[1].name = "asymmetric";
  for (size_t i = 0; i < kGrains.size(); ++i) {
    if (quick && i != kOfRow && i != kOf32) continue;
    groups.emplace_back(kGrains[i].name);
    PUMICE_TRY_ASSIGN(runs.symmetric[i], measure(bench, kGrains[i].group, true));
    PUMICE_TRY_ASSIGN(runs.affine[i], measure(bench, kGrains[i].group, false));
    const quant::Estimate means[] = {mean_kld(*runs.symmetric[i]), mean_kld(*runs.affine[i])};
    for (size_t s = 0; s < 2; ++s) {
      bars[s].y.push_back(means[s].value);
      bars[s].error.push_back(means[s].error);
    }
    section.numbers["grains"].push_back({{"group", kGrains[i].name},
                                         {"symmetric", to_json(means[0])},
                                         {"asymmetric", to_json(means[1])}});
  }
  PUMICE_TRY(bench.restore_all());
  section.figures.push_back({bar_plot("Divergence by granularity", groups,
                                      {"mean KLD, nats per token", true, false}, bars),
                             "Weights that share one scale. \"64 rows\": 64 output channels at one "
                             "input channel. Whiskers: "
                             "one standard error."});
  section.verdicts = {row_verdict(runs), offset_verdict(runs), layout_verdict(runs)};
  return section;
}

}  // namespace pumice::command
