// Statistics of activations per weight matrix: what calibration gathers and the quantiser weighs
// errors with. Reads and writes the public importance-matrix GGUF, reads its older form.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "engine/base/result.h"
#include "engine/session/statistics.h"
#include "loader/gguf.h"

namespace pumice::quant {

/// [matrices][width][width]: sum of x x^T over tokens, symmetric.
using Gram = std::vector<float>;

/// Sums over the tokens that a matrix saw. `matrices` is 1, or the number of experts.
struct ActivationStatistics {
  uint64_t width = 0;  ///< input channels: shape[0] of the weight
  uint64_t matrices = 1;
  std::vector<float> sum_squares;  ///< [matrices][width]: sum of x^2
  std::vector<float> counts;       ///< [matrices]: tokens
  /// Null if not gathered. Weights that read the same input (q, k and v; gate and up) share one
  /// object: what is computed from it can be kept by its address.
  std::shared_ptr<const Gram> gram;
};

struct ImportanceMatrix {
  std::map<std::string, ActivationStatistics, std::less<>> tensors;  ///< by the weight's name
  std::vector<std::string> datasets;
  uint32_t chunk_count = 0;
  uint32_t chunk_size = 0;  ///< tokens
};

/// Reads the GGUF form, or the older one without a magic. Every sum and count is finite and not
/// negative. Without `gram`, Gram matrices (most of a file that has them) stay on the disk.
[[nodiscard]] Result<ImportanceMatrix> read_importance(const std::string& path, bool gram = true);

/// Atomic: the file is there whole or not at all. A shared Gram matrix is written once, as tensor
/// NAME.gram of the first of its weights in order of names; the keys imatrix.gram.tensors and
/// imatrix.gram.stored_as say which other weights share it. Other readers ignore both.
[[nodiscard]] Result<void> write_importance(const ImportanceMatrix& matrix,
                                            const std::string& path);

/// An error that names the first tensor of `matrix` that the model lacks or has with another width
/// or number of experts. A quantisable weight that `matrix` says nothing about is no error: it is
/// quantised without. The older form does not say how many experts a tensor has: filled in here.
[[nodiscard]] Result<void> check_importance(ImportanceMatrix& matrix, const GgufFile& model);

/// Adds what an engine gathered (Engine::take_statistics); new tensors are entered. BadArgument,
/// naming the tensor, where the shapes differ.
[[nodiscard]] Result<void> add_statistics(ImportanceMatrix& into, std::vector<TapStatistics> taken);

/// Adds all of `from`: sums, counts, chunks, datasets. A Gram matrix that only one side has is
/// dropped. BadArgument, naming the tensor, where the shapes differ.
[[nodiscard]] Result<void> merge_importance(ImportanceMatrix& into, const ImportanceMatrix& from);

/// What `matrix` knows of a tensor's inputs; null where it has nothing. BadArgument where that is
/// of another width or number of experts.
[[nodiscard]] Result<const ActivationStatistics*> statistics_of(const ImportanceMatrix& matrix,
                                                                const TensorInfo& tensor);

/// E[x^2] per channel of one matrix; an expert that saw no token takes the mean over the others,
/// and without any token all channels count the same (1).
[[nodiscard]] std::vector<float> mean_squares(const ActivationStatistics& statistics,
                                              uint64_t matrix = 0);
/// The same of each matrix.
[[nodiscard]] std::vector<std::vector<float>> all_mean_squares(
    const ActivationStatistics& statistics);

}  // namespace pumice::quant
