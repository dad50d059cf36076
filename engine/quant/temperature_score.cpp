// score_temperature: two distributions at a temperature. Nuclei are found without sorting a row:
// probability by distance from the best logit in narrow bins, then only the last bin in order.
#include <algorithm>
#include <cmath>

#include "engine/quant/exp_block.h"
#include "engine/quant/row_score.h"

namespace pumice::quant {
namespace {

constexpr uint32_t kBins = 4096;
constexpr double kBinsPerNat = 64.0;  ///< of logit; the last bin holds all that is further away

uint32_t bin_of(float best, float x) {
  const double bin = (double(best) - double(x)) * kBinsPerNat;
  return bin < kBins - 1 ? uint32_t(bin) : kBins - 1;
}

struct Tempered {
  size_t top = 0;      ///< the likeliest token, the lowest id of equals
  double log_sum = 0;  ///< log of the sum of exp(logit / T)
};

/// Probabilities of a row at a temperature.
Tempered fill_probabilities(std::span<const float> row, double temperature,
                            std::vector<double>& p) {
  Tempered tempered;
  tempered.top = size_t(std::max_element(row.begin(), row.end()) - row.begin());
  const float best = row[tempered.top];
  p.resize(row.size());
  const double scale = 1.0 / temperature;
  DoubleBlock x, weight, sums{};
  for (size_t first = 0; first < row.size(); first += kBlock) {
    const size_t count = std::min(kBlock, row.size() - first);
    x.fill(2 * kLeastExponent);  // past the end: weighs nothing
    for (size_t i = 0; i < count; ++i) x[i] = (double(row[first + i]) - double(best)) * scale;
    exp_block(x, weight);
    for (size_t i = 0; i < kBlock; ++i) sums[i] += weight[i];
    std::copy_n(weight.begin(), count, p.begin() + std::ptrdiff_t(first));
  }
  const double sum = total(sums);
  for (double& value : p) value /= sum;
  tempered.log_sum = double(best) * scale + std::log(sum);
  return tempered;
}

/// Marks the nucleus of a row whose probabilities are `p`.
void mark_nucleus(std::span<const float> row, float best, const std::vector<double>& p,
                  double top_p, TemperatureWork& work, std::vector<uint8_t>& inside) {
  inside.assign(row.size(), 0);
  work.bins.assign(kBins, 0.0);
  for (size_t i = 0; i < row.size(); ++i) work.bins[bin_of(best, row[i])] += p[i];
  double mass = 0;
  uint32_t edge = 0;
  while (edge + 1 < kBins && mass + work.bins[edge] < top_p) mass += work.bins[edge++];
  work.order.clear();
  for (uint32_t i = 0; i < row.size(); ++i) {
    const uint32_t bin = bin_of(best, row[i]);
    inside[i] = bin < edge;
    if (bin == edge) work.order.push_back(i);
  }
  std::sort(work.order.begin(), work.order.end(),
            [&](uint32_t a, uint32_t b) { return row[a] != row[b] ? row[a] > row[b] : a < b; });
  for (const uint32_t i : work.order) {
    if (mass >= top_p) break;
    mass += p[i];
    inside[i] = 1;
  }
}

void compare_nuclei(const TemperatureWork& work, TemperatureScore& score) {
  uint64_t both = 0, either = 0;
  double mass = 0;
  for (size_t i = 0; i < work.p.size(); ++i) {
    both += work.in_p[i] & work.in_q[i];
    either += work.in_p[i] | work.in_q[i];
    if (work.in_q[i]) mass += work.p[i];
  }
  score.nucleus_overlap = either == 0 ? 1.0 : double(both) / double(either);
  score.nucleus_mass = mass;
}

}  // namespace

TemperatureScore score_temperature(std::span<const float> reference, std::span<const float> row,
                                   double temperature, double top_p, TemperatureWork& work) {
  TemperatureScore score;
  const Tempered of_p = fill_probabilities(reference, temperature, work.p);
  const Tempered of_q = fill_probabilities(row, temperature, work.q);
  double distance = 0, p_below = 0, q_below = 0, agree = 0, mean = 0;
  for (size_t i = 0; i < row.size(); ++i) {
    const double p = work.p[i], q = work.q[i];
    distance += std::abs(p - q);
    // The stretch of random numbers that gives token i under both.
    agree += std::max(0.0, std::min(p_below + p, q_below + q) - std::max(p_below, q_below));
    p_below += p;
    q_below += q;
    mean += p * (double(reference[i]) - double(row[i]));
  }
  double variance = 0;
  for (size_t i = 0; i < row.size(); ++i) {
    const double delta = double(reference[i]) - double(row[i]) - mean;
    variance += work.p[i] * delta * delta;
  }
  score.total_variation = distance / 2;
  score.same_draw = std::clamp(1.0 - agree, 0.0, 1.0);
  score.kld = std::max(mean / temperature - (of_p.log_sum - of_q.log_sum), 0.0);
  score.kld_predicted = variance / (2 * temperature * temperature);
  score.top_changed = of_p.top != of_q.top ? 1.0 : 0.0;
  mark_nucleus(reference, reference[of_p.top], work.p, top_p, work, work.in_p);
  mark_nucleus(row, row[of_q.top], work.q, top_p, work, work.in_q);
  compare_nuclei(work, score);
  return score;
}

}  // namespace pumice::quant
