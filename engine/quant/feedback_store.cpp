#include "engine/quant/feedback_store.h"

#include <algorithm>
#include <utility>

#include "engine/quant/block_grid.h"

namespace pumice::quant {

bool can_feed(const ActivationStatistics* statistics, QuantType type) {
  return statistics && statistics->gram && has_grid(type);
}

std::shared_ptr<FeedbackStore::Entry> FeedbackStore::entry(const Gram* gram, uint64_t matrix,
                                                           QuantType type) {
  const std::lock_guard lock(guard_);
  const auto found = std::ranges::find_if(entries_, [&](const auto& known) {
    return known->gram == gram && known->matrix == matrix && known->type == type;
  });
  if (found != entries_.end()) {
    entries_.splice(entries_.begin(), entries_, found);
    return entries_.front();
  }
  entries_.push_front(std::make_shared<Entry>());
  entries_.front()->gram = gram;
  entries_.front()->matrix = matrix;
  entries_.front()->type = type;
  if (entries_.size() > most_) entries_.pop_back();
  return entries_.front();
}

Result<std::shared_ptr<const ErrorFeedback>> FeedbackStore::get(
    const ActivationStatistics& statistics, uint64_t matrix, QuantType type) {
  const std::shared_ptr<Entry> own = entry(statistics.gram.get(), matrix, type);
  const std::lock_guard lock(own->making);
  if (!own->made) {
    const uint64_t size = statistics.width * statistics.width;
    const auto gram = std::span(*statistics.gram).subspan(size_t(matrix * size), size_t(size));
    auto feedback = ErrorFeedback::prepare(type, gram, statistics.width, options_);
    if (feedback)
      own->made = std::make_shared<const ErrorFeedback>(std::move(*feedback));
    else
      own->made = tl::unexpected<Error>(std::move(feedback.error()));
  }
  return *own->made;
}

}  // namespace pumice::quant
