// What the evaluations of `pumice eval` share: flags, the list of runs of a grid, text and
// reference, and the reports.
#pragma once

#include <chrono>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "command.h"
#include "engine/quant/divergence.h"
#include "engine/quant/reference_file.h"
#include "engine/session/engine.h"
#include "options.h"

namespace pumice::command {

enum class EvalKind { Perplexity, Divergence, Flips, Curve };

struct EvalFlags {
  ModelFlags model;  ///< without act and kv, which are lists here
  std::string reference, file, save_reference, json;
  std::vector<std::string> act{"f32"}, kv{"f32"};
  std::vector<double> temperatures;
  double top_p = 0.95;
  uint32_t chunks = 0, replicates = 1000;
  uint64_t seed = 1;
  bool score_all = false, ids = false;
  bool replies = false;  ///< score_all, but only what the model says itself
};

/// One combination of the grid.
struct NamedRun {
  std::string act, kv;  ///< as given
  RunOptions run;       ///< precisions only; sizes come from the text
};

/// All combinations of --act and --kv; an error names the word that is neither.
[[nodiscard]] Result<std::vector<NamedRun>> grid_of(const EvalFlags& flags);

/// The logits that runs are compared with, and what they are made from.
struct EvalReference {
  std::string name;                ///< for the report
  std::unique_ptr<Engine> engine;  ///< where it runs beside the model
  std::unique_ptr<quant::LogitSource> source;
  double seconds = 0;  ///< that it ran alone before
};

struct EvalTask {
  EvalKind kind = EvalKind::Perplexity;
  EvalFlags flags;
  LoadOptions load;
  std::shared_ptr<const GgufFile> file;  ///< the model's
  std::optional<Tokenizer> tokenizer;
  uint32_t n_vocab = 0;
  quant::EvaluationText text;
  EvalReference reference;
};

/// Opens the model's file, cuts the text, and makes the reference ready where there is to be one.
[[nodiscard]] Result<EvalTask> prepare_evaluation(EvalKind kind, const EvalFlags& flags);

/// What a run measured.
struct EvalRun {
  NamedRun options;
  std::string policy, device;
  quant::Comparison comparison;
  quant::DivergenceStatistics statistics;
};

/// Tables for people: the head, then what the kind asks for.
[[nodiscard]] std::string evaluation_tables(const EvalTask& task, const std::vector<EvalRun>& runs);

/// Tables and JSON to where the flags want them.
[[nodiscard]] Outcome report_evaluation(const EvalTask& task, const std::vector<EvalRun>& runs);

/// Prints `text`, writes `json` to the file of --json, or only `json` for --json -.
[[nodiscard]] Outcome write_report(const std::string& where, const std::string& text,
                                   const nlohmann::ordered_json& json);

/// A bar on stderr where that is a terminal: "running [####    ] 12/40 chunks, 812 positions/s, 9 s
/// left". Nothing elsewhere. False after Ctrl-C.
class ProgressBar {
 public:
  ProgressBar(std::string label, uint64_t per_chunk);
  ~ProgressBar();
  ProgressBar(const ProgressBar&) = delete;
  ProgressBar& operator=(const ProgressBar&) = delete;
  bool show(uint64_t done, uint64_t total);

 private:
  using Clock = std::chrono::steady_clock;
  std::string label_;
  uint64_t per_chunk_;
  bool shown_ = false;
  Clock::time_point start_ = Clock::now(), last_{};
};

// One per file: flags on an app, and the action.
[[nodiscard]] Action add_eval_kind(CLI::App& app, EvalKind kind);
[[nodiscard]] Action add_eval_qa(CLI::App& app);

}  // namespace pumice::command
