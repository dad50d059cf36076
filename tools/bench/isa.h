// Compiler statistics of pipelines in one form for every vendor, as a table that can be kept in a
// file, read again and compared.
#pragma once

#include <array>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/vk/device.h"

namespace pumice::bench {

enum class Statistic : uint8_t {
  Registers,  ///< per lane
  Scalars,    ///< registers per subgroup, where the architecture has any
  Spilled,    ///< registers that did not fit, of either kind
  Scratch,    ///< bytes of memory per lane that take their place
  Shared,     ///< bytes of memory per workgroup
  Code,       ///< bytes
  Occupancy,  ///< subgroups that one execution unit holds at a time
};
inline constexpr size_t kStatistics = 7;

[[nodiscard]] const char* statistic_name(Statistic statistic);  ///< "registers"

/// Of one pipeline; what its driver does not say is absent.
struct KernelStatistics {
  std::array<std::optional<uint64_t>, kStatistics> values;
  [[nodiscard]] const std::optional<uint64_t>& operator[](Statistic statistic) const {
    return values[size_t(statistic)];
  }
};

struct IsaTable {
  std::string gpu, driver;
  std::map<std::string, KernelStatistics> rows;  ///< by "kernel[constants]"
};

/// Translates what drivers call their statistics.
[[nodiscard]] std::map<std::string, KernelStatistics> neutral_statistics(
    std::span<const vk::PipelineStatistic> rows);

/// Every pipeline that the kernel table picks, on a device with these capabilities, for models of
/// every architecture, weight type, activation precision and cache format: once each, by name.
[[nodiscard]] Result<std::vector<Dispatch>> picked_kernels(const Capabilities& caps);

/// Compiles them. The device was opened with `pipeline_statistics`.
[[nodiscard]] Result<IsaTable> compile_table(vk::Device& device, const std::string& gpu);

/// Tab-separated, one pipeline a line.
[[nodiscard]] std::string table_text(const IsaTable& table);
/// Reads it; BadFile names the line.
[[nodiscard]] Result<IsaTable> parse_table(std::string_view text);

struct IsaDifference {
  std::vector<std::string> failures;  ///< a new spill, a pipeline that is gone
  std::vector<std::string> reports;   ///< other changes beyond the tolerance, new pipelines
};

/// Registers may change by 4 or 10 %, code by 15 %; shared memory and occupancy not at all. That is
/// only said for tables of one driver: another's compiler differs everywhere.
[[nodiscard]] IsaDifference compare(const IsaTable& before, const IsaTable& now);

}  // namespace pumice::bench
