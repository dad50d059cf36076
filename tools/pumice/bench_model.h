// Measuring a model: the cases, the engine that runs them in turn, and what is known of each.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "bench.h"
#include "engine/session/engine.h"
#include "options.h"

namespace pumice::command {

struct BenchModelFlags {
  ModelFlags model;
  std::string synthetic, write;
  std::vector<uint32_t> prompts{512}, generated{128}, depths{0}, sequences{1};
  uint32_t repetitions = 5;
  uint32_t starts = 3;      ///< of each kind, cold and warm, for the time to the first token
  bool no_kernels = false;  ///< no GPU time by kernel family
  bool no_roof = false;
  std::string interleave;  ///< another program's command line; empty = none
  bool interleave_time = false;
  BenchFormat format;
};

/// One row: a prompt read, or tokens written by sequences side by side, at a depth.
struct BenchCase {
  uint32_t prompt = 0;     ///< tokens of a prompt; 0 = tokens are written
  uint32_t generated = 0;  ///< tokens written per sequence
  uint32_t depth = 0;      ///< tokens that are in the cache before
  uint32_t sequences = 1;

  [[nodiscard]] std::string name() const;  ///< "pp512", "tg128 x 4 @ d4096"
  [[nodiscard]] uint32_t tokens() const { return prompt != 0 ? prompt : generated * sequences; }
};

/// Prompts first, by depth. BadArgument: nothing to measure.
[[nodiscard]] Result<std::vector<BenchCase>> cases_of(const BenchModelFlags& flags);

/// One repetition.
struct BenchRun {
  double seconds = 0;
  double host_us = 0;  ///< beside the waits, over all steps
};

/// A loaded model with a set of sequences for every depth, filled once. Ctrl-C: Cancelled.
class ModelBench {
 public:
  /// `load` gets the context, sequences and rows that the cases need.
  [[nodiscard]] static Result<std::unique_ptr<ModelBench>> open(
      LoadOptions load, const std::vector<BenchCase>& cases);
  [[nodiscard]] Engine& engine() { return *engine_; }
  /// Brings the cache to the case's depth (once), then measures.
  [[nodiscard]] Result<BenchRun> run(const BenchCase& one);
  /// A few steps of a case after which every pipeline and page of it exists.
  [[nodiscard]] Result<void> warm_up(const BenchCase& one);
  /// Called after every step of run(); null = not.
  std::function<Result<void>()> after_step;

 private:
  [[nodiscard]] Result<void> fill(const BenchCase& one);
  [[nodiscard]] Result<BenchRun> read_prompt(const BenchCase& one, uint32_t sequence);
  [[nodiscard]] Result<BenchRun> write_tokens(const BenchCase& one, uint32_t first,
                                              uint32_t tokens);
  [[nodiscard]] Result<void> stepped(BenchRun& run);
  [[nodiscard]] uint32_t first_sequence(uint32_t depth) const;

  struct Set {
    uint32_t depth = 0, first = 0, count = 0;
  };
  std::unique_ptr<Engine> engine_;
  std::vector<Set> sets_;
};

/// Device time of one repetition of a case, by kernel family.
struct KernelTimes {
  struct Family {
    std::string name;  ///< "matvec_wide.q4_k"
    double microseconds = 0;
    uint64_t dispatches = 0, weight_bytes = 0;
  };
  std::vector<Family> families;  ///< longest first
  double microseconds = 0;
  uint32_t steps = 0;  ///< that were timed
};

/// By timestamps; the bench was opened with them. Times at most `steps` steps of writing.
[[nodiscard]] Result<KernelTimes> time_kernels(ModelBench& bench, const BenchCase& one);

/// What a step of a case does, on average over a run.
struct CaseWork {
  uint64_t weight_bytes = 0, cache_bytes = 0;  ///< that a step of writing reads
  double flops_per_token = 0;
  uint32_t steps = 1;  ///< of a prompt: each reads the weights once

  /// Operations for each byte of weights and cache, read once a step.
  [[nodiscard]] double flops_per_byte(const BenchCase& one) const;
};
[[nodiscard]] CaseWork work_of(const Engine& engine, const BenchCase& one);

/// Seconds from nothing to the first token of a short prompt: load and all. `cold`: with a pipeline
/// cache folder of its own that is empty; else with the one that a cold start left.
struct StartTimes {
  std::vector<double> cold, warm;
};
[[nodiscard]] Result<StartTimes> time_starts(LoadOptions load, uint32_t starts);

/// Our repetitions of one case and runs of another program in turn (bench_interleave.cpp).
[[nodiscard]] Outcome interleave(const BenchModelFlags& flags, const LoadOptions& load,
                                 const std::vector<BenchCase>& cases);

/// Results with everything but rows filled in.
[[nodiscard]] BenchResults model_results(const BenchModelFlags& flags, Engine& engine);

}  // namespace pumice::command
