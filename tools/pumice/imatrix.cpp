// `pumice imatrix`: runs a text through the model and writes what every matrix was multiplied with,
// as sums per input channel: what the quantiser weighs errors with.
#include "imatrix.h"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "engine/base/platform.h"
#include "engine/quant/evaluation_text.h"
#include "engine/quant/importance.h"
#include "engine/session/engine.h"
#include "generate.h"
#include "options.h"
#include "output.h"
#include "output_path.h"
#include "read_text.h"

namespace pumice::command {
namespace {

constexpr uint32_t kUsualContext = 512;

struct Options {
  ModelFlags model;
  std::string text, out, in_file, show, layers;
  uint32_t chunks = 0;       ///< 0 = all
  uint32_t gram_memory = 0;  ///< MiB of Gram matrices per pass; 0 = chosen
  bool gram = false, process_output = false, json = false, ids = false;
};

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

/// "3", "3-5" or "" to [first, end).
Result<std::pair<uint32_t, uint32_t>> parse_layers(const std::string& text) {
  if (text.empty()) return std::pair(0u, UINT32_MAX);
  uint32_t first = 0, last = 0;
  const char *at = text.data(), *end = text.data() + text.size();
  auto read = std::from_chars(at, end, first);
  last = first;
  if (read.ec == std::errc() && read.ptr != end && *read.ptr == '-')
    read = std::from_chars(read.ptr + 1, end, last);
  if (read.ec != std::errc() || read.ptr != end || last < first || last == UINT32_MAX)
    return fail(ErrorCode::BadArgument, "--layers: \"{}\" is no range like 0-7",
                printable(text, 40));
  return std::pair(first, last + 1);
}

/// The text's tokens, in chunks one after the other.
struct Chunks {
  std::vector<int32_t> tokens;
  uint32_t size = 0, count = 0;
  int32_t bos = -1;  ///< put over the first token of each chunk; -1 = nothing

  [[nodiscard]] std::vector<int32_t> chunk(uint32_t i) const {
    const auto first = tokens.begin() + ptrdiff_t(uint64_t{i} * size);
    std::vector<int32_t> out(first, first + size);
    if (bos >= 0) out.front() = bos;
    return out;
  }
};

/// Chunks of a file of token ids, to which no BOS is added.
Result<Chunks> chunks_of_ids(const Options& options, uint32_t n_vocab) {
  const uint32_t size = options.model.context == 0 ? kUsualContext : options.model.context;
  PUMICE_TRY_ASSIGN(quant::EvaluationText text,
                    quant::read_token_ids(options.text, n_vocab, {size, options.chunks}));
  return Chunks{std::move(text.tokens), size, text.chunks};
}

Result<Chunks> chunks_of(const Options& options) {
  PUMICE_TRY_ASSIGN(const auto file, open_gguf(options.model.model));
  if (options.ids) {
    PUMICE_TRY_ASSIGN(const model::Config config, model::read_config(*file));
    return chunks_of_ids(options, config.n_vocab);
  }
  PUMICE_TRY_ASSIGN(const Tokenizer tokenizer, Tokenizer::create(file->metadata()));
  PUMICE_TRY_ASSIGN(const std::string text, read_text(options.text));
  Chunks chunks;
  chunks.size = options.model.context == 0 ? kUsualContext : options.model.context;
  if (tokenizer.adds_bos()) chunks.bos = tokenizer.bos();
  EncodeOptions encode;
  encode.add_bos = true;
  PUMICE_TRY_ASSIGN(chunks.tokens, tokenizer.encode(text, encode));
  chunks.count = uint32_t(std::min<uint64_t>(chunks.tokens.size() / chunks.size, UINT32_MAX));
  if (options.chunks != 0) chunks.count = std::min(chunks.count, options.chunks);
  if (chunks.count != 0) return chunks;
  return fail(ErrorCode::BadArgument,
              "{}: {} tokens are less than one chunk of {}; give more text or a smaller -c",
              options.text, chunks.tokens.size(), chunks.size);
}

/// One line that is rewritten; nothing where stderr is no terminal.
class Progress {
 public:
  Progress(uint64_t chunks, uint32_t chunk_tokens) : chunks_(chunks), chunk_tokens_(chunk_tokens) {}

  void done(uint32_t layers_left) {
    ++done_;
    if (!is_terminal(Stream::Error)) return;
    const double seconds = seconds_since(start_);
    const double rate = double(done_) * chunk_tokens_ / seconds;
    std::fprintf(stderr, "\r%llu of %llu chunks, %.0f tokens/s", done_, chunks_, rate);
    if (layers_left != 0)
      std::fprintf(stderr, ", then %u layers more", layers_left);
    else
      std::fprintf(stderr, ", %.0f s left", seconds / double(done_) * double(chunks_ - done_));
    std::fputs("\033[K", stderr);
    if (done_ == chunks_) std::fputs("\r\033[K", stderr);
  }
  void begin() { start_ = Clock::now(), done_ = 0; }

 private:
  unsigned long long chunks_, done_ = 0;
  uint32_t chunk_tokens_;
  Clock::time_point start_ = Clock::now();
};

Result<LoadOptions> gathering_options(const Options& options, const Chunks& chunks) {
  PUMICE_TRY_ASSIGN(LoadOptions load, load_options(options.model));
  PUMICE_TRY_ASSIGN(const auto layers, parse_layers(options.layers));
  load.run.context = chunks.size;
  load.run.max_chunk = std::min(load.run.max_chunk, chunks.size);
  graph::TapOptions& taps = load.run.taps;
  taps.statistics = options.gram ? graph::Statistics::Gram : graph::Statistics::Squares;
  taps.first_layer = layers.first;
  taps.end_layer = layers.second;
  taps.output = options.process_output;
  constexpr uint64_t kMost = uint64_t{4} << 30;
  taps.gram_budget = options.gram_memory != 0
                         ? uint64_t{options.gram_memory} << 20
                         : std::clamp<uint64_t>(available_memory() / 8, 64 << 20, kMost);
  return load;
}

/// The layers of one engine, over all chunks.
Outcome run_pass(Engine& engine, const Chunks& chunks, Progress& progress,
                 quant::ImportanceMatrix& matrix) {
  const graph::TappedLayers& layers = engine.tapped_layers();
  progress.begin();
  for (uint32_t i = 0; i < chunks.count; ++i) {
    if (interrupts() > 0)
      return tl::unexpected<Failure>(Failure(kFailed, "interrupted; nothing was written"));
    engine.rewind(0, 0);
    PUMICE_TRY(engine.append(0, chunks.chunk(i)));
    progress.done(layers.layers - layers.end);
  }
  PUMICE_TRY(check_validation(engine));
  PUMICE_TRY_ASSIGN(std::vector<TapStatistics> taken, engine.take_statistics());
  PUMICE_TRY(quant::add_statistics(matrix, std::move(taken)));
  return {};
}

/// The host keeps the Gram matrices of all passes, whole squares.
Result<void> check_memory(const Engine& engine, uint32_t wanted_end) {
  uint64_t bytes = 0;
  for (const graph::Tap& tap : engine.plan().graph.taps)
    if (tap.gram) bytes += uint64_t{tap.width} * tap.width * tap.matrices * sizeof(float);
  const graph::TappedLayers& layers = engine.tapped_layers();
  const uint32_t all = std::min(layers.layers, wanted_end) - layers.first;
  const uint64_t needed = bytes / (layers.end - layers.first) * all;
  const uint64_t room = available_memory();
  if (room == 0 || needed <= room) return {};
  return fail(ErrorCode::OutOfMemory,
              "the Gram matrices of {} layers take {} and {} are free; gather them in parts "
              "(--layers {}-{}, ...), each into a file of its own",
              all, bytes_text(needed), bytes_text(room), layers.first,
              layers.first + std::max<uint64_t>(room * all / needed, 1) - 1);
}

Outcome gather_all(LoadOptions load, const Chunks& chunks, quant::ImportanceMatrix& matrix) {
  Progress progress(chunks.count, chunks.size);
  const uint32_t first = load.run.taps.first_layer, wanted_end = load.run.taps.end_layer;
  for (;;) {
    PUMICE_TRY_ASSIGN(const std::unique_ptr<Engine> engine, Engine::load(load));
    if (load.run.taps.first_layer == first) PUMICE_TRY(check_memory(*engine, wanted_end));
    if (Outcome pass = run_pass(*engine, chunks, progress, matrix); !pass) return pass;
    const graph::TappedLayers& layers = engine->tapped_layers();
    if (layers.end >= std::min(layers.layers, wanted_end)) return {};
    load.run.taps.first_layer = layers.end;
  }
}

/// Before the work, not after it.
Result<void> check_output(const Options& options) {
  const std::string inputs[] = {options.model.model, options.text};
  return check_output_path("-o", options.out, inputs);
}

/// A Gram matrix that only one side has is of no use: a sum over a part of the tokens.
Result<void> check_gram(const Options& options, const quant::ImportanceMatrix& known) {
  const auto has_gram = [](const auto& entry) { return entry.second.gram != nullptr; };
  const bool all = std::ranges::all_of(known.tensors, has_gram);
  const bool any = std::ranges::any_of(known.tensors, has_gram);
  if (options.gram && !all)
    return fail(
        ErrorCode::BadArgument,
        "--in-file {} lacks Gram matrices, so what --gram gathers could not be added to it; "
        "leave out one of the two",
        options.in_file);
  if (!options.gram && any)
    return fail(ErrorCode::BadArgument,
                "--in-file {} has Gram matrices, which would be lost; add --gram", options.in_file);
  return {};
}

void report(const Options& options, const quant::ImportanceMatrix& matrix, const Chunks& chunks,
            double seconds) {
  const double tokens = double(chunks.count) * chunks.size;
  std::fprintf(stderr, "%s: %zu tensors, %.0f tokens in %.1f s, %.0f tokens/s\n",
               options.out.c_str(), matrix.tensors.size(), tokens, seconds, tokens / seconds);
  uint64_t unseen = 0;
  for (const auto& [name, entry] : matrix.tensors)
    unseen += uint64_t(std::count(entry.counts.begin(), entry.counts.end(), 0.0f));
  if (unseen != 0)
    std::fprintf(stderr,
                 "%llu expert matrices saw no token: they are weighed like the mean of the others; "
                 "use more text\n",
                 static_cast<unsigned long long>(unseen));
}

Outcome gather(const Options& options) {
  PUMICE_TRY(check_output(options));
  count_interrupts();
  const Clock::time_point start = Clock::now();
  quant::ImportanceMatrix matrix;
  if (!options.in_file.empty()) {
    PUMICE_TRY_ASSIGN(const auto file, open_gguf(options.model.model));
    PUMICE_TRY_ASSIGN(matrix, quant::read_importance(options.in_file));
    PUMICE_TRY(quant::check_importance(matrix, *file));
    PUMICE_TRY(check_gram(options, matrix));
  }
  PUMICE_TRY_ASSIGN(const Chunks chunks, chunks_of(options));
  Result<LoadOptions> load = gathering_options(options, chunks);
  if (!load) return usage("{}", load.error().text);
  quant::ImportanceMatrix gathered;
  if (Outcome done = gather_all(std::move(*load), chunks, gathered); !done) return done;
  gathered.datasets = {options.text};
  gathered.chunk_count = chunks.count;
  gathered.chunk_size = chunks.size;
  PUMICE_TRY(quant::merge_importance(matrix, gathered));
  PUMICE_TRY(quant::write_importance(matrix, options.out));
  report(options, matrix, chunks, seconds_since(start));
  return {};
}

Outcome imatrix(Options options) {
  if (!options.show.empty()) return show_importance(options.show, options.json);
  const bool no_model = options.model.model.empty() && options.model.hub.repo.empty();
  if (no_model || options.text.empty() || options.out.empty())
    return usage("imatrix needs -m MODEL (or -hf), -f TEXT and -o FILE, or --show FILE");
  if (!options.model.act.empty() || !options.model.kv.empty())
    return usage("imatrix gathers with f32 activations and cache: --act and --kv say nothing here");
  if (const auto layers = parse_layers(options.layers); !layers)
    return usage("{}", layers.error().text);
  if (Outcome found = find_model(options.model.hub, options.model.model); !found) return found;
  return gather(options);
}

}  // namespace

Action add_imatrix(CLI::App& app) {
  auto options = std::make_shared<Options>();
  CLI::Option* model = app.add_option("-m,--model", options->model.model, kModelFile);
  add_hub_options(app, model, options->model.hub);
  add_engine_flags(app, options->model);
  app.get_option("--context")->description("Tokens per chunk (0: 512)");
  app.add_option("-f,--file", options->text, "Text to run (-: stdin)");
  app.add_option("-o,--output", options->out, "File to write");
  app.add_flag("--ids", options->ids, "The file holds token ids instead of text");
  app.add_option("--chunks", options->chunks, "Chunks to run (0: all)");
  app.add_flag("--gram", options->gram, "Also x x^T per input, for --method gptq");
  app.add_option("--layers", options->layers, "Only these layers: 3, or 0-7");
  app.add_option("--gram-memory", options->gram_memory,
                 "MiB of Gram matrices per pass over the text (0: chosen)")
      ->check(CLI::Range(uint32_t(0), uint32_t(1) << 24));
  app.add_flag("--process-output", options->process_output, "The output matrix too");
  app.add_option("--in-file", options->in_file, "Add to what this importance matrix holds");
  app.add_option("--show", options->show, "Print what an importance matrix holds, and end");
  app.add_flag("--json", options->json, "With --show: as JSON");
  return [options] { return imatrix(*options); };
}

}  // namespace pumice::command
