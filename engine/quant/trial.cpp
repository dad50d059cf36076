#include "engine/quant/trial.h"

#include <algorithm>
#include <cmath>
#include <thread>

#include "engine/quant/compare.h"
#include "engine/quant/encode.h"
#include "engine/quant/ordered_work.h"
#include "loader/codec.h"

namespace pumice::quant {
namespace {

/// Weights that one call encodes: enough to be worth a thread, few enough to share out.
constexpr uint64_t kSliceWeights = uint64_t(1) << 16;

/// Whole rows of one matrix.
struct Rows {
  uint64_t first = 0, count = 0;  ///< weights in the tensor
  uint64_t matrix = 0;
};

std::vector<Rows> cut(const TensorInfo& tensor) {
  const uint64_t width = tensor.shape[0], matrix = width * tensor.shape[1];
  const uint64_t step = std::max<uint64_t>(kSliceWeights / width, 1) * width;
  std::vector<Rows> slices;
  for (uint64_t begin = 0; begin < tensor.n_weights; begin += matrix)
    for (uint64_t at = 0; at < matrix; at += step)
      slices.push_back({begin + at, std::min(step, matrix - at), begin / matrix});
  return slices;
}

/// Sums over one slice, weighed with E[x^2].
struct WeighedError {
  double error = 0, weights = 0;
};

WeighedError weigh(std::span<const float> weights, std::span<const float> changed,
                   std::span<const float> squares, uint64_t width) {
  WeighedError sum;
  for (size_t row = 0; row < weights.size(); row += width)
    for (size_t column = 0; column < width; ++column) {
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
};

/// Encodes and decodes; returns the weighed error of the whole tensor, the same on any number of
/// threads: slices are summed in their order.
Result<double> requantise(const Requantisation& job) {
  const std::vector<Rows> slices = cut(job.tensor);
  std::vector<WeighedError> errors(slices.size());
  std::vector<std::vector<std::byte>> blocks(job.threads);
  const QuantTypeInfo& type = info(job.type);
  OrderedWork work;
  work.items = slices.size();
  work.threads = uint32_t(std::min<size_t>(job.threads, slices.size()));
  work.slots = slices.size();
  work.work = [&](uint32_t worker, size_t item, size_t) -> Result<void> {
    const Rows& rows = slices[item];
    const auto weights = job.weights.subspan(rows.first, rows.count);
    const auto changed = job.changed.subspan(rows.first, rows.count);
    std::span<const float> squares;
    if (!job.squares.empty()) squares = job.squares[job.squares.size() == 1 ? 0 : rows.matrix];
    blocks[worker].resize(rows.count / type.block_weights * type.block_bytes);
    encode_rows(job.type, weights, job.tensor.shape[0], squares, blocks[worker]);
    decode_row(job.type, blocks[worker].data(), rows.count, changed.data());
    errors[item] = weigh(weights, changed, squares, job.tensor.shape[0]);
    return {};
  };
  work.take = [](size_t, size_t) -> Result<void> { return {}; };
  PUMICE_TRY(run_in_order(work));
  WeighedError sum;
  for (const WeighedError& error : errors) {
    sum.error += error.error;
    sum.weights += error.weights;
  }
  return sum.weights > 0 ? sum.error / sum.weights : 0.0;
}

}  // namespace

uint64_t bytes_as(QuantType type, const TensorInfo& tensor) {
  if (tensor.shape[0] % info(type).block_weights != 0) return 0;
  return tensor.n_weights / info(type).block_weights * info(type).block_bytes;
}

Result<Trial> Trial::start(Engine& engine, const GgufFile& file, const EvaluationText& text,
                           const TrialOptions& options) {
  engine.rewind(0, 0);
  EngineSource source(engine);
  PUMICE_TRY_ASSIGN(KeptLogits kept,
                    KeptLogits::keep(source, text, options.most_bytes, options.progress));
  Trial trial(engine, file, text, std::move(kept));
  trial.importance_ = options.importance;
  trial.threads_ = options.threads != 0 ? options.threads
                                        : std::clamp(std::thread::hardware_concurrency(), 1u, 64u);
  return trial;
}

Result<void> Trial::read(const TensorInfo& tensor) {
  if (held_ == &tensor) return {};
  held_ = nullptr;
  weights_.resize(tensor.n_weights);
  std::vector<std::byte> blocks(tensor.n_bytes);
  PUMICE_TRY(file_->read(tensor, 0, blocks));
  decode_row(tensor.type, blocks.data(), tensor.n_weights, weights_.data());
  const auto bad = std::ranges::find_if_not(weights_, [](float x) { return std::isfinite(x); });
  if (bad != weights_.end())
    return fail(ErrorCode::NonFinite,
                "tensor {}: weight {} is {}, expected a finite number: the model is damaged",
                tensor.name, bad - weights_.begin(), *bad);
  squares_.clear();
  held_ = &tensor;
  if (!importance_) return {};
  const auto known = importance_->tensors.find(tensor.name);
  if (known == importance_->tensors.end()) return {};
  const ActivationStatistics& statistics = known->second;
  const uint64_t matrices = tensor.shape[2] * tensor.shape[3];
  if (statistics.width != tensor.shape[0] ||
      (statistics.matrices != 1 && statistics.matrices != matrices))
    return fail(ErrorCode::BadArgument,
                "the importance matrix has {} x {} numbers for tensor {} of shape {}",
                statistics.matrices, statistics.width, tensor.name,
                shape_text(std::span(tensor.shape).first(tensor.n_dims)));
  for (uint64_t i = 0; i < statistics.matrices; ++i)
    squares_.push_back(mean_squares(statistics, i));
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
