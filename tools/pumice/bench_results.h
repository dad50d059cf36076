// Results of a measurement, and the JSON document in which they are kept: a schema with a version,
// rows with every sample, and what they were measured on.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/result.h"
#include "engine/schedule/capabilities.h"
#include "tools/bench/statistics.h"

namespace pumice::command {

using bench::Ratio;
using bench::ratio_of;
using bench::summarise;
using bench::Summary;

/// What "schema" and "version" of a document say. A change of meaning is a new version.
inline constexpr std::string_view kBenchSchema = "pumice-bench";
inline constexpr uint32_t kBenchVersion = 1;

struct BenchRow {
  std::string name;  ///< "pp512 @ d4096"; unique in its document
  std::string unit;  ///< of the samples: "tokens/s", "ms"
  bool higher_is_better = true;
  std::vector<double> samples;  ///< one per repetition, in order of time
  nlohmann::ordered_json more = nlohmann::ordered_json::object();  ///< what else is known of it
};

struct BenchResults {
  std::string kind;  ///< "model", "kernels", ...
  nlohmann::ordered_json machine, device, build;
  nlohmann::ordered_json subject;  ///< what was measured: a model, a list of kernels
  nlohmann::ordered_json options;
  nlohmann::ordered_json roof;  ///< measured on this device in the same run; null = not measured
  std::vector<BenchRow> rows;
};

/// The commit that was built, "-dirty" behind it where files had changed; "unknown" outside of git.
/// Defined by a file that the build writes (cmake/Commit.cmake).
[[nodiscard]] const char* build_commit();

/// A measurement begins; the share of this machine's processor time that its hypervisor has given
/// to other guests since then, nothing where the system does not tell.
void begin_measurement();
[[nodiscard]] std::optional<double> stolen_share();

/// Results of a kind with machine, build and device filled in.
[[nodiscard]] BenchResults new_results(std::string kind, const Capabilities& caps);

[[nodiscard]] nlohmann::ordered_json to_json(const BenchResults& results);
[[nodiscard]] nlohmann::ordered_json summary_json(const Summary& summary);

/// Reads a document. One line says what is wrong with it: no JSON, no results of ours, another
/// version, a row without a name or samples, samples that are no positive numbers.
[[nodiscard]] Result<BenchResults> parse_results(std::string_view text, const std::string& name);
[[nodiscard]] Result<BenchResults> read_results(const std::string& path);

}  // namespace pumice::command
