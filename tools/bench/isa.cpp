// Names, text form and comparison of compiler statistics.
#include "tools/bench/isa.h"

#include <algorithm>
#include <charconv>

#include "loader/printable.h"

namespace pumice::bench {
namespace {

constexpr std::string_view kHeader = "# pumice bench isa, version 1";
constexpr const char* kNames[kStatistics] = {"registers", "scalars", "spilled",  "scratch",
                                             "shared",    "code",    "occupancy"};

/// What a driver calls a statistic; values of one row add up (several kinds of spills).
struct DriverName {
  std::string_view name;
  Statistic statistic;
};

constexpr DriverName kDriverNames[] = {
    // RADV
    {"VGPRs", Statistic::Registers},
    {"SGPRs", Statistic::Scalars},
    {"Spilled VGPRs", Statistic::Spilled},
    {"Spilled SGPRs", Statistic::Spilled},
    {"Scratch size", Statistic::Scratch},
    {"LDS size", Statistic::Shared},
    {"Code size", Statistic::Code},
    {"Subgroups per SIMD", Statistic::Occupancy},
    // Intel's Mesa driver
    {"Spill Count", Statistic::Spilled},
    {"Scratch Memory Size", Statistic::Scratch},
    {"Workgroup Memory Size", Statistic::Shared},
    // NVIDIA
    {"Register Count", Statistic::Registers},
    {"Binary Size", Statistic::Code},
    {"Local Memory Size", Statistic::Scratch},
    {"Shared Memory Size", Statistic::Shared},
};

struct Tolerance {
  Statistic statistic;
  uint64_t absolute;
  double relative;
};

constexpr Tolerance kTolerances[] = {
    {Statistic::Registers, 4, 0.10},
    {Statistic::Shared, 0, 0},
    {Statistic::Code, 0, 0.15},
    {Statistic::Occupancy, 0, 0},
};

std::string_view next_field(std::string_view& rest, char end) {
  const size_t at = std::min(rest.find(end), rest.size());
  const std::string_view field = rest.substr(0, at);
  rest.remove_prefix(std::min(at + 1, rest.size()));
  return field;
}

/// "-" or a number.
bool parse_value(std::string_view field, std::optional<uint64_t>& value) {
  if (field == "-") return true;
  uint64_t number = 0;
  const auto end = field.data() + field.size();
  const auto [stop, error] = std::from_chars(field.data(), end, number);
  value = number;
  return error == std::errc{} && stop == end;
}

Result<void> parse_row(std::string_view line, size_t number, IsaTable& table) {
  const std::string name(next_field(line, '\t'));
  KernelStatistics row;
  for (size_t i = 0; i < kStatistics; ++i) {
    const std::string_view field = next_field(line, '\t');
    if (!parse_value(field, row.values[i]))
      return fail(ErrorCode::BadFile, "line {}: {} of {} is \"{}\"; a number or - was expected",
                  number, kNames[i], printable(name), printable(field, 40));
  }
  if (name.empty() || !line.empty() || !table.rows.emplace(name, row).second)
    return fail(ErrorCode::BadFile, "line {}: not one row of {} fields with a name of its own",
                number, kStatistics + 1);
  return {};
}

bool drifts(const Tolerance& tolerance, uint64_t before, uint64_t now) {
  const uint64_t change = before > now ? before - now : now - before;
  return change > tolerance.absolute && double(change) > tolerance.relative * double(before);
}

void compare_row(const std::string& kernel, const KernelStatistics& before,
                 const KernelStatistics& now, bool same_driver, IsaDifference& out) {
  for (const Statistic spill : {Statistic::Spilled, Statistic::Scratch}) {
    const uint64_t was = before[spill].value_or(0), is = now[spill].value_or(0);
    if (is > was)
      out.failures.push_back(
          fmt::format("{}: {} went from {} to {}", kernel, kNames[size_t(spill)], was, is));
    else if (is < was)
      out.reports.push_back(
          fmt::format("{}: {} fell from {} to {}", kernel, kNames[size_t(spill)], was, is));
  }
  if (!same_driver) return;
  for (const Tolerance& tolerance : kTolerances) {
    const auto &was = before[tolerance.statistic], &is = now[tolerance.statistic];
    if (was && is && drifts(tolerance, *was, *is))
      out.reports.push_back(fmt::format("{}: {} went from {} to {}", kernel,
                                        kNames[size_t(tolerance.statistic)], *was, *is));
  }
}

}  // namespace

const char* statistic_name(Statistic statistic) {
  return kNames[size_t(statistic)];
}

std::map<std::string, KernelStatistics> neutral_statistics(
    std::span<const vk::PipelineStatistic> rows) {
  std::map<std::string, KernelStatistics> kernels;
  for (const vk::PipelineStatistic& row : rows) {
    KernelStatistics& kernel = kernels[row.kernel];
    for (const DriverName& known : kDriverNames) {
      if (known.name != row.name) continue;
      auto& value = kernel.values[size_t(known.statistic)];
      value = value.value_or(0) + uint64_t(std::max(row.value, 0.0));
    }
  }
  return kernels;
}

Result<IsaTable> compile_table(vk::Device& device, const std::string& gpu) {
  PUMICE_TRY_ASSIGN(const std::vector<Dispatch> list, picked_kernels(device.capabilities()));
  PUMICE_TRY(device.prepare(list));
  PUMICE_TRY_ASSIGN(const auto statistics, device.pipeline_statistics());
  IsaTable table{gpu, device.capabilities().driver_name, neutral_statistics(statistics)};
  if (table.rows.size() == list.size()) return table;
  return fail(ErrorCode::Driver, "{}: {} pipelines were compiled, and it reports on {}",
              device.capabilities().device_name, list.size(), table.rows.size());
}

std::string table_text(const IsaTable& table) {
  std::string text =
      fmt::format("{}\n# gpu {}\n# driver {}\nkernel", kHeader, table.gpu, table.driver);
  for (const char* name : kNames) text += fmt::format("\t{}", name);
  text += '\n';
  for (const auto& [kernel, row] : table.rows) {
    text += kernel;
    for (const auto& value : row.values)
      text += value ? fmt::format("\t{}", *value) : std::string("\t-");
    text += '\n';
  }
  return text;
}

Result<IsaTable> parse_table(std::string_view text) {
  IsaTable table;
  if (const std::string_view first = next_field(text, '\n'); first != kHeader)
    return fail(ErrorCode::BadFile,
                "the first line is \"{}\"; \"{}\" was expected: write it again with --update",
                printable(first), kHeader);
  for (size_t number = 2; !text.empty(); ++number) {
    const std::string_view line = next_field(text, '\n');
    if (line.starts_with("# gpu ")) table.gpu = line.substr(6);
    if (line.starts_with("# driver ")) table.driver = line.substr(9);
    if (line.empty() || line.starts_with('#') || line.starts_with("kernel\t")) continue;
    PUMICE_TRY(parse_row(line, number, table));
  }
  return table;
}

IsaDifference compare(const IsaTable& before, const IsaTable& now) {
  IsaDifference out;
  const bool same_driver = before.driver == now.driver;
  if (!same_driver)
    out.reports.push_back(fmt::format("the table is of {}, this is {}: only spills are compared",
                                      before.driver, now.driver));
  for (const auto& [kernel, row] : before.rows) {
    const auto found = now.rows.find(kernel);
    if (found == now.rows.end())
      out.failures.push_back(fmt::format("{}: in the table, and nothing picks it now", kernel));
    else
      compare_row(kernel, row, found->second, same_driver, out);
  }
  for (const auto& [kernel, row] : now.rows) {
    if (before.rows.contains(kernel)) continue;
    compare_row(kernel, {}, row, false, out);
    out.reports.push_back(fmt::format("{}: new, not in the table", kernel));
  }
  return out;
}

}  // namespace pumice::bench
