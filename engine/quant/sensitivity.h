// How much each matrix of a model suffers from each type: the KL divergence of the whole model
// with that one matrix quantised, measured in the engine, not guessed from weights.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "engine/quant/trial.h"

namespace pumice::quant {

struct SensitivityOptions {
  /// Empty = what suits each tensor's rows: Q2_K Q3_K IQ4_XS Q4_K Q5_K Q6_K Q8_0 F16, and types
  /// with blocks of 32 where 256 does not divide the rows. Types that do not fit a row are skipped.
  std::vector<QuantType> candidates;
  /// Types per tensor whose divergence is measured, spread from the coarsest on; that of the others
  /// follows from their weighed weight error. 0 = all.
  uint32_t anchors = 3;
  /// Positions scored so far and in all; false stops the work.
  EvaluationProgress progress;
};

struct TensorSensitivity {
  std::string name;
  uint64_t weights = 0;
  // Per candidate:
  std::vector<double> kld;           ///< mean, nats: measured, or scaled from anchors
  std::vector<uint8_t> measured;     ///< 1 where kld was measured
  std::vector<double> weight_error;  ///< Trial::put's
  std::vector<uint64_t> bytes;       ///< of the tensor; 0 = no choice here, the rest says nothing

  [[nodiscard]] bool allows(size_t candidate) const { return bytes[candidate] != 0; }
};

struct Sensitivity {
  std::vector<QuantType> candidates;
  std::vector<TensorSensitivity> tensors;  ///< in the order of the file
  uint64_t weights = 0;                    ///< of all tensors of the file
  uint64_t kept_bytes = 0;                 ///< of tensors that stay as they are
  uint64_t positions = 0;                  ///< that count in each measurement
  uint64_t text = 0;                       ///< measurement_hash of what was run
  bool error_feedback = false;             ///< as TrialOptions::feedback
  double seconds = 0;
};

/// Every choice there would be, with nothing measured: what a budget can be held against before the
/// work. `candidates` as in SensitivityOptions.
[[nodiscard]] Sensitivity unmeasured(const GgufFile& file,
                                     std::span<const QuantType> candidates = {});

/// Leaves only these of the candidates open; a tensor of `file` that fits none of them stays as it
/// is. BadArgument names a type that is no candidate.
[[nodiscard]] Result<void> keep_types(Sensitivity& sensitivity, std::span<const QuantType> types,
                                      const GgufFile& file);

/// Tensors that is_quantisable names and the engine uses; all others stay as they are. When it
/// returns the engine holds the file's weights again, unless restoring itself failed.
[[nodiscard]] Result<Sensitivity> measure_sensitivity(Trial& trial,
                                                      const SensitivityOptions& options = {});

/// KLD of the model with a whole allocation: `types` per tensor of the sensitivity. Restores.
[[nodiscard]] Result<double> measure_allocation(Trial& trial, const Sensitivity& sensitivity,
                                                std::span<const QuantType> types,
                                                const EvaluationProgress& progress = {});

/// Fills in what was not measured: log KLD against log weight error, straight between anchors, and
/// as KLD ~ error beyond the last one. For tests and files.
void scale_unmeasured(TensorSensitivity& tensor);

/// Which of a tensor's allowed candidates are measured: the smallest, the largest below 7 bits per
/// weight, and evenly between them, `anchors` in all (0 = every one).
[[nodiscard]] std::vector<size_t> anchors_of(const TensorSensitivity& tensor, uint32_t anchors);

}  // namespace pumice::quant
