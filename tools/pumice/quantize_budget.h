// `pumice quantize --budget`: from a size to a type per tensor, measured in the engine.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "budget_report.h"
#include "command.h"
#include "engine/quant/quantise.h"

namespace pumice::command {

struct BudgetFlags {
  std::string budget;  ///< "4.9bpw", "800MiB", "0.62x", or a mix: as many bytes as that takes
  std::string calibration, sensitivity_file, pareto, device;
  std::string thoroughness = "usual";
  std::vector<std::string> types;  ///< to choose from; empty = all that suit
  uint32_t chunks = 0, context = 0;
  bool ids = false;      ///< the calibration file holds token ids
  bool replies = false;  ///< only what the model says counts

  [[nodiscard]] bool given() const { return !budget.empty(); }
};

void add_budget_flags(CLI::App& app, BudgetFlags& flags);

/// Usage errors: a budget without a text, a text without a budget.
[[nodiscard]] Outcome check_budget_flags(const BudgetFlags& flags);

struct BudgetJob {
  std::string in;
  const GgufFile& model;
  uint32_t threads = 0;
  const quant::ErrorFeedbackOptions* feedback = nullptr;  ///< of the file, before any folding
};

/// Measures (or reads what was measured), chooses, writes the files that the flags ask for, and
/// puts the choice into the request as wishes. Without an importance matrix in the request one is
/// gathered from the text, into `importance`.
[[nodiscard]] tl::expected<BudgetChoice, Failure> choose_by_budget(
    const BudgetFlags& flags, const BudgetJob& job, quant::ImportanceMatrix& importance,
    quant::QuantiseRequest& request);

}  // namespace pumice::command
