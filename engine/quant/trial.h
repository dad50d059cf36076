// A model on trial: quantised weights put into a running engine, the divergence that they cause,
// and the exact way back. The engine is deterministic: what is measured is no noise, and 0 after
// everything was restored.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "engine/quant/feedback_store.h"
#include "engine/quant/importance.h"
#include "engine/quant/logit_source.h"
#include "engine/quant/tensor_weights.h"

namespace pumice::quant {

struct TrialOptions {
  const ImportanceMatrix* importance = nullptr;  ///< checked by the caller; null = none
  /// Weights go in with error feedback, as quantise would encode them, where the importances have a
  /// Gram matrix; null = without.
  const ErrorFeedbackOptions* feedback = nullptr;
  uint32_t threads = 0;                     ///< that encode and score; 0 = all cores
  uint64_t most_bytes = uint64_t{2} << 30;  ///< of reference logits that may be kept
  EvaluationProgress progress;              ///< of the reference run
};

class Trial {
 public:
  /// Runs the text through the engine as it is and keeps its logits. The engine was loaded from
  /// `file` with LoadOptions::weights_as_f32 and evaluation_run (f32 activations and cache); it,
  /// the file, the text and the importances outlive the trial. OutOfMemory: too much text.
  [[nodiscard]] static Result<Trial> start(Engine& engine, const GgufFile& file,
                                           const EvaluationText& text,
                                           const TrialOptions& options = {});

  /// Replaces a tensor by what is left of it after quantising; returns error_of.
  /// NotFound when the engine does not use the tensor. NonFinite names a weight that is none.
  [[nodiscard]] Result<double> put(const TensorInfo& tensor, QuantType type);
  /// The error of encode_rows: sum of E[x^2] (w - w')^2 over sum of E[x^2] w^2, with E[x^2] = 1
  /// where nothing is known. Does not touch the engine.
  [[nodiscard]] Result<double> error_of(const TensorInfo& tensor, QuantType type);
  /// Puts a tensor's own weights back, bit for bit.
  [[nodiscard]] Result<void> restore(const TensorInfo& tensor);
  /// Mean KL(start || now) over the scored positions, nats. Progress counts positions.
  [[nodiscard]] Result<double> kld(const EvaluationProgress& progress = {});
  /// The same for each position, in the order of the text.
  [[nodiscard]] Result<std::vector<double>> klds(const EvaluationProgress& progress = {});

  /// True where weights go in with error feedback.
  [[nodiscard]] bool feeds() const { return feedback_ != nullptr; }
  [[nodiscard]] Engine& engine() { return *engine_; }
  [[nodiscard]] const GgufFile& file() const { return *file_; }
  [[nodiscard]] const EvaluationText& text() const { return *text_; }
  [[nodiscard]] KeptLogits& reference() { return reference_; }

 private:
  Trial(Engine& engine, const GgufFile& file, const EvaluationText& text, KeptLogits reference)
      : engine_(&engine), file_(&file), text_(&text), reference_(std::move(reference)) {}
  [[nodiscard]] Result<void> read(const TensorInfo& tensor);

  Engine* engine_;
  const GgufFile* file_;
  const EvaluationText* text_;
  KeptLogits reference_;
  const ImportanceMatrix* importance_ = nullptr;
  std::unique_ptr<FeedbackStore> feedback_;  ///< or null
  uint32_t threads_ = 0;
  const TensorInfo* held_ = nullptr;  ///< whose weights and importances follow
  std::vector<float> weights_, changed_;
  const ActivationStatistics* statistics_ = nullptr;
  std::vector<std::vector<float>> squares_;  ///< E[x^2] per matrix; empty = unknown
};

}  // namespace pumice::quant
