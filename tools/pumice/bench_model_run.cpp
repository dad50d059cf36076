// Drives an engine through the cases of `pumice bench model`.
#include <algorithm>
#include <bit>
#include <filesystem>

#include "bench_model.h"
#include "engine/base/platform.h"
#include "tools/bench/clock.h"

namespace pumice::command {
namespace {

using bench::Clock;
using bench::seconds_since;

constexpr uint32_t kWarmTokens = 8;

/// Any tokens but the first few, which control.
std::vector<int32_t> some_tokens(const Engine& engine, uint32_t count) {
  const uint32_t vocab = engine.plan().graph.n_vocab;
  std::vector<int32_t> tokens(count);
  for (uint32_t i = 0; i < count; ++i) tokens[i] = int32_t((3 + i * uint64_t{7919}) % vocab);
  return tokens;
}

/// The largest piece that the engine takes in one step.
uint32_t chunk_of(const Engine& engine) {
  return std::bit_floor(std::max(engine.plan().options.max_chunk, 1u));
}

Result<void> check_interrupt() {
  if (interrupts() > 0) return fail(ErrorCode::Cancelled, "interrupted");
  return {};
}

}  // namespace

Result<std::unique_ptr<ModelBench>> ModelBench::open(LoadOptions load,
                                                     const std::vector<BenchCase>& cases) {
  auto bench = std::make_unique<ModelBench>();
  uint32_t context = 0, sequences = 0;
  for (const BenchCase& one : cases) {
    context = std::max(context, one.depth + std::max(one.prompt, one.generated));
    auto set = std::find_if(bench->sets_.begin(), bench->sets_.end(),
                            [&](const Set& known) { return known.depth == one.depth; });
    if (set == bench->sets_.end()) set = bench->sets_.insert(set, Set{one.depth, 0, 0});
    set->count = std::max(set->count, one.sequences);
  }
  for (Set& set : bench->sets_) {
    set.first = sequences;
    sequences += set.count;
  }
  load.run.context = context;
  load.run.max_sequences = sequences;
  PUMICE_TRY_ASSIGN(bench->engine_, Engine::load(load));
  return bench;
}

uint32_t ModelBench::first_sequence(uint32_t depth) const {
  for (const Set& set : sets_)
    if (set.depth == depth) return set.first;
  return 0;
}

// Sequences of a set keep what lies below their depth; only what a run added is forgotten.
Result<void> ModelBench::fill(const BenchCase& one) {
  const uint32_t first = first_sequence(one.depth), chunk = chunk_of(*engine_);
  const std::vector<int32_t> tokens = some_tokens(*engine_, one.depth);
  for (uint32_t s = first; s < first + one.sequences; ++s) {
    engine_->rewind(s, one.depth);
    while (engine_->length(s) < one.depth) {
      PUMICE_TRY(check_interrupt());
      const uint32_t at = engine_->length(s), count = std::min(chunk, one.depth - at);
      PUMICE_TRY(engine_->append(s, std::span(tokens).subspan(at, count)));
    }
  }
  return {};
}

Result<void> ModelBench::stepped(BenchRun& run) {
  run.host_us += engine_->last_host_us();
  if (after_step) PUMICE_TRY(after_step());
  return check_interrupt();
}

Result<BenchRun> ModelBench::read_prompt(const BenchCase& one, uint32_t sequence) {
  const std::vector<int32_t> tokens = some_tokens(*engine_, one.prompt);
  const uint32_t chunk = chunk_of(*engine_);
  std::span<const int32_t> rest = tokens;
  BenchRun run;
  const Clock::time_point start = Clock::now();
  for (; rest.size() > chunk; rest = rest.subspan(chunk)) {
    PUMICE_TRY(engine_->append(sequence, rest.first(chunk)));
    PUMICE_TRY(stepped(run));
  }
  PUMICE_TRY_ASSIGN(const Sampled sampled, engine_->append_and_sample(sequence, rest));
  static_cast<void>(sampled);
  run.seconds = seconds_since(start);
  PUMICE_TRY(stepped(run));
  return run;
}

Result<BenchRun> ModelBench::write_tokens(const BenchCase& one, uint32_t first, uint32_t tokens) {
  std::vector<StepToken> step;
  const std::vector<int32_t> begin = some_tokens(*engine_, one.sequences);
  for (uint32_t i = 0; i < one.sequences; ++i) step.push_back({first + i, begin[i]});
  BenchRun run;
  const Clock::time_point start = Clock::now();
  for (uint32_t t = 0; t < tokens; ++t) {
    if (one.sequences == 1) {
      PUMICE_TRY_ASSIGN(const Sampled next, engine_->append_and_sample(first, {&step[0].token, 1}));
      step[0].token = next.token;
    } else {
      PUMICE_TRY_ASSIGN(const std::vector<Sampled> next, engine_->step(step));
      for (uint32_t i = 0; i < one.sequences; ++i) step[i].token = next[i].token;
    }
    PUMICE_TRY(stepped(run));
  }
  run.seconds = seconds_since(start);
  return run;
}

Result<BenchRun> ModelBench::run(const BenchCase& one) {
  PUMICE_TRY(fill(one));
  const uint32_t first = first_sequence(one.depth);
  return one.prompt != 0 ? read_prompt(one, first) : write_tokens(one, first, one.generated);
}

Result<void> ModelBench::warm_up(const BenchCase& one) {
  PUMICE_TRY(fill(one));
  const uint32_t first = first_sequence(one.depth);
  Result<BenchRun> ran = one.prompt != 0
                             ? read_prompt(one, first)
                             : write_tokens(one, first, std::min(one.generated, kWarmTokens));
  if (!ran) return tl::unexpected<Error>(std::move(ran.error()));
  return {};
}

Result<StartTimes> time_starts(LoadOptions load, uint32_t starts) {
  StartTimes times;
  if (starts == 0) return times;
  std::error_code failed;
  const auto stamp = Clock::now().time_since_epoch().count();
  const std::filesystem::path folder = std::filesystem::temp_directory_path(failed) /
                                       fmt::format("pumice-bench-{:x}", uint64_t(stamp));
  load.run.context = 256;
  load.device.timestamps = false;
  load.device.pipeline_cache = (folder / "pipelines.bin").string();
  const auto first_token = [&](std::vector<double>& out) -> Result<void> {
    PUMICE_TRY(check_interrupt());
    const Clock::time_point start = Clock::now();
    PUMICE_TRY_ASSIGN(const std::unique_ptr<Engine> engine, Engine::load(load));
    PUMICE_TRY_ASSIGN(const Sampled sampled,
                      engine->append_and_sample(0, some_tokens(*engine, kWarmTokens)));
    static_cast<void>(sampled);
    out.push_back(seconds_since(start));
    return {};  // the engine's end writes the cache
  };
  Result<void> done;
  for (uint32_t i = 0; i < starts && done; ++i) {
    std::filesystem::remove_all(folder, failed);
    show_step(fmt::format("start {} of {}", i + 1, starts));
    done = first_token(times.cold);
    if (done) done = first_token(times.warm);
  }
  std::filesystem::remove_all(folder, failed);
  if (!done) return tl::unexpected<Error>(std::move(done.error()));
  return times;
}

}  // namespace pumice::command
