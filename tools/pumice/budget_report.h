// What `pumice quantize --budget` shows: the chosen types, the Pareto front as a table and a plot.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <span>
#include <string>

#include "engine/quant/allocate.h"

namespace pumice::command {

/// What was chosen, and among what.
struct BudgetChoice {
  quant::Sensitivity sensitivity;
  quant::Allocation allocation;
  uint64_t budget = 0;             ///< bytes
  std::optional<double> measured;  ///< KLD of the allocation, where an engine was at hand
};

/// A line per tensor (type, bytes, KLD, share of the whole), then the Pareto front.
[[nodiscard]] std::string budget_text(const BudgetChoice& choice);
[[nodiscard]] nlohmann::ordered_json budget_json(const BudgetChoice& choice);

/// KLD against bits per weight, with the chosen point; a whole file, for light and dark.
[[nodiscard]] std::string pareto_svg(const BudgetChoice& choice);

}  // namespace pumice::command
