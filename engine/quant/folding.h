// Per-channel factors moved from activations into weights without changing what the model computes:
// a column of a matrix is multiplied by s, whatever makes that input channel is divided by it.
// Chosen so that quantised weights lose less (AWQ) or so that activations lose their outliers
// (SmoothQuant). Pure: works on the file and on activation statistics, changes neither.
#pragma once

#include <functional>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/result.h"
#include "engine/quant/importance.h"
#include "loader/gguf.h"

namespace pumice::quant {

/// Factors of one tensor; empty = all ones. A norm or bias (one dimension) has `columns` alone.
struct TensorFactors {
  std::vector<float> columns;  ///< shape[0] numbers: input channels
  std::vector<float> rows;     ///< shape[1] numbers: output channels
};

/// By tensor name; tensors that are not named stay as they are.
using Folding = std::map<std::string, TensorFactors>;

/// Called between searches with the share that is done; false cancels.
using FoldingProgress = std::function<bool(double done)>;

/// AWQ: s = (RMS of the channel)^a, with a from 0 (no change) to 1 in steps of 1/20, the one with
/// the least squared output error of the quantised matrices on the statistics (with correlations
/// where the Gram matrix was gathered). `type_of` names the type that a tensor will have.
/// Source: Lin et al., "AWQ: Activation-aware Weight Quantization" (2023).
/// `folded` are factors that are in the weights and in `statistics` already; what is found comes on
/// top. Unsupported for architectures that the engine does not run, and BadArgument when the
/// statistics say nothing about the matrices.
[[nodiscard]] Result<Folding> search_awq(const GgufFile& file, const ImportanceMatrix& statistics,
                                         const Folding& folded,
                                         const std::function<QuantType(std::string_view)>& type_of,
                                         const FoldingProgress& progress = {});

/// The product of both, in `into`.
void merge_folding(Folding& into, const Folding& from);

/// SmoothQuant: s = (RMS of the channel)^-strength * (largest weight of the column)^(1 - strength),
/// strength in [0, 1], behind norms only, as the method does. Here s divides weights' columns: the
/// activations become flatter, the weights less so.
/// Source: Xiao et al., "SmoothQuant" (2022), with the RMS where the paper takes the maximum.
[[nodiscard]] Result<Folding> smooth(const GgufFile& file, const ImportanceMatrix& statistics,
                                     double strength = 0.5);

/// `statistics` as they will be once the factors are folded in: x / s.
void fold_statistics(const Folding& folding, ImportanceMatrix& statistics);

/// Multiplies weights [first, first + weights.size()) of a matrix of `width` columns (rows counted
/// from 0) by its factors, in place.
void fold_weights(const TensorFactors& factors, uint64_t width, uint64_t first,
                  std::span<float> weights);

}  // namespace pumice::quant
