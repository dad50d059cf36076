#include "engine/quant/compare.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <system_error>
#include <thread>

#include "engine/quant/ordered_work.h"

namespace pumice::quant {
namespace {

using Clock = std::chrono::steady_clock;

/// Adds the time until its end to a sum of seconds.
class Lap {
 public:
  explicit Lap(double& seconds) : seconds_(seconds) {}
  ~Lap() { seconds_ += std::chrono::duration<double>(Clock::now() - start_).count(); }
  Lap(const Lap&) = delete;
  Lap& operator=(const Lap&) = delete;

 private:
  double& seconds_;
  Clock::time_point start_ = Clock::now();
};

/// Calls body(thread, i) for i in [0, count) on several threads; each i once, on any of them.
template <class Body>
void for_parallel(uint32_t count, uint32_t threads, const Body& body) {
  std::atomic<uint32_t> next = 0;
  const auto work = [&](uint32_t thread) {
    for (uint32_t i = next++; i < count; i = next++) body(thread, i);
  };
  std::vector<std::jthread> others;  // joined at the end of the scope
  try {
    for (uint32_t thread = 1; thread < std::min(threads, count); ++thread)
      others.emplace_back(work, thread);
  } catch (const std::system_error&) {  // no more threads here: the others do the work
  }
  work(0);
}

/// The first position of a row that is not finite, as an error that says whose it is.
Result<void> check_finite(const LogitSource* reference, const LogitsView* reference_rows,
                          const LogitSource& model, const EvaluationText& text, uint32_t chunk,
                          uint32_t first, std::span<const PositionScore> scores) {
  const auto finite = [](std::span<const float> row) {
    return std::all_of(row.begin(), row.end(), [](float x) { return std::isfinite(x); });
  };
  for (uint32_t i = 0; i < scores.size(); ++i) {
    if (scores[i].finite) continue;
    const bool of_reference = reference_rows != nullptr && !finite(reference_rows->row(i));
    return fail(ErrorCode::NonFinite, "{}: a logit at chunk {}, position {} is NaN or infinite",
                of_reference ? reference->name() : model.name(), chunk,
                text.first_scored + first + i);
  }
  return {};
}

class Comparer {
 public:
  Comparer(LogitSource* reference, LogitSource& model, const EvaluationText& text,
           const CompareOptions& options)
      : reference_(reference), model_(model), text_(text), options_(options) {
    threads_ = worker_count(options.threads);
    work_.resize(threads_);
    result_.chunks = text.chunks;
    result_.first_scored = text.first_scored;
    result_.scored_per_chunk = text.scored_per_chunk();
    result_.has_reference = reference != nullptr;
    result_.positions.resize(text.scored());
    if (reference != nullptr) result_.temperatures = options.temperatures;
    result_.tempered.assign(result_.temperatures.size(),
                            std::vector<TemperatureScore>(text.scored()));
  }

  Result<Comparison> run() {
    const uint32_t scored = text_.scored_per_chunk();
    for (uint32_t chunk = 0; chunk < text_.chunks; ++chunk) {
      for (uint32_t first = 0; first < scored;) {
        const uint64_t done = uint64_t{chunk} * scored + first;
        if (options_.progress && !options_.progress(done, text_.scored()))
          return fail(ErrorCode::Cancelled, "interrupted after {} of {} positions", done,
                      text_.scored());
        PUMICE_TRY_ASSIGN(const uint32_t count, step(chunk, first));
        first += count;
      }
    }
    if (options_.progress) options_.progress(text_.scored(), text_.scored());
    return std::move(result_);
  }

 private:
  /// Runs and scores the next rows of a chunk; returns how many.
  Result<uint32_t> step(uint32_t chunk, uint32_t first) {
    uint32_t count = std::min(text_.scored_per_chunk() - first, model_.most_rows());
    if (reference_ != nullptr) count = std::min(count, reference_->most_rows());
    LogitsView reference, model;
    if (reference_ != nullptr) {
      const Lap lap(result_.reference_seconds);
      PUMICE_TRY_ASSIGN(reference, reference_->rows(text_, chunk, first, count));
    }
    {
      const Lap lap(result_.model_seconds);
      PUMICE_TRY_ASSIGN(model, model_.rows(text_, chunk, first, count));
    }
    const Lap lap(result_.score_seconds);
    const uint64_t at = uint64_t{chunk} * text_.scored_per_chunk() + first;
    const std::span<const int32_t> next =
        text_.chunk(chunk).subspan(text_.first_scored + first + 1);
    for_parallel(count, threads_, [&](uint32_t thread, uint32_t i) {
      score(thread, reference_ ? reference.row(i) : std::span<const float>(), model.row(i),
            uint32_t(next[i]), at + i);
    });
    PUMICE_TRY(check_finite(reference_, reference_ ? &reference : nullptr, model_, text_, chunk,
                            first, std::span(result_.positions).subspan(at, count)));
    return count;
  }

  void score(uint32_t thread, std::span<const float> reference, std::span<const float> row,
             uint32_t next, uint64_t at) {
    result_.positions[at] = score_row(reference, row, next);
    if (!result_.positions[at].finite) return;
    for (size_t t = 0; t < result_.temperatures.size(); ++t)
      result_.tempered[t][at] =
          score_temperature(reference, row, result_.temperatures[t], options_.top_p, work_[thread]);
  }

  LogitSource* reference_;
  LogitSource& model_;
  const EvaluationText& text_;
  const CompareOptions& options_;
  uint32_t threads_ = 1;
  std::vector<TemperatureWork> work_;  ///< per thread
  Comparison result_;
};

Result<void> check_inputs(const LogitSource* reference, const LogitSource& model,
                          const EvaluationText& text, const CompareOptions& options) {
  if (reference != nullptr && reference->n_vocab() != model.n_vocab())
    return fail(ErrorCode::BadArgument,
                "the vocabularies differ: {} has {} tokens and {} has {}; a divergence needs the "
                "same",
                reference->name(), reference->n_vocab(), model.name(), model.n_vocab());
  for (const int32_t token : text.tokens)
    if (token < 0 || uint32_t(token) >= model.n_vocab())
      return fail(ErrorCode::BadArgument, "{}: token id {} is outside the vocabulary of {}",
                  text.name, token, model.n_vocab());
  if (!text.counted.empty() && text.counted.size() != text.scored())
    return fail(ErrorCode::BadArgument, "{}: {} marks for {} scored positions", text.name,
                text.counted.size(), text.scored());
  for (const double temperature : options.temperatures)
    if (!(temperature > 0.0) || !std::isfinite(temperature))
      return fail(ErrorCode::BadArgument, "temperature {}; it must be above 0", temperature);
  if (!(options.top_p > 0.0 && options.top_p <= 1.0))
    return fail(ErrorCode::BadArgument, "top-p {}; it must be above 0 and at most 1",
                options.top_p);
  return {};
}

/// Leaves the positions whose mark is not 0; they become one chunk, in their order.
void keep_positions(Comparison& comparison, std::span<const uint8_t> marks) {
  const auto keep = [&](auto& rows) {
    size_t kept = 0;
    for (size_t i = 0; i < rows.size() && i < marks.size(); ++i)
      if (marks[i] != 0) rows[kept++] = rows[i];
    rows.resize(kept);
  };
  keep(comparison.positions);
  for (std::vector<TemperatureScore>& rows : comparison.tempered) keep(rows);
  comparison.chunks = 1;
  comparison.first_scored = 0;
  comparison.scored_per_chunk = uint32_t(comparison.positions.size());
}

}  // namespace

Result<Comparison> compare(LogitSource* reference, LogitSource& model, const EvaluationText& text,
                           const CompareOptions& options) {
  PUMICE_TRY(check_inputs(reference, model, text, options));
  PUMICE_TRY_ASSIGN(Comparison comparison, Comparer(reference, model, text, options).run());
  if (!text.counted.empty()) keep_positions(comparison, text.counted);
  return comparison;
}

}  // namespace pumice::quant
