// The bench of `pumice lab`: text, statistics, engine, and weights put in and taken out.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <functional>

#include "engine/base/platform.h"
#include "engine/quant/block_grid.h"
#include "engine/quant/encode.h"
#include "engine/quant/error_feedback.h"
#include "engine/quant/ordered_work.h"
#include "engine/quant/quantise.h"
#include "generate.h"
#include "lab.h"
#include "lab_text.h"
#include "loader/codec.h"
#include "reply_positions.h"

namespace pumice::command {
namespace {

constexpr uint32_t kMostContext = 256, kLeastContext = 32;
constexpr uint32_t kFewChunks = 4;                 ///< fewer than these ask for shorter chunks
constexpr uint32_t kChunks = 8, kQuickChunks = 2;  ///< of each half of the text
constexpr double kHostShare = 0.25;  ///< of free memory that Gram matrices or logits may take

/// Bytes that Gram matrices or logits may take on the host.
uint64_t host_room() {
  constexpr uint64_t kUnknown = uint64_t{4} << 30;  // where the system does not say
  const uint64_t free = available_memory();
  return uint64_t(kHostShare * double(free != 0 ? free : kUnknown));
}

/// Runs `work` over ranges of rows on all cores. Rows do not depend on each other, so the result
/// does not on the number of threads.
Result<void> over_rows(uint64_t rows,
                       const std::function<void(uint64_t first, uint64_t count)>& work) {
  quant::OrderedWork job;
  job.threads = quant::worker_count(0, size_t(rows));
  job.items = job.slots = job.threads;
  job.work = [&](uint32_t, size_t item, size_t) -> Result<void> {
    const uint64_t first = rows * item / job.items, end = rows * (item + 1) / job.items;
    work(first, end - first);
    return {};
  };
  return quant::run_in_order(job);
}

Result<quant::EvaluationText> built_in_text(const Tokenizer& tokenizer,
                                            const quant::ChunkOptions& chunks) {
  PUMICE_TRY_ASSIGN(std::vector<int32_t> tokens, tokenizer.encode(lab_text(), {.add_bos = true}));
  return quant::cut_chunks(std::move(tokens), tokenizer.adds_bos() ? tokenizer.bos() : -1, chunks,
                           "built-in text");
}

/// Chunks [first, first + count) of a text.
quant::EvaluationText part_of(const quant::EvaluationText& text, uint32_t first, uint32_t count) {
  quant::EvaluationText part = text;
  const auto begin = text.tokens.begin() + ptrdiff_t(uint64_t{first} * text.context);
  part.tokens.assign(begin, begin + ptrdiff_t(uint64_t{count} * text.context));
  part.chunks = count;
  return part;
}

/// Host bytes of all Gram matrices, as if no two weights shared one.
double gram_bytes(const GgufFile& file) {
  double bytes = 0;
  for (const TensorInfo& tensor : file.tensors())
    if (quant::is_quantisable(tensor))
      bytes += 4.0 * double(tensor.shape[0]) * double(tensor.shape[0]) * double(tensor.shape[2]);
  return bytes;
}

/// One matrix of a tensor (an expert, or all of it), rounded.
struct MatrixJob {
  QuantType type;
  uint64_t width = 0, rows = 0;
  std::span<const float> weights;
  std::span<float> out;
  Weighing weighing;
  std::vector<float> squares;                      ///< E[x^2] or empty
  const quant::ErrorFeedback* feedback = nullptr;  ///< or null
};

void round_rows(const MatrixJob& job, uint64_t first, uint64_t count) {
  const uint64_t row_bytes = quant::bytes_as(job.type, job.width);
  // Magnitudes differ from row to row, so such rows go one at a time; 64 keep buffers small.
  const uint64_t step = job.weighing == Weighing::Magnitude ? 1 : 64;
  std::vector<std::byte> blocks(step * row_bytes);
  std::vector<float> magnitudes;
  for (uint64_t row = first; row < first + count; row += step) {
    const uint64_t rows = std::min(step, first + count - row);
    const auto weights = job.weights.subspan(row * job.width, rows * job.width);
    const auto bytes = std::span(blocks).first(rows * row_bytes);
    std::span<const float> importance = job.squares;
    if (job.weighing == Weighing::Magnitude) {
      magnitudes.resize(job.width);
      std::ranges::transform(weights, magnitudes.begin(), [](float w) { return std::abs(w); });
      importance = magnitudes;
    }
    if (job.feedback)
      job.feedback->encode_rows(weights, bytes);
    else
      quant::encode_rows(job.type, weights, job.width, importance, bytes);
    decode_row(job.type, bytes.data(), weights.size(), &job.out[row * job.width]);
  }
}

}  // namespace

Result<std::unique_ptr<LabBench>> LabBench::open(const LabOptions& options, LabProgress& progress) {
  auto bench = std::make_unique<LabBench>();
  bench->options = options;
  bench->progress = &progress;
  progress.expect(3);
  PUMICE_TRY_ASSIGN(bench->file, open_gguf(options.model.model));
  PUMICE_TRY(bench->cut_text());
  PUMICE_TRY_ASSIGN(bench->facts,
                    quant::mix_facts(bench->file->metadata(), bench->file->tensors()));
  PUMICE_TRY_ASSIGN(bench->load, load_options(options.model));
  bench->load.progress = [&progress](uint64_t, uint64_t) { return progress.tick(0); };
  PUMICE_TRY(bench->gather());
  PUMICE_TRY(progress.step());
  PUMICE_TRY(bench->start_engine());
  PUMICE_TRY(progress.step());
  PUMICE_TRY(bench->find_matrices());
  PUMICE_TRY(progress.step());
  return bench;
}

Result<void> LabBench::cut_text() {
  PUMICE_TRY_ASSIGN(const model::Config config, model::read_config(*file));
  PUMICE_TRY_ASSIGN(const Tokenizer tokenizer, Tokenizer::create(file->metadata()));
  const uint32_t each = options.chunks != 0 ? options.chunks
                        : options.quick     ? kQuickChunks
                                            : kChunks;
  text_name = options.text.empty() ? "built-in" : options.text;
  const auto cut = [&](uint32_t context) {
    const quant::ChunkOptions chunks = {context, 2 * each, options.replies};
    if (options.text.empty()) return built_in_text(tokenizer, chunks);
    return options.ids ? quant::read_token_ids(options.text, config.n_vocab, chunks)
                       : quant::read_evaluation_text(options.text, tokenizer, chunks);
  };
  const bool fixed = options.model.context != 0;
  uint32_t context = fixed ? options.model.context : std::min(config.context_length, kMostContext);
  Result<quant::EvaluationText> text = cut(context);
  while (!fixed && context / 2 >= kLeastContext &&
         ((!text && text.error().code == ErrorCode::BadArgument) ||
          (text && text->chunks < std::min(kFewChunks, 2 * each)))) {
    context /= 2;
    text = cut(context);
  }
  if (!text) return tl::unexpected<Error>(std::move(text.error()));
  if (text->chunks < 2)
    return fail(ErrorCode::BadArgument,
                "{}: {} tokens fill only one chunk of {}; one half calibrates and the other tests, "
                "so give more text{}",
                text_name, text->text_tokens, text->context, fixed ? " or a smaller -c" : "");
  calibration = part_of(*text, 0, text->chunks / 2);
  test = part_of(*text, text->chunks / 2, text->chunks - text->chunks / 2);
  if (!options.replies) return {};
  PUMICE_TRY(count_replies(calibration, tokenizer));
  return count_replies(test, tokenizer);
}

Result<void> LabBench::gather() {
  LoadOptions tapped = load;
  tapped.run = quant::evaluation_run(calibration.context, ActivationType::F32, CacheType::F32);
  tapped.run.max_outputs = 1;
  const uint64_t room = host_room();
  has_gram = gram_bytes(*file) <= double(room);
  auto& taps = tapped.run.taps;
  taps.statistics = has_gram ? graph::Statistics::Gram : graph::Statistics::Squares;
  taps.output = true;
  taps.gram_budget = std::max(room, uint64_t{64} << 20);
  for (;;) {
    PUMICE_TRY_ASSIGN(const std::unique_ptr<Engine> observer, Engine::load(tapped));
    for (uint32_t i = 0; i < calibration.chunks; ++i) {
      if (!progress->tick(double(i) / calibration.chunks))
        return fail(ErrorCode::Cancelled, "interrupted");
      observer->rewind(0, 0);
      PUMICE_TRY(observer->append(0, calibration.chunk(i)));
    }
    PUMICE_TRY(check_validation(*observer));
    PUMICE_TRY_ASSIGN(std::vector<TapStatistics> taken, observer->take_statistics());
    PUMICE_TRY(quant::add_statistics(importance, std::move(taken)));
    if (observer->tapped_layers().end >= observer->tapped_layers().layers) return {};
    taps.first_layer = observer->tapped_layers().end;
  }
}

Result<void> LabBench::start_engine() {
  load.run = quant::evaluation_run(test.context, ActivationType::F32, CacheType::F32);
  load.run.deterministic = true;
  load.weights_as_f32 = true;
  PUMICE_TRY_ASSIGN(engine, Engine::load(load));
  quant::EngineSource source(*engine);
  PUMICE_TRY_ASSIGN(reference, quant::KeptLogits::keep(
                                   source, test, host_room(), [&](uint64_t done, uint64_t all) {
                                     return progress->tick(double(done) / double(all));
                                   }));
  return {};
}

Result<void> LabBench::find_matrices() {
  uint64_t wide = 0;
  for (const TensorInfo& tensor : file->tensors()) {
    if (!quant::is_quantisable(tensor)) continue;
    PUMICE_TRY_ASSIGN(const std::vector<float> values, weights(tensor));
    const Result<void> set = engine->set_weight(tensor.name, values);
    if (!set && set.error().code == ErrorCode::NotFound) continue;
    PUMICE_TRY(set);
    matrices.push_back(&tensor);
    matrix_weights += tensor.n_weights;
    if (tensor.shape[0] % 256 == 0) wide += tensor.n_weights;
  }
  wide_ = 2 * wide > matrix_weights;
  if (!matrices.empty()) return {};
  return fail(ErrorCode::BadArgument, "{}: no matrix that could be quantised", file->name());
}

Result<std::vector<float>> LabBench::weights(const TensorInfo& tensor) const {
  std::vector<float> values(tensor.n_weights);
  PUMICE_TRY(quant::read_weights(*file, tensor, values));
  return values;
}

Result<std::vector<float>> LabBench::rounded(const TensorInfo& tensor, QuantType type,
                                             Weighing weighing) const {
  PUMICE_TRY_ASSIGN(const std::vector<float> values, weights(tensor));
  std::vector<float> out(values.size());
  PUMICE_TRY_ASSIGN(const quant::ActivationStatistics* statistics,
                    quant::statistics_of(importance, tensor));
  const uint64_t width = tensor.shape[0], rows = tensor.shape[1], one = width * rows;
  for (uint64_t m = 0; m < tensor.n_weights / one; ++m) {
    MatrixJob job{type,
                  width,
                  rows,
                  std::span(values).subspan(m * one, one),
                  std::span(out).subspan(m * one, one),
                  weighing,
                  {},
                  nullptr};
    std::optional<quant::ErrorFeedback> feedback;
    const bool weighed = weighing == Weighing::Activation || weighing == Weighing::Feedback;
    if (weighed && statistics && m < statistics->matrices) {
      job.squares = quant::mean_squares(*statistics, m);
      if (weighing == Weighing::Feedback && statistics->gram && quant::has_grid(type)) {
        const auto gram = std::span(*statistics->gram).subspan(m * width * width, width * width);
        // Of an expert that saw too little: its diagonal still counts.
        if (auto prepared = quant::ErrorFeedback::prepare(type, gram, width))
          feedback = std::move(*prepared);
      }
    }
    job.feedback = feedback ? &*feedback : nullptr;
    PUMICE_TRY(
        over_rows(rows, [&](uint64_t first, uint64_t count) { round_rows(job, first, count); }));
  }
  return out;
}

Result<void> LabBench::put(const TensorInfo& tensor, std::span<const float> values) {
  PUMICE_TRY(engine->set_weight(tensor.name, values));
  engine->rewind(0, 0);
  return {};
}

Result<void> LabBench::restore(const TensorInfo& tensor) {
  PUMICE_TRY_ASSIGN(const std::vector<float> values, weights(tensor));
  return put(tensor, values);
}

Result<uint64_t> LabBench::put_all(QuantType type, Weighing weighing) {
  uint64_t changed = 0;
  for (size_t i = 0; i < matrices.size(); ++i) {
    if (!progress->tick(double(i) / double(matrices.size())))
      return fail(ErrorCode::Cancelled, "interrupted");
    if (!quant::fits(type, *matrices[i])) continue;
    PUMICE_TRY_ASSIGN(const std::vector<float> values, rounded(*matrices[i], type, weighing));
    PUMICE_TRY(put(*matrices[i], values));
    changed += matrices[i]->n_weights;
  }
  return changed;
}

Result<void> LabBench::restore_all() {
  for (const TensorInfo* tensor : matrices) PUMICE_TRY(restore(*tensor));
  return {};
}

Result<quant::Comparison> LabBench::compare(std::vector<double> temperatures) {
  engine->rewind(0, 0);
  quant::EngineSource source(*engine);
  quant::CompareOptions how;
  how.temperatures = std::move(temperatures);
  how.progress = [&](uint64_t done, uint64_t all) {
    return progress->tick(double(done) / double(all));
  };
  return quant::compare(&*reference, source, test, how);
}

Result<const quant::Comparison*> LabBench::run_mix(const std::string& mix) {
  if (const auto made = mix_runs.find(mix); made != mix_runs.end()) return &made->second;
  PUMICE_TRY_ASSIGN(const quant::TypeRequest types, mix_request(*this, mix));
  quant::QuantiseRequest request;
  request.types = types;
  request.types.with_importance = true;
  request.allow_requantize = true;
  PUMICE_TRY_ASSIGN(const quant::QuantisePlan plan, quant::plan_quantise(*file, request));
  for (const quant::PlannedTensor& planned : plan.tensors) {
    if (planned.type == planned.tensor->type || !quant::is_quantisable(*planned.tensor)) continue;
    if (std::ranges::find(matrices, planned.tensor) == matrices.end()) continue;
    PUMICE_TRY_ASSIGN(const std::vector<float> values,
                      rounded(*planned.tensor, planned.type, Weighing::Activation));
    PUMICE_TRY(put(*planned.tensor, values));
  }
  std::vector<double> temperatures = {0.1, 0.25, 0.5, 0.7, 1.0, 1.5, 2.0};
  if (options.quick) temperatures = {0.25, 1.0, 2.0};
  PUMICE_TRY_ASSIGN(quant::Comparison comparison, compare(std::move(temperatures)));
  PUMICE_TRY(restore_all());
  return &mix_runs.emplace(mix, std::move(comparison)).first->second;
}

std::vector<QuantType> LabBench::ladder() const {
  using enum QuantType;
  if (wide_ && options.quick) return {Q4_K, Q6_K};
  if (wide_) return {Q2_K, Q3_K, Q4_K, Q5_K, Q6_K, Q8_0};
  if (options.quick) return {Q4_0, Q8_0};
  return {Q4_0, IQ4_NL, Q4_1, Q5_0, Q5_1, Q8_0};
}

double LabBench::fitting_share(QuantType type) const {
  uint64_t fitting = 0;
  for (const TensorInfo* tensor : matrices)
    if (quant::fits(type, *tensor)) fitting += tensor->n_weights;
  return double(fitting) / double(matrix_weights);
}

}  // namespace pumice::command
