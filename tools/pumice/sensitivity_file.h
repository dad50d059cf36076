// Sensitivities as JSON: measured once, used for any number of budgets.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "engine/quant/sensitivity.h"

namespace pumice::command {

/// Per tensor and candidate: KLD, whether it was measured, weight error; null where the type does
/// not fit the tensor.
[[nodiscard]] nlohmann::ordered_json sensitivity_json(const quant::Sensitivity& sensitivity,
                                                      const std::string& model);

/// Atomic.
[[nodiscard]] Result<void> write_sensitivity(const quant::Sensitivity& sensitivity,
                                             const std::string& model, const std::string& path);

/// NotFound, or BadFile naming what is wrong: no such file, or one of another model.
[[nodiscard]] Result<quant::Sensitivity> read_sensitivity(const std::string& path,
                                                          const GgufFile& model);

}  // namespace pumice::command
