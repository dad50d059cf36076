// Rotation angles: frequencies, linear and YaRN scaling, per-pair factors.
#include "engine/graph/rope_table.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace pumice::graph {
namespace {

/// The (fractional) pair index whose wavelength fits `rotations` times into the original context.
double pair_of_rotations(const RopeSpec& spec, double rotations) {
  const double context = std::max(1.0, double(spec.original_context));
  return spec.n_rot * std::log(context / (rotations * 2.0 * std::numbers::pi)) /
         (2.0 * std::log(spec.freq_base));
}

/// YaRN keeps fast pairs as trained (1) and interpolates slow ones (0), with a ramp in between.
double yarn_keep(const RopeSpec& spec, uint32_t pair) {
  const double low = std::max(0.0, std::floor(pair_of_rotations(spec, spec.beta_fast)));
  const double high =
      std::min(double(spec.n_rot) - 1.0, std::ceil(pair_of_rotations(spec, spec.beta_slow)));
  const double ramp = (double(pair) - low) / std::max(0.001, high - low);
  return 1.0 - std::clamp(ramp, 0.0, 1.0);
}

}  // namespace

double rope_frequency(const RopeSpec& spec, std::span<const float> factors, uint32_t pair) {
  double trained = std::pow(spec.freq_base, -2.0 * double(pair) / double(spec.n_rot));
  if (pair < factors.size()) trained /= double(factors[pair]);
  const double scaled = trained * spec.freq_scale;
  if (spec.ext_factor == 0.0) return scaled;
  const double keep = yarn_keep(spec, pair) * spec.ext_factor;
  return scaled * (1.0 - keep) + trained * keep;
}

std::vector<float> rope_table(const RopeSpec& spec, std::span<const float> factors,
                              uint32_t n_positions) {
  const uint32_t pairs = spec.n_rot / 2;
  std::vector<double> frequency(pairs);
  for (uint32_t i = 0; i < pairs; ++i) frequency[i] = rope_frequency(spec, factors, i);

  std::vector<float> table(size_t(n_positions) * pairs * 2);
  size_t at = 0;
  for (uint32_t position = 0; position < n_positions; ++position) {
    for (uint32_t i = 0; i < pairs; ++i) {
      const double angle = double(position) * frequency[i];
      table[at++] = float(std::cos(angle) * spec.attn_factor);
      table[at++] = float(std::sin(angle) * spec.attn_factor);
    }
  }
  return table;
}

}  // namespace pumice::graph
