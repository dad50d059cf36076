#include "engine/quant/code_steps.h"

#include <algorithm>
#include <cmath>

#include "engine/quant/wide_vectors.h"

namespace pumice::quant {
namespace {

constexpr Way kWays[] = {Way::Down, Way::Up};

/// The cost of a step beside one of another column: `factor` is twice that one's change.
inline float beside(float cost, float factor, float change, float gram) {
  return cost + factor * change * gram;
}

PUMICE_WIDE_VECTORS
void weigh_steps(const float* change, const float* closed, const float* own, const double* pull,
                 size_t count, float* cost) {
  for (size_t i = 0; i < count; ++i)
    cost[i] = change[i] * (change[i] * own[i] - 2 * float(pull[i])) + closed[i];
}

/// Eight minima side by side, so that compilers make one vector of them.
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

CodeSteps::CodeSteps(size_t width) : width_(width) {
  for (Lines* lines : {&change_, &closed_, &cost_})
    for (std::vector<float>& line : *lines) line.resize(width);
}

void CodeSteps::set(uint32_t column, Way way, float change) {
  change_[size_t(way)][column] = change;
  closed_[size_t(way)][column] = change == 0 ? HUGE_VALF : 0.0f;
}

void CodeSteps::weigh(std::span<const float> own, std::span<const double> pull) {
  for (const Way way : kWays)
    weigh_steps(change_[size_t(way)].data(), closed_[size_t(way)].data(), own.data(), pull.data(),
                width_, cost_[size_t(way)].data());
}

CodeSteps::Partner CodeSteps::best_partner(uint32_t column, Way way, const float* line) {
  const float factor = 2 * change(column, way);
  const float alone = cost_[size_t(way)][column];
  const float own[] = {cost_[0][column], cost_[1][column]};
  cost_[0][column] = cost_[1][column] = HUGE_VALF;
  Partner best = {column, way, HUGE_VALF};
  for (const Way other : kWays) {
    const std::vector<float>&changes = change_[size_t(other)], &costs = cost_[size_t(other)];
    const float least = least_beside(factor, line, changes.data(), costs.data(), width_);
    if (!(least + alone < best.cost)) continue;
    best = {column, other, least + alone};
    for (uint32_t i = 0; i < width_ && best.column == column; ++i)
      if (beside(costs[i], factor, changes[i], line[i]) == least) best.column = i;
  }
  cost_[0][column] = own[0], cost_[1][column] = own[1];
  return best;
}

}  // namespace pumice::quant
