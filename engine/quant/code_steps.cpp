#include "engine/quant/code_steps.h"

#include <algorithm>
#include <cmath>

#include "engine/quant/wide_vectors.h"

namespace pumice::quant {
namespace {

struct StepLines {
  const float *fall, *rise;
  float *change, *cost;
};

PUMICE_WIDE_VECTORS
void weigh_steps(const StepLines& steps, const float* own, const double* pull, size_t count) {
  for (size_t i = 0; i < count; ++i) {
    const float along = float(pull[i]), change = along >= 0 ? steps.rise[i] : steps.fall[i];
    steps.change[i] = change;
    steps.cost[i] = change == 0 ? HUGE_VALF : change * (change * own[i] - 2 * along);
  }
}

/// The cost of a step beside one of another column that is half of `factor`.
inline float beside(float cost, float factor, float change, float gram) {
  return cost + factor * change * gram;
}

/// The least cost of any step beside that one. Eight minima side by side, so that compilers make
/// one vector of them.
PUMICE_WIDE_VECTORS
float least_beside(float factor, const float* line, const float* change, const float* cost,
                   size_t count) {
  constexpr size_t kLanes = 8;
  float least[kLanes];
  for (float& lane : least) lane = HUGE_VALF;
  for (size_t i = 0; i < count; i += kLanes)
    for (size_t lane = 0; lane < kLanes; ++lane) {
      const float both = beside(cost[i + lane], factor, change[i + lane], line[i + lane]);
      least[lane] = both < least[lane] ? both : least[lane];
    }
  return *std::ranges::min_element(least);
}

}  // namespace

CodeSteps::CodeSteps(size_t most) : fall_(most), rise_(most), change_(most), cost_(most) {}

void CodeSteps::set(uint32_t column, float fall, float rise) {
  fall_[column] = fall;
  rise_[column] = rise;
}

void CodeSteps::weigh(std::span<const float> own, std::span<const double> pull) {
  weigh_steps({fall_.data(), rise_.data(), change_.data(), cost_.data()}, own.data(), pull.data(),
              count_);
}

std::optional<uint32_t> CodeSteps::best_partner(uint32_t column, const float* line) {
  const float alone = cost_[column], factor = 2 * change_[column];
  if (alone == HUGE_VALF) return {};
  cost_[column] = HUGE_VALF;  // no partner of itself
  const float least = least_beside(factor, line, change_.data(), cost_.data(), count_);
  std::optional<uint32_t> best;
  for (uint32_t i = 0; i < count_ && least + alone < 0 && !best; ++i)
    if (beside(cost_[i], factor, change_[i], line[i]) == least) best = i;
  cost_[column] = alone;
  return best;
}

}  // namespace pumice::quant
