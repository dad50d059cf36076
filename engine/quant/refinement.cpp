#include "engine/quant/refinement.h"

#include <algorithm>
#include <cassert>
#include <cmath>

#include "engine/base/half.h"
#include "engine/quant/fit.h"
#include "engine/quant/wide_vectors.h"

namespace pumice::quant {
namespace {

/// A move must lower the error by more than this share of its own terms: what rounding of the sums
/// could feign is no gain, and a pass without moves ends the work.
constexpr double kLeastGain = 1e-6;

/// Columns among which a pair's second is looked for: bounds the work for each weight of wide rows.
constexpr size_t kWindow = 1024;

bool gains(double linear, double square) {
  return square - 2 * linear < -kLeastGain * (square + 2 * std::abs(linear));
}

PUMICE_WIDE_VECTORS
void add_scaled(double factor, const float* line, size_t count, double* out) {
  for (size_t i = 0; i < count; ++i) out[i] += factor * double(line[i]);
}

double dot(std::span<const double> a, std::span<const double> b, size_t count) {
  double sum = 0;
  for (size_t i = 0; i < count; ++i) sum += a[i] * b[i];
  return sum;
}

float as_half(double value) {
  return half_to_float(float_to_half(float(value)));
}

int16_t moved(int16_t code, double steps, float low, float high) {
  if (!std::isfinite(steps)) return code;
  return int16_t(std::clamp(double(code) + std::nearbyint(steps), double(low), double(high)));
}

bool has_offsets(FitKind kind) {
  return kind == FitKind::Minimum || kind == FitKind::MinimumSuper;
}

bool has_groups(FitKind kind) {
  return kind == FitKind::SignedSuper || kind == FitKind::MinimumSuper;
}

}  // namespace

Refinement::Refinement(QuantType type, const RefinementInputs& inputs)
    : plan_(*fit_plan(type)),
      type_(type),
      inputs_(inputs),
      block_(info(type).block_weights),
      steps_(std::min(size_t(inputs.width), kWindow)) {
  grids_.resize(size_t(inputs.width / block_));
  pull_.resize(size_t(inputs.width));
  own_.resize(size_t(inputs.width));
  for (uint64_t i = 0; i < inputs.width; ++i) own_[i] = float(own(uint32_t(i)));
  by_scale_.resize(block_);
  by_offset_.resize(block_);
  product_.resize(block_);
}

/// Of G + damping, the diagonal.
double Refinement::own(uint32_t column) const {
  return double(inputs_.gram[column * inputs_.width + column]) + inputs_.damping;
}

double Refinement::value(uint32_t column) const {
  return double(grid_value(grids_[column / block_], column % block_, row_.codes[column]));
}

void Refinement::open(const RefinedRow& row) {
  assert(row.weights.size() == inputs_.width && row.codes.size() == inputs_.width);
  row_ = row;
  for (size_t b = 0; b < grids_.size(); ++b) grids_[b] = make_grid(type_, row.fits[b]);
  std::ranges::fill(pull_, 0.0);
  for (uint32_t i = 0; i < inputs_.width; ++i) move(i, value(i) - double(row.weights[i]));
}

/// The value of a column rises by `change`.
void Refinement::move(uint32_t column, double change) {
  if (change == 0) return;
  add_scaled(-change, &inputs_.gram[column * inputs_.width], inputs_.width, pull_.data());
  pull_[column] -= change * inputs_.damping;
}

/// Of a scale and an offset whose units move each value by by_scale_ and by_offset_.
Refinement::Parabola Refinement::parabola(const Columns& columns) {
  Parabola error;
  const auto pull = std::span(pull_).subspan(columns.first);
  const auto multiply = [&](std::span<const double> direction) {
    for (uint32_t i = 0; i < columns.count; ++i) product_[i] = inputs_.damping * direction[i];
    for (uint32_t i = 0; i < columns.count; ++i)
      if (direction[i] != 0)
        add_scaled(direction[i], &inputs_.gram[(columns.first + i) * inputs_.width + columns.first],
                   columns.count, product_.data());
  };
  multiply(by_scale_);
  error.scale_pull = dot(by_scale_, pull, columns.count);
  error.scale_scale = dot(by_scale_, product_, columns.count);
  if (!has_offsets(plan_.kind)) return error;
  error.scale_offset = dot(by_offset_, product_, columns.count);
  multiply(by_offset_);
  error.offset_pull = dot(by_offset_, pull, columns.count);
  error.offset_offset = dot(by_offset_, product_, columns.count);
  return error;
}

Refinement::Step Refinement::lowest(const Parabola& error) {
  const double ss = error.scale_scale, so = error.scale_offset, oo = error.offset_offset,
               determinant = ss * oo - so * so;
  if (determinant > 1e-9 * ss * oo)
    return {(oo * error.scale_pull - so * error.offset_pull) / determinant,
            (ss * error.offset_pull - so * error.scale_pull) / determinant};
  if (ss > 0) return {error.scale_pull / ss, 0};
  return {0, oo > 0 ? error.offset_pull / oo : 0};
}

/// Takes `fit`, a step along the parabola, if that lowers the error.
bool Refinement::try_fit(const Columns& columns, const Parabola& error, const Step& step,
                         const BlockFit& fit) {
  if (!std::isfinite(fit.d) || !std::isfinite(fit.dmin)) return false;
  const double linear = step.scale * error.scale_pull + step.offset * error.offset_pull;
  const double square = step.scale * step.scale * error.scale_scale +
                        2 * step.scale * step.offset * error.scale_offset +
                        step.offset * step.offset * error.offset_offset;
  if (!gains(linear, square)) return false;
  take(columns, fit);
  return true;
}

/// Takes both parts of a step, or the scale's, or the offset's.
bool Refinement::try_parts(const Columns& columns, const Parabola& error, const Step& step,
                           const BlockFit& best) {
  BlockFit scale = best, offset = best;
  const BlockFit& now = row_.fits[columns.block];
  scale.dmin = now.dmin, std::ranges::copy(now.minimum, scale.minimum);
  offset.d = now.d, std::ranges::copy(now.scale, offset.scale);
  return try_fit(columns, error, step, best) || try_fit(columns, error, {step.scale, 0}, scale) ||
         try_fit(columns, error, {0, step.offset}, offset);
}

void Refinement::take(const Columns& columns, const BlockFit& fit) {
  const BlockGrid grid = make_grid(type_, fit);
  for (uint32_t column = columns.first; column < columns.first + columns.count; ++column)
    move(column, double(grid_value(grid, column % block_, row_.codes[column])) - value(column));
  row_.fits[columns.block] = fit;
  grids_[columns.block] = grid;
}

bool Refinement::settle_codes() {
  bool any = false;
  for (uint32_t i = 0; i < inputs_.width; ++i) {
    const BlockGrid& grid = grids_[i / block_];
    const double now = value(i);
    const uint32_t code = nearest_code(grid, i % block_, float(now + pull_[i] / own(i)));
    if (code == row_.codes[i]) continue;
    const double change = double(grid_value(grid, i % block_, code)) - now;
    if (!gains(change * pull_[i], change * change * own(i))) continue;
    row_.codes[i] = uint8_t(code);
    move(i, change);
    any = true;
  }
  return any;
}

/// The code of the next higher or lower value, or the same where there is none.
uint32_t Refinement::neighbour(uint32_t column, bool rises) const {
  const BlockGrid& grid = grids_[column / block_];
  const uint32_t code = row_.codes[column];
  const int by = rises == (grid.scale[column % block_ / grid.group] >= 0) ? 1 : -1;
  if (grid.kind == LevelKind::E2m1) {  // codes 8 to 15 are 0 to 7 with the sign set
    const int level = (code < 8 ? int(code) : 8 - int(code)) + by;
    return level > 7 || level < -7 ? code : uint32_t(level < 0 ? 8 - level : level);
  }
  const int next = int(code) + by;
  return next < 0 || next >= int(grid.codes) ? code : uint32_t(next);
}

double Refinement::change(uint32_t column, uint32_t code) const {
  return double(grid_value(grids_[column / block_], column % block_, code)) - value(column);
}

void Refinement::open_steps(const Window& window, uint32_t column) {
  steps_.set(column - window.first, float(change(column, neighbour(column, false))),
             float(change(column, neighbour(column, true))));
}

void Refinement::weigh_steps(const Window& window) {
  steps_.weigh(std::span(own_).subspan(window.first, window.count),
               std::span(pull_).subspan(window.first, window.count));
}

/// Takes the column's step along its pull together with the best partner of the window, if the two
/// lower the error.
bool Refinement::settle_pair(const Window& window, uint32_t column) {
  const float* line = &inputs_.gram[column * inputs_.width];
  const auto found = steps_.best_partner(column - window.first, line + window.first);
  if (!found) return false;
  const uint32_t partner = window.first + *found;
  const uint32_t code = neighbour(column, pull_[column] >= 0),
                 other = neighbour(partner, pull_[partner] >= 0);
  const double a = change(column, code), b = change(partner, other),
               square =
                   a * a * own(column) + b * b * own(partner) + 2 * a * b * double(line[partner]);
  if (!gains(a * pull_[column] + b * pull_[partner], square)) return false;
  row_.codes[column] = uint8_t(code);
  row_.codes[partner] = uint8_t(other);
  move(column, a);
  move(partner, b);
  open_steps(window, column);
  open_steps(window, partner);
  weigh_steps(window);
  return true;
}

/// Two codes at once, each by one: where inputs are alike, errors cancel that neither column could
/// lower alone.
bool Refinement::settle_pairs(const Window& window) {
  steps_.open(window.count);
  for (uint32_t i = 0; i < window.count; ++i) open_steps(window, window.first + i);
  weigh_steps(window);
  bool any = false;
  for (uint32_t i = window.first; i < window.first + window.count; ++i)
    any |= settle_pair(window, i);
  return any;
}

/// Integer scales and minimums of a super-block's groups: both at once, then each alone.
bool Refinement::settle_groups(size_t block) {
  bool any = false;
  const uint32_t group = uint32_t(plan_.group_weights);
  for (size_t g = 0; g < size_t(plan_.groups); ++g) {
    const Columns columns = {block, uint32_t(block * block_ + g * group), group};
    const BlockFit& fit = row_.fits[block];
    for (uint32_t i = 0; i < group; ++i) {
      by_scale_[i] = double(fit.d) * double(grids_[block].levels[row_.codes[columns.first + i]]);
      by_offset_[i] = has_offsets(plan_.kind) ? -double(fit.dmin) : 0.0;
    }
    const Parabola error = parabola(columns);
    const Step step = lowest(error);
    BlockFit best = fit;
    best.scale[g] = moved(fit.scale[g], step.scale, plan_.scale_low, plan_.scale_high);
    best.minimum[g] = moved(fit.minimum[g], step.offset, 0, plan_.minimum_high);
    any |= try_parts(
        columns, error,
        {double(best.scale[g] - fit.scale[g]), double(best.minimum[g] - fit.minimum[g])}, best);
  }
  return any;
}

/// The f16 numbers of a block: both at once, then each alone.
bool Refinement::settle_super(size_t block) {
  const Columns columns = {block, uint32_t(block * block_), block_};
  const BlockFit& fit = row_.fits[block];
  for (uint32_t i = 0; i < block_; ++i) {
    const size_t g = i / size_t(plan_.group_weights);
    const double level = double(grids_[block].levels[row_.codes[columns.first + i]]);
    by_scale_[i] = has_groups(plan_.kind) ? double(fit.scale[g]) * level : level;
    by_offset_[i] = plan_.kind == FitKind::MinimumSuper ? -double(fit.minimum[g])
                    : plan_.kind == FitKind::Minimum    ? 1.0
                                                        : 0.0;
  }
  const Parabola error = parabola(columns);
  const Step step = lowest(error);
  BlockFit best = fit;
  best.d = as_half(double(fit.d) + step.scale);
  best.dmin = as_half(double(fit.dmin) + step.offset);
  return try_parts(columns, error,
                   {double(best.d) - double(fit.d), double(best.dmin) - double(fit.dmin)}, best);
}

void Refinement::run(const RefinedRow& row, uint32_t sweeps) {
  if (sweeps == 0) return;
  open(row);
  for (uint32_t sweep = 0; sweep < sweeps; ++sweep) {
    bool any = settle_codes();
    for (uint32_t first = 0; first < inputs_.width; first += kWindow)
      any |= settle_pairs({first, uint32_t(std::min(kWindow, size_t(inputs_.width - first)))});
    for (size_t block = 0; block < grids_.size() && plan_.kind != FitKind::Exponent; ++block) {
      if (has_groups(plan_.kind)) any |= settle_groups(block);
      any |= settle_super(block);
    }
    if (!any) return;
  }
}

}  // namespace pumice::quant
