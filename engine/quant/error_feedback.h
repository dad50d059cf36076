// Encoding with error feedback (GPTQ): each weight's rounding error is carried into the weights of
// its row that are still open, along the correlations of the activations, so that what the matrix
// does to real inputs changes least. Works inside the grids of every type with blocks.
// Source: Frantar et al., "GPTQ: Accurate Post-Training Quantization for Generative Pre-trained
// Transformers" (2022), with the scales of a block fitted when the feedback reaches it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "engine/base/result.h"
#include "loader/quant_type.h"

namespace pumice::quant {

struct ErrorFeedbackOptions {
  /// Added to the diagonal of the Gram matrix, as a share of its mean: what few calibration tokens
  /// cannot tell apart stays as it is.
  double damping = 0.01;
  /// Inside a block, weights whose inputs carry the most energy are rounded first.
  bool act_order = true;
  /// Passes of refinement over each row behind the feedback, at most; 0: none. They take ten times
  /// as long as the feedback itself.
  uint32_t sweeps = 4;
};

/// One matrix's inputs, factored once; then any rows on any threads.
class ErrorFeedback {
 public:
  /// `gram` is [width][width]: the sum of x x^T over tokens (any common factor is the same); it
  /// outlives the result.
  /// BadArgument where it is not finite, not symmetric or has a negative diagonal, or where the
  /// type has no grid or does not divide the width.
  [[nodiscard]] static Result<ErrorFeedback> prepare(QuantType type, std::span<const float> gram,
                                                     uint64_t width,
                                                     const ErrorFeedbackOptions& options = {});

  /// Encodes whole rows as encode_rows does. The same row gives the same bytes in any company.
  void encode_rows(std::span<const float> weights, std::span<std::byte> out) const;

  /// Sum over rows of e G e^T with e = weights - decoded, in units of the Gram matrix given: the
  /// squared error of the outputs on the calibration text.
  [[nodiscard]] static double output_error(std::span<const float> gram, uint64_t width,
                                           std::span<const float> weights,
                                           std::span<const float> decoded);

 private:
  struct Batch;
  [[nodiscard]] Batch make_batch() const;
  void order_columns(std::span<const float> gram, bool act_order);
  [[nodiscard]] Result<void> factor(std::span<const float> gram, double damping);
  void fit_scales(Batch& batch, uint64_t first, std::span<const float> importance) const;
  double round_row(Batch& batch, uint64_t first, size_t row) const;
  void choose_codes(Batch& batch, uint64_t first) const;
  void feed_forward(Batch& batch, uint64_t first) const;

  QuantType type_ = QuantType::Q4_K;
  uint64_t width_ = 0;
  uint32_t block_ = 0;
  uint32_t sweeps_ = 0;
  std::span<const float> gram_;
  double damping_ = 0;               ///< on the diagonal, in units of the Gram matrix
  std::vector<uint32_t> column_at_;  ///< by place: places of a block are its columns, reordered
  std::vector<float> upper_;         ///< [place][place]: U with U^T U = inverse of the Gram matrix
  std::vector<float> conditional_;   ///< by column: 1 / U_ii^2, its importance given later ones
  std::vector<float> marginal_;      ///< by column: the Gram matrix's diagonal
};

}  // namespace pumice::quant
