#include "engine/quant/error_feedback.h"

#include <Eigen/Cholesky>
#include <algorithm>
#include <cassert>
#include <cmath>
#include <numeric>

#include "engine/quant/block_grid.h"
#include "engine/quant/fit.h"
#include "engine/quant/refinement.h"

namespace pumice::quant {
namespace {

using Matrix = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

constexpr size_t kRows = 32;      // rows that share one pass over U
constexpr uint64_t kStrip = 512;  // columns of U that stay in the cache while rows pass

Result<void> check_gram(std::span<const float> gram, uint64_t width) {
  if (width == 0 || gram.size() != width * width)
    return fail(ErrorCode::BadArgument, "Gram matrix of {} numbers, expected {} x {}", gram.size(),
                width, width);
  for (uint64_t i = 0; i < width; ++i)
    for (uint64_t j = 0; j <= i; ++j) {
      const float a = gram[i * width + j], b = gram[j * width + i];
      if (!std::isfinite(a) || !std::isfinite(b) || (i == j && a < 0))
        return fail(ErrorCode::BadArgument,
                    "Gram matrix: element ({}, {}) is {}, expected finite numbers and a diagonal "
                    "that is not negative; gather the statistics again",
                    i, j, a);
      if (std::abs(a - b) > 1e-3f * (std::abs(a) + std::abs(b)) + 1e-30f)
        return fail(ErrorCode::BadArgument,
                    "Gram matrix: elements ({}, {}) and ({}, {}) are {} and {}, expected the same",
                    i, j, j, i, a, b);
    }
  return {};
}

}  // namespace

/// Rows on their way through the blocks. Weights and errors lie in place order.
struct ErrorFeedback::Batch {
  size_t rows = 0;
  std::vector<float> weights;        // [rows][width], changed by the feedback
  std::vector<float> natural;        // [rows][block], one block in column order
  std::vector<BlockSource> sources;  // [rows]
  std::vector<BlockFit> tried;       // [rows], scales of the try
  std::vector<float> open;           // [block], the row being rounded
  std::vector<float> errors, trial;  // [rows][block] of the best and [block] of the last try
  std::vector<uint8_t> attempt;      // [block] of the last try
  std::vector<double> loss;          // [rows]
  std::vector<BlockFit> fits;        // [rows][width / block], the best
  std::vector<uint8_t> codes;        // [rows][width], in column order
};

Result<ErrorFeedback> ErrorFeedback::prepare(QuantType type, std::span<const float> gram,
                                             uint64_t width, const ErrorFeedbackOptions& options) {
  const QuantTypeInfo& row = info(type);
  if (!has_grid(type) || width % row.block_weights != 0)
    return fail(ErrorCode::BadArgument,
                "error feedback: rows of {} weights in {}, expected a type with scales whose "
                "blocks divide the row",
                width, row.name);
  PUMICE_TRY(check_gram(gram, width));
  ErrorFeedback self;
  self.type_ = type;
  self.width_ = width;
  self.block_ = row.block_weights;
  self.gram_ = gram;
  self.sweeps_ = options.sweeps;
  self.order_columns(gram, options.act_order);
  PUMICE_TRY(self.factor(gram, options.damping));
  return self;
}

void ErrorFeedback::order_columns(std::span<const float> gram, bool act_order) {
  column_at_.resize(width_);
  std::iota(column_at_.begin(), column_at_.end(), 0u);
  marginal_.resize(width_);
  for (uint64_t i = 0; i < width_; ++i) marginal_[i] = gram[i * width_ + i];
  if (!act_order) return;
  for (auto first = column_at_.begin(); first != column_at_.end(); first += block_)
    std::stable_sort(first, first + block_,
                     [&](uint32_t a, uint32_t b) { return marginal_[a] > marginal_[b]; });
}

/// With J the reversal of rows and columns and J G J = L L^T: the inverse of G is U^T U with
/// U = J L^-1 J, upper triangular. No inverse of G is ever formed.
Result<void> ErrorFeedback::factor(std::span<const float> gram, double damping) {
  double mean = 0;
  for (const float g : marginal_) mean += double(g);
  mean = mean > 0 ? mean / double(width_) : 1.0;
  const auto n = Eigen::Index(width_);
  Matrix reversed(n, n);
  for (Eigen::Index i = 0; i < n; ++i)
    for (Eigen::Index j = 0; j < n; ++j) {
      const uint32_t a = column_at_[uint64_t(n - 1 - i)], b = column_at_[uint64_t(n - 1 - j)];
      reversed(i, j) = 0.5 * (double(gram[a * width_ + b]) + double(gram[b * width_ + a]));
    }
  damping_ = damping * mean + 1e-12 * mean;
  for (Eigen::Index i = 0; i < n; ++i) reversed(i, i) += damping_;
  const Eigen::LLT<Matrix> cholesky(reversed);
  if (cholesky.info() != Eigen::Success)
    return fail(ErrorCode::BadArgument,
                "Gram matrix of {0} x {0}: not positive definite with damping {1}; use a larger "
                "damping or more calibration text",
                width_, damping);
  Matrix inverse = Matrix::Identity(n, n);
  cholesky.matrixL().solveInPlace(inverse);
  upper_.assign(width_ * width_, 0.0f);
  conditional_.resize(width_);
  for (Eigen::Index i = 0; i < n; ++i) {
    for (Eigen::Index j = i; j < n; ++j)
      upper_[uint64_t(i) * width_ + uint64_t(j)] = float(inverse(n - 1 - i, n - 1 - j));
    const double diagonal = inverse(n - 1 - i, n - 1 - i);
    conditional_[column_at_[uint64_t(i)]] = float(1.0 / (diagonal * diagonal));
  }
  return {};
}

void ErrorFeedback::fit_scales(Batch& batch, uint64_t first,
                               std::span<const float> importance) const {
  for (size_t row = 0; row < batch.rows; ++row) {
    const float* open = &batch.weights[row * width_];
    float* natural = &batch.natural[row * block_];
    for (uint32_t k = 0; k < block_; ++k) natural[column_at_[first + k] - first] = open[first + k];
    batch.sources[row] = {natural, importance.data() + first};
  }
  fit(type_, std::span(batch.sources).first(batch.rows), std::span(batch.tried).first(batch.rows));
}

/// Rounds the block at `first` of one row in place order, each error fed to the places after it in
/// the block. Leaves errors and codes in `trial` and `attempt`; returns the loss.
double ErrorFeedback::round_row(Batch& batch, uint64_t first, size_t row) const {
  const BlockGrid grid = make_grid(type_, batch.tried[row]);
  std::copy_n(&batch.weights[row * width_ + first], block_, batch.open.begin());
  double loss = 0;
  for (uint32_t k = 0; k < block_; ++k) {
    const uint32_t i = column_at_[first + k] - uint32_t(first);
    const float* factors = &upper_[(first + k) * width_ + first];
    const uint32_t code = nearest_code(grid, i, batch.open[k]);
    const float error = (batch.open[k] - grid_value(grid, i, code)) / factors[k];
    for (uint32_t later = k + 1; later < block_; ++later)
      batch.open[later] -= error * factors[later];
    batch.attempt[i] = uint8_t(code);
    batch.trial[k] = error;
    loss += double(error) * double(error);
  }
  return loss;
}

/// Two candidate grids per row and block, fitted to the weights as the feedback has left them; the
/// one with the smaller loss after rounding is kept.
void ErrorFeedback::choose_codes(Batch& batch, uint64_t first) const {
  std::fill_n(batch.loss.begin(), batch.rows, HUGE_VAL);
  for (const std::vector<float>* importance : {&conditional_, &marginal_}) {
    fit_scales(batch, first, *importance);
    for (size_t row = 0; row < batch.rows; ++row) {
      const double loss = round_row(batch, first, row);
      if (!(loss < batch.loss[row]) && importance != &conditional_) continue;
      batch.loss[row] = loss;
      batch.fits[(row * width_ + first) / block_] = batch.tried[row];
      std::ranges::copy(batch.trial, batch.errors.begin() + row * block_);
      std::ranges::copy(batch.attempt, batch.codes.begin() + row * width_ + first);
    }
  }
}

/// Carries the block's errors into all later blocks, a strip of columns at a time.
void ErrorFeedback::feed_forward(Batch& batch, uint64_t first) const {
  for (uint64_t strip = first + block_; strip < width_; strip += kStrip) {
    const uint64_t count = std::min(kStrip, width_ - strip);
    for (size_t row = 0; row < batch.rows; ++row) {
      float* open = &batch.weights[row * width_ + strip];
      for (uint32_t k = 0; k < block_; ++k) {
        const float error = batch.errors[row * block_ + k];
        const float* factors = &upper_[(first + k) * width_ + strip];
        for (uint64_t j = 0; j < count; ++j) open[j] -= error * factors[j];
      }
    }
  }
}

ErrorFeedback::Batch ErrorFeedback::make_batch() const {
  Batch batch;
  batch.weights.resize(kRows * width_);
  batch.natural.resize(kRows * block_);
  batch.sources.resize(kRows);
  batch.tried.resize(kRows);
  batch.open.resize(block_);
  batch.trial.resize(block_);
  batch.attempt.resize(block_);
  batch.errors.resize(kRows * block_);
  batch.loss.resize(kRows);
  batch.fits.resize(kRows * width_ / block_);
  batch.codes.resize(kRows * width_);
  return batch;
}

void ErrorFeedback::encode_rows(std::span<const float> weights, std::span<std::byte> out) const {
  assert(weights.size() % width_ == 0);
  const size_t n_rows = weights.size() / width_, row_blocks = width_ / block_;
  const size_t block_bytes = info(type_).block_bytes;
  assert(out.size() == n_rows * row_blocks * block_bytes);
  Batch batch = make_batch();
  Refinement refinement(type_, {gram_, width_, damping_});
  for (size_t done = 0; done < n_rows; done += batch.rows) {
    batch.rows = std::min(kRows, n_rows - done);
    for (size_t row = 0; row < batch.rows; ++row)
      for (uint64_t place = 0; place < width_; ++place)
        batch.weights[row * width_ + place] = weights[(done + row) * width_ + column_at_[place]];
    for (uint64_t first = 0; first < width_; first += block_) {
      choose_codes(batch, first);
      feed_forward(batch, first);
    }
    for (size_t row = 0; row < batch.rows; ++row)
      refinement.run({weights.subspan((done + row) * width_, width_),
                      std::span(batch.fits).subspan(row * row_blocks, row_blocks),
                      std::span(batch.codes).subspan(row * width_, width_)},
                     sweeps_);
    for (size_t b = 0; b < batch.rows * row_blocks; ++b)
      pack_block(make_grid(type_, batch.fits[b]),
                 std::span(batch.codes).subspan(b * block_, block_),
                 out.subspan((done * row_blocks + b) * block_bytes, block_bytes));
  }
}

double ErrorFeedback::output_error(std::span<const float> gram, uint64_t width,
                                   std::span<const float> weights, std::span<const float> decoded) {
  double total = 0;
  std::vector<double> error(width);
  for (size_t row = 0; row + width <= weights.size(); row += width) {
    for (uint64_t i = 0; i < width; ++i)
      error[i] = double(weights[row + i]) - double(decoded[row + i]);
    for (uint64_t i = 0; i < width; ++i) {
      double sum = 0;
      for (uint64_t j = 0; j < width; ++j) sum += double(gram[i * width + j]) * error[j];
      total += error[i] * sum;
    }
  }
  return total;
}

}  // namespace pumice::quant
