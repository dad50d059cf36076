#include "engine/quant/logit_source.h"

#include <algorithm>

#include "engine/base/checked.h"
#include "engine/base/fnv.h"

namespace pumice::quant {

RunOptions evaluation_run(uint32_t context, ActivationType activations, CacheFormat cache) {
  RunOptions run;
  run.context = context;
  run.max_chunk = std::min(context, 512u);
  run.max_outputs = run.max_chunk;  // fewer where the device or a large vocabulary asks for it
  run.activations = activations;
  run.cache = cache;
  return run;
}

Result<LogitsView> EngineSource::rows(const EvaluationText& text, uint32_t chunk, uint32_t first,
                                      uint32_t count) {
  if (text.context > engine_.plan().options.context)
    return fail(ErrorCode::BadArgument, "chunks of {} tokens for an engine with a context of {}",
                text.context, engine_.plan().options.context);
  const uint32_t begin = text.first_scored + first;
  if (chunk != chunk_ || engine_.length(0) != begin) engine_.rewind(0, 0);
  chunk_ = chunk;
  const uint32_t held = engine_.length(0);
  const auto tokens = text.chunk(chunk).subspan(held, begin + count - held);
  auto view = engine_.append_and_view(0, tokens, count);
  if (!view) return fail_in(fmt::format("{}: chunk {}", name_, chunk), std::move(view.error()));
  return view;
}

Result<void> for_all_rows(LogitSource& source, const EvaluationText& text,
                          const EvaluationProgress& progress, const RowsSink& sink) {
  const uint32_t scored = text.scored_per_chunk();
  for (uint32_t chunk = 0; chunk < text.chunks; ++chunk) {
    for (uint32_t first = 0; first < scored;) {
      const uint64_t done = uint64_t{chunk} * scored + first;
      if (progress && !progress(done, text.scored()))
        return fail(ErrorCode::Cancelled, "interrupted after {} of {} positions", done,
                    text.scored());
      const uint32_t count = std::min(scored - first, source.most_rows());
      PUMICE_TRY_ASSIGN(const LogitsView view, source.rows(text, chunk, first, count));
      PUMICE_TRY(sink(chunk, first, view));
      first += count;
    }
  }
  if (progress) progress(text.scored(), text.scored());
  return {};
}

uint64_t KeptLogits::bytes_for(const EvaluationText& text, uint32_t n_vocab) {
  return checked_mul(text.scored(), uint64_t{n_vocab} * sizeof(float)).value_or(UINT64_MAX);
}

Result<KeptLogits> KeptLogits::keep(LogitSource& source, const EvaluationText& text,
                                    uint64_t most_bytes, const EvaluationProgress& progress) {
  KeptLogits kept;
  kept.name_ = source.name();
  kept.n_vocab_ = source.n_vocab();
  kept.tokens_hash_ = text_hash(text);
  const uint64_t bytes = bytes_for(text, kept.n_vocab_);
  if (bytes > most_bytes)
    return fail(ErrorCode::OutOfMemory,
                "{}: logits of {} positions are {} MiB, and {} MiB may be kept; use fewer chunks",
                kept.name_, text.scored(), bytes >> 20, most_bytes >> 20);
  kept.rows_.reserve(bytes / sizeof(float));
  PUMICE_TRY(for_all_rows(
      source, text, progress, [&](uint32_t, uint32_t, const LogitsView& view) -> Result<void> {
        for (uint32_t i = 0; i < view.count; ++i)
          kept.rows_.insert(kept.rows_.end(), view.row(i).begin(), view.row(i).end());
        return {};
      }));
  return kept;
}

Result<LogitsView> KeptLogits::rows(const EvaluationText& text, uint32_t chunk, uint32_t first,
                                    uint32_t count) {
  if (first == 0 && text_hash(text) != tokens_hash_)
    return fail(ErrorCode::BadArgument, "{}: its logits were kept for another text", name_);
  const uint64_t row = uint64_t{chunk} * text.scored_per_chunk() + first;
  if ((row + count) * n_vocab_ > rows_.size())
    return fail(ErrorCode::BadArgument, "{}: its kept logits have no chunk {}", name_, chunk);
  return LogitsView{rows_.data() + row * n_vocab_, count, n_vocab_, n_vocab_};
}

uint64_t text_hash(const EvaluationText& text) {
  Fnv hash;
  hash.add(text.context).add(text.chunks).add(text.first_scored);
  for (const int32_t token : text.tokens) hash.add(uint32_t(token));
  return hash.value();
}

uint64_t measurement_hash(const EvaluationText& text) {
  const uint64_t tokens = text_hash(text);
  if (text.counted.empty()) return tokens;
  Fnv hash;
  hash.add(uint32_t(tokens)).add(uint32_t(tokens >> 32));
  for (const uint8_t mark : text.counted) hash.add(uint32_t(mark));
  return hash.value();
}

Result<void> check_same_vocabulary(const Tokenizer& reference, const Tokenizer& model) {
  if (reference.n_vocab() != model.n_vocab())
    return fail(ErrorCode::BadArgument,
                "the vocabularies differ: the reference has {} tokens, the model {}",
                reference.n_vocab(), model.n_vocab());
  for (int32_t id = 0; id < model.n_vocab(); ++id)
    if (reference.piece(id) != model.piece(id))
      return fail(ErrorCode::BadArgument,
                  "the vocabularies differ: token {} is \"{}\" in the reference and \"{}\" in the "
                  "model",
                  id, reference.piece(id), model.piece(id));
  return {};
}

}  // namespace pumice::quant
