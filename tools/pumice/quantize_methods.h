// The flags of `pumice quantize` that say how rounding is done, and what they need.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "command.h"
#include "engine/quant/quantise.h"

namespace pumice::command {

struct MethodFlags {
  std::string words;                 ///< of the flag, for CLI11
  std::vector<std::string> methods;  ///< empty: imatrix where a matrix is given, else rtn
  std::string smoothing;             ///< "sq" or nothing
  double smoothing_strength = 0.5;
  double damping = quant::ErrorFeedbackOptions().damping;
  uint32_t sweeps = quant::ErrorFeedbackOptions().sweeps;

  [[nodiscard]] bool has(std::string_view method) const;
};

void add_method_flags(CLI::App& app, MethodFlags& flags);

/// Usage errors: methods that exclude each other or need an importance matrix that is not given.
[[nodiscard]] Outcome check_methods(const MethodFlags& flags, const std::string& importance_path);

/// Error feedback needs Gram matrices: an error that names `path` where there are none.
[[nodiscard]] Outcome check_gram(const MethodFlags& flags,
                                 const quant::ImportanceMatrix& importance,
                                 const std::string& path);

[[nodiscard]] quant::ErrorFeedbackOptions feedback_of(const MethodFlags& flags);

/// What the methods make of the model and its statistics: `importance` is changed where factors
/// are folded, `folding` holds them, `request` points at both.
[[nodiscard]] Outcome apply_methods(const MethodFlags& flags, const GgufFile& model,
                                    const quant::QuantisePlan& plan,
                                    quant::ImportanceMatrix& importance, quant::Folding& folding,
                                    quant::QuantiseRequest& request);

}  // namespace pumice::command
