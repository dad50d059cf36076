#include "engine/quant/trial.h"

#include <algorithm>

#include "engine/quant/compare.h"
#include "engine/quant/encode.h"
#include "engine/quant/ordered_work.h"
#include "loader/codec.h"

namespace pumice::quant {
namespace {

/// Weights that one call encodes: enough to be worth a thread, few enough to share out.
constexpr uint64_t kSliceWeights = uint64_t(1) << 16;
/// Factors of Gram matrices: of the tensor on trial; with experts, of two that workers are at.
constexpr size_t kKeptFactors = 2;

/// Sums over one slice, weighed with E[x^2].
struct WeighedError {
  double error = 0, weights = 0;
};

/// `squares`: of the columns that the slice has, or empty.
WeighedError weigh(std::span<const float> weights, std::span<const float> changed,
                   std::span<const float> squares, uint64_t columns) {
  WeighedError sum;
  for (size_t row = 0; row < weights.size(); row += columns)
    for (size_t column = 0; column < columns; ++column) {
      const double square = squares.empty() ? 1.0 : double(squares[column]);
      const double w = weights[row + column], d = w - double(changed[row + column]);
      sum.error += square * d * d;
      sum.weights += square * w * w;
    }
  return sum;
}

struct Requantisation {
  const TensorInfo& tensor;
  QuantType type;
  std::span<const float> weights;
  std::span<float> changed;
  const std::vector<std::vector<float>>& squares;  ///< none, one, or one per matrix
  uint32_t threads = 1;
  const ActivationStatistics* statistics = nullptr;  ///< what `feedback` works with
  FeedbackStore* feedback = nullptr;                 ///< null = encode_rows
};

Result<void> encode(const Requantisation& job, const Slice& slice, std::span<const float> squares,
                    std::span<std::byte> blocks) {
  const auto weights = job.weights.subspan(slice.first, slice.count);
  const uint64_t width = job.tensor.shape[0];
  if (!job.feedback || slice.count % width != 0) {
    encode_rows(job.type, weights, std::min(slice.count, width), squares, blocks);
    return {};
  }
  const uint64_t matrix = job.statistics->matrices == 1 ? 0 : slice.matrix;
  PUMICE_TRY_ASSIGN(const auto feedback, job.feedback->get(*job.statistics, matrix, job.type));
  feedback->encode_rows(weights, blocks);
  return {};
}

/// Encodes and decodes; returns the weighed error of the whole tensor, the same on any number of
/// threads: slices are summed in their order.
Result<double> requantise(const Requantisation& job) {
  const std::vector<Slice> slices = cut_slices(job.tensor, kSliceWeights);
  std::vector<WeighedError> errors(slices.size());
  OrderedWork work;
  work.items = work.slots = slices.size();
  work.threads = worker_count(job.threads, slices.size());
  std::vector<std::vector<std::byte>> blocks(work.threads);
  work.work = [&](uint32_t worker, size_t item, size_t) -> Result<void> {
    const Slice& slice = slices[item];
    const uint64_t columns = std::min(slice.count, job.tensor.shape[0]);
    const auto changed = job.changed.subspan(slice.first, slice.count);
    std::span<const float> squares;
    if (!job.squares.empty()) {
      const size_t matrix = job.squares.size() == 1 ? 0 : slice.matrix;
      squares = std::span(job.squares[matrix]).subspan(slice.column, columns);
    }
    blocks[worker].resize(bytes_as(job.type, slice.count));
    PUMICE_TRY(encode(job, slice, squares, blocks[worker]));
    decode_row(job.type, blocks[worker].data(), slice.count, changed.data());
    errors[item] = weigh(job.weights.subspan(slice.first, slice.count), changed, squares, columns);
    return {};
  };
  PUMICE_TRY(run_in_order(work));
  WeighedError sum;
  for (const WeighedError& error : errors) {
    sum.error += error.error;
    sum.weights += error.weights;
  }
  return sum.weights > 0 ? sum.error / sum.weights : 0.0;
}

}  // namespace

Result<Trial> Trial::start(Engine& engine, const GgufFile& file, const EvaluationText& text,
                           const TrialOptions& options) {
  engine.rewind(0, 0);
  EngineSource source(engine);
  PUMICE_TRY_ASSIGN(KeptLogits kept,
                    KeptLogits::keep(source, text, options.most_bytes, options.progress));
  Trial trial(engine, file, text, std::move(kept));
  trial.importance_ = options.importance;
  trial.threads_ = options.threads;
  if (options.feedback)
    trial.feedback_ = std::make_unique<FeedbackStore>(*options.feedback, kKeptFactors);
  return trial;
}

Result<void> Trial::read(const TensorInfo& tensor) {
  if (held_ == &tensor) return {};
  held_ = nullptr;
  weights_.resize(tensor.n_weights);
  PUMICE_TRY(read_weights(*file_, tensor, weights_, threads_));
  squares_.clear();
  statistics_ = nullptr;
  if (importance_) {
    PUMICE_TRY_ASSIGN(statistics_, statistics_of(*importance_, tensor));
  }
  if (statistics_) squares_ = all_mean_squares(*statistics_);
  held_ = &tensor;
  return {};
}

Result<double> Trial::error_of(const TensorInfo& tensor, QuantType type) {
  if (bytes_as(type, tensor) == 0 || !can_encode(type))
    return fail(ErrorCode::BadArgument, "tensor {} with rows of {} weights cannot be made {}",
                tensor.name, tensor.shape[0], info(type).name);
  PUMICE_TRY(read(tensor));
  changed_.resize(weights_.size());
  return requantise({tensor, type, weights_, changed_, squares_, threads_});
}

Result<double> Trial::put(const TensorInfo& tensor, QuantType type) {
  PUMICE_TRY_ASSIGN(const double error, error_of(tensor, type));
  if (feedback_ && can_feed(statistics_, type)) {
    const Result<double> fed = requantise(
        {tensor, type, weights_, changed_, squares_, threads_, statistics_, feedback_.get()});
    if (!fed) return fail_in(fmt::format("tensor {}", tensor.name), Error(fed.error()));
  }
  PUMICE_TRY(engine_->set_weight(tensor.name, changed_));
  engine_->rewind(0, 0);
  return error;
}

Result<void> Trial::restore(const TensorInfo& tensor) {
  PUMICE_TRY(read(tensor));
  PUMICE_TRY(engine_->set_weight(tensor.name, weights_));
  engine_->rewind(0, 0);
  return {};
}

Result<std::vector<double>> Trial::klds(const EvaluationProgress& progress) {
  engine_->rewind(0, 0);
  EngineSource source(*engine_);
  CompareOptions options;
  options.threads = threads_;
  options.progress = progress;
  PUMICE_TRY_ASSIGN(const Comparison comparison, compare(&reference_, source, *text_, options));
  std::vector<double> klds;
  for (const PositionScore& position : comparison.positions) klds.push_back(position.kld);
  return klds;
}

Result<double> Trial::kld(const EvaluationProgress& progress) {
  PUMICE_TRY_ASSIGN(const std::vector<double> all, klds(progress));
  double sum = 0;
  for (const double kld : all) sum += kld;
  return all.empty() ? 0.0 : sum / double(all.size());
}

}  // namespace pumice::quant
