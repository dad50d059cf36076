// What `pumice quantize` shows: the table of a dry run, the bar while it works, the line at the
// end.
#pragma once

#include <chrono>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "engine/quant/quantise.h"

namespace pumice::command {

/// A line per tensor (name, shape, type before, type after, bytes) and the totals.
[[nodiscard]] std::string plan_text(const GgufFile& model, const quant::QuantisePlan& plan);
[[nodiscard]] nlohmann::ordered_json plan_json(const GgufFile& model,
                                               const quant::QuantisePlan& plan);

/// "636.2 MiB, 4.852 bits per weight, 12.3 s; f32 45, q4_k 135, q6_k 21"
[[nodiscard]] std::string summary_text(const quant::QuantisePlan& plan, double seconds);

/// A line on stderr that is rewritten while the work goes on; nothing where that is no terminal.
class QuantiseBar {
 public:
  QuantiseBar();
  ~QuantiseBar();  ///< clears the line
  QuantiseBar(const QuantiseBar&) = delete;
  QuantiseBar& operator=(const QuantiseBar&) = delete;

  void show(const quant::QuantiseProgress& progress);
  [[nodiscard]] double seconds() const;  ///< since it was made

 private:
  std::chrono::steady_clock::time_point start_, next_;
  bool visible_ = false;
};

}  // namespace pumice::command
