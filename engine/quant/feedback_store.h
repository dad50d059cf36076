// Factored Gram matrices while weights are quantised: each made once, by the first worker that
// needs it, and the least recently used forgotten.
#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <optional>

#include "engine/base/result.h"
#include "engine/quant/error_feedback.h"
#include "engine/quant/importance.h"

namespace pumice::quant {

/// True where error feedback can encode with what is known of a matrix's inputs.
[[nodiscard]] bool can_feed(const ActivationStatistics* statistics, QuantType type);

class FeedbackStore {
 public:
  /// Keeps up to `most` factors of width^2 floats each.
  FeedbackStore(const ErrorFeedbackOptions& options, size_t most)
      : options_(options), most_(most) {}

  /// For matrix `matrix` of the statistics, which have a Gram matrix and outlive the store, in
  /// `type`. Safe on any
  /// thread; workers that want the same one wait for the first.
  [[nodiscard]] Result<std::shared_ptr<const ErrorFeedback>> get(
      const ActivationStatistics& statistics, uint64_t matrix, QuantType type);

 private:
  struct Entry {
    const Gram* gram = nullptr;
    uint64_t matrix = 0;
    QuantType type = QuantType::F32;
    std::mutex making;
    std::optional<Result<std::shared_ptr<const ErrorFeedback>>> made;
  };
  std::shared_ptr<Entry> entry(const Gram* gram, uint64_t matrix, QuantType type);

  ErrorFeedbackOptions options_;
  size_t most_;
  std::mutex guard_;
  std::list<std::shared_ptr<Entry>> entries_;  ///< last used first
};

}  // namespace pumice::quant
