// Matrix products: every weight type on every tier of kernels, with every epilogue.
#pragma once

#include <span>

#include "tests/rows/case.h"

namespace pumice::test {

struct MatrixTier {
  Tier tier;
  const char* kernel;  ///< what the module's name must begin with, so that a row tests what it says
  const char* suffix;
};
/// Lane f32 and q8, wide f32, q8 and dot8, tile f32 and f16.
[[nodiscard]] std::span<const MatrixTier> matrix_tiers();

/// False where the driver lacks what the tier is made of (lanes of 8, the dot product).
[[nodiscard]] bool is_runnable(const MatrixTier& tier, const Capabilities& of_device);
[[nodiscard]] bool is_tile(const MatrixTier& tier);
[[nodiscard]] bool is_int8(const MatrixTier& tier);
[[nodiscard]] Tolerance tolerance_of(const MatrixTier& tier);

/// What an epilogue does, and on how many rows of how many matrices. Together with the number of
/// columns it fixes the pipeline; the length of a row does not.
struct Epilogue {
  const char* name;
  uint32_t columns;
  std::vector<uint32_t> rows;  ///< per weight
  bool bias = false, residual = false;
  graph::Activation gate = graph::Activation::None;
};
[[nodiscard]] std::span<const Epilogue> epilogues();

/// Row lengths: one block, and five or more super-blocks (twelve blocks of 32).
[[nodiscard]] std::vector<uint32_t> row_lengths(const WeightLayout& layout);

struct MatrixRow {
  QuantType type;
  uint32_t columns;  ///< weights along a row
  Epilogue epilogue;
};

/// Random weights of the rows with these lengths and epilogues.
[[nodiscard]] std::shared_ptr<const GgufFile> matrix_weights(QuantType type,
                                                             std::span<const uint32_t> lengths,
                                                             std::span<const Epilogue> epilogues);

/// `file` holds the row's weights.
[[nodiscard]] Case matrix_case(const MatrixRow& row, const MatrixTier& tier,
                               std::shared_ptr<const GgufFile> file);

}  // namespace pumice::test
