// Statistics of activations per weight matrix: what calibration gathers and the quantiser weighs
// errors with. Reads and writes the public importance-matrix GGUF.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "engine/base/result.h"
#include "loader/gguf.h"

namespace pumice::quant {

/// Sums over the tokens that a matrix saw. `matrices` is 1, or the number of experts.
struct ActivationStatistics {
  uint64_t width = 0;  ///< input channels: shape[0] of the weight
  uint64_t matrices = 1;
  std::vector<float> sum_squares;  ///< [matrices][width]: sum of x^2
  std::vector<float> counts;       ///< [matrices]: tokens
  std::vector<float> gram;  ///< [matrices][width][width]: sum of x x^T; empty if not gathered
};

struct ImportanceMatrix {
  std::map<std::string, ActivationStatistics> tensors;  ///< by the weight's name
  std::vector<std::string> datasets;
  uint32_t chunk_count = 0;
  uint32_t chunk_size = 0;  ///< tokens
};

[[nodiscard]] Result<ImportanceMatrix> read_importance(const std::string& path);

/// Atomic: the file is there whole or not at all.
[[nodiscard]] Result<void> write_importance(const ImportanceMatrix& matrix,
                                            const std::string& path);

/// An error that names the first tensor of `matrix` that the model lacks or has with another width
/// or number of experts, and the first quantisable weight that `matrix` says nothing about is no
/// error: it is quantised without.
[[nodiscard]] Result<void> check_importance(const ImportanceMatrix& matrix, const GgufFile& model);

/// E[x^2] per channel of one matrix; an expert that saw no token takes the mean over the others.
[[nodiscard]] std::vector<float> mean_squares(const ActivationStatistics& statistics,
                                              uint64_t matrix = 0);

}  // namespace pumice::quant
