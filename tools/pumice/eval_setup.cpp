// From flags to what an evaluation runs on: grid, text, reference.
#include <algorithm>
#include <cstdio>
#include <filesystem>

#include "engine/base/platform.h"
#include "engine/session/option_words.h"
#include "eval.h"
#include "generate.h"
#include "loader/gguf.h"
#include "output_path.h"
#include "reply_positions.h"

namespace pumice::command {
namespace {

/// Logits that are kept in memory rather than computed again or side by side, bytes.
constexpr uint64_t kMostKept = uint64_t(1) << 30;

uint32_t context_of(const EvalFlags& flags, const model::Config& config) {
  return flags.model.context != 0 ? flags.model.context : std::min(config.context_length, 4096u);
}

Result<quant::EvaluationText> read_text(const EvalTask& task, const quant::ReferenceFile* saved) {
  const EvalFlags& flags = task.flags;
  if (flags.file.empty() && saved != nullptr) {
    quant::EvaluationText text = saved->text();
    if (flags.chunks > text.chunks)
      return fail(ErrorCode::BadArgument, "--chunks {}: {} holds {}", flags.chunks, saved->name(),
                  text.chunks);
    if (flags.chunks != 0) text.chunks = flags.chunks;
    text.tokens.resize(uint64_t{text.chunks} * text.context);
    return text;
  }
  const quant::ChunkOptions chunks = {task.load.run.context, flags.chunks, flags.score_all};
  if (flags.ids) return quant::read_token_ids(flags.file, task.n_vocab, chunks);
  return quant::read_evaluation_text(flags.file, *task.tokenizer, chunks);
}

/// Before the work: what is written is none of what is read, and there is something to write.
Result<void> check_outputs(const EvalTask& task, bool saved) {
  const EvalFlags& flags = task.flags;
  std::vector<std::string> inputs = part_paths(flags.model.model, *task.file);
  inputs.insert(inputs.end(), {flags.file, flags.reference});
  PUMICE_TRY(check_output_path("--save-reference", flags.save_reference, inputs));
  inputs.push_back(flags.save_reference);
  PUMICE_TRY(check_output_path("--json", flags.json == "-" ? "" : flags.json, inputs));
  if (flags.save_reference.empty()) return {};
  if (saved)
    return fail(ErrorCode::BadArgument, "--save-reference: {} holds saved logits already",
                flags.reference);
  if (task.kind == EvalKind::Curve && flags.reference.empty())
    return fail(ErrorCode::BadArgument,
                "--save-reference: curve runs a reference only where "
                "--reference names one");
  return {};
}

/// Runs the reference over the text into the file of --save-reference.
Result<void> save_reference(const EvalTask& task, Engine& engine) {
  const EvalFlags& flags = task.flags;
  quant::EngineSource source(engine);
  PUMICE_TRY_ASSIGN(
      quant::ReferenceWriter writer,
      quant::ReferenceWriter::create(
          flags.save_reference, std::filesystem::path(engine.file().name()).filename().string(),
          source.n_vocab(), quant::vocabulary_hash(engine.tokenizer()), task.text));
  ProgressBar bar("reference", task.text.scored_per_chunk());
  PUMICE_TRY(quant::for_all_rows(
      source, task.text, [&](uint64_t done, uint64_t total) { return bar.show(done, total); },
      [&](uint32_t, uint32_t, const LogitsView& rows) { return writer.write(rows); }));
  return writer.finish();
}

Result<EvalReference> open_saved(const EvalTask& task, const std::string& path) {
  PUMICE_TRY_ASSIGN(quant::ReferenceFile file, quant::ReferenceFile::open(path));
  PUMICE_TRY(file.check_vocabulary(*task.tokenizer, task.n_vocab));
  PUMICE_TRY(file.check_text(task.text));
  EvalReference reference;
  reference.name = fmt::format("{} (logits of {})", path, file.model());
  reference.source = std::make_unique<quant::ReferenceFile>(std::move(file));
  return reference;
}

/// A model as reference: its logits saved, kept, or computed side by side, whichever is asked for
/// and fits.
Result<EvalReference> run_reference(const EvalTask& task) {
  LoadOptions load = task.load;
  if (!task.flags.reference.empty()) load.model = task.flags.reference;
  load.run.activations = ActivationType::F32;
  load.run.cache = CacheType::F32;
  EvalReference reference;
  reference.name = load.model + " (f32 activations, f32 cache)";
  PUMICE_TRY_ASSIGN(reference.engine, Engine::load(load));
  PUMICE_TRY(quant::check_same_vocabulary(reference.engine->tokenizer(), *task.tokenizer));
  if (!task.flags.save_reference.empty()) {
    PUMICE_TRY(save_reference(task, *reference.engine));
    return open_saved(task, task.flags.save_reference);
  }
  auto live = std::make_unique<quant::EngineSource>(*reference.engine);
  const uint64_t most = std::min(kMostKept, available_memory() / 4);
  if (quant::KeptLogits::bytes_for(task.text, live->n_vocab()) > most) {
    reference.source = std::move(live);
    return reference;
  }
  ProgressBar bar("reference", task.text.scored_per_chunk());
  const auto start = std::chrono::steady_clock::now();
  PUMICE_TRY_ASSIGN(
      quant::KeptLogits kept,
      quant::KeptLogits::keep(*live, task.text, most, [&](uint64_t done, uint64_t total) {
        return bar.show(done, total);
      }));
  reference.seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  PUMICE_TRY(check_validation(*reference.engine));
  reference.source = std::make_unique<quant::KeptLogits>(std::move(kept));
  reference.engine.reset();
  return reference;
}

}  // namespace

Result<std::vector<NamedRun>> grid_of(const EvalFlags& flags) {
  std::vector<NamedRun> grid;
  for (const std::string& act : flags.act) {
    for (const std::string& kv : flags.kv) {
      PUMICE_TRY_ASSIGN(const ActivationType activations, parse_activations(act, "--act"));
      PUMICE_TRY_ASSIGN(const CacheFormat cache, parse_cache(kv, "--kv"));
      NamedRun& named = grid.emplace_back(NamedRun{act, kv, {}});
      named.run.activations = activations;
      named.run.cache = cache;
      named.run.deterministic = flags.model.deterministic;
    }
  }
  if (grid.empty())
    return fail(ErrorCode::BadArgument, "--act and --kv must name a precision each");
  return grid;
}

Result<EvalTask> prepare_evaluation(EvalKind kind, const EvalFlags& flags) {
  EvalTask task;
  task.kind = kind;
  task.flags = flags;
  task.flags.score_all |= flags.replies;
  PUMICE_TRY_ASSIGN(task.load, load_options(flags.model));
  PUMICE_TRY_ASSIGN(task.file, open_gguf(flags.model.model));
  PUMICE_TRY_ASSIGN(const model::Config config, model::read_config(*task.file));
  PUMICE_TRY_ASSIGN(task.tokenizer, Tokenizer::create(task.file->metadata()));
  task.n_vocab = config.n_vocab;
  const bool saved = !flags.reference.empty() && quant::ReferenceFile::recognise(flags.reference);
  if (flags.file.empty() && !saved)
    return fail(ErrorCode::BadArgument, "no text; give a file of it with -f");
  PUMICE_TRY(check_outputs(task, saved));
  std::optional<quant::ReferenceFile> file;
  if (saved) {
    PUMICE_TRY_ASSIGN(file, quant::ReferenceFile::open(flags.reference));
  }
  task.load.run =
      quant::evaluation_run(context_of(flags, config), ActivationType::F32, CacheType::F32);
  task.load.run.deterministic = flags.model.deterministic;
  if (flags.model.batch != 0) task.load.run.max_chunk = flags.model.batch;
  PUMICE_TRY_ASSIGN(task.text, read_text(task, file ? &*file : nullptr));
  task.load.run.context = task.text.context;
  if (flags.replies) PUMICE_TRY(count_replies(task.text, *task.tokenizer));
  const bool wants_reference = kind == EvalKind::Divergence || kind == EvalKind::Flips ||
                               (kind == EvalKind::Curve && !flags.reference.empty());
  if (saved) {
    PUMICE_TRY_ASSIGN(task.reference, open_saved(task, flags.reference));
  } else if (wants_reference) {
    PUMICE_TRY_ASSIGN(task.reference, run_reference(task));
  }
  return task;
}

ProgressBar::ProgressBar(std::string label, uint64_t per_chunk)
    : label_(std::move(label)), per_chunk_(std::max<uint64_t>(per_chunk, 1)) {}

ProgressBar::~ProgressBar() {
  if (shown_) std::fprintf(stderr, "\r%79s\r", "");
}

bool ProgressBar::show(uint64_t done, uint64_t total) {
  const Clock::time_point now = Clock::now();
  if (!is_terminal(Stream::Error) || now - last_ < std::chrono::milliseconds(200))
    return interrupts() == 0;
  last_ = now;
  shown_ = true;
  constexpr size_t kWidth = 20;
  const double seconds = std::chrono::duration<double>(now - start_).count();
  const double share = total ? double(done) / double(total) : 1.0;
  const double rate = seconds > 0 ? double(done) / seconds : 0.0;
  const std::string bar(size_t(share * kWidth), '#');
  std::string line = fmt::format("{:.24} [{:<{}}] {}/{} chunks", label_, bar, kWidth,
                                 done / per_chunk_, total / per_chunk_);
  if (rate > 0)
    line += fmt::format(", {:.0f} positions/s, {:.0f} s left", rate, double(total - done) / rate);
  std::fprintf(stderr, "\r%-79.79s", line.c_str());
  return interrupts() == 0;
}

}  // namespace pumice::command
