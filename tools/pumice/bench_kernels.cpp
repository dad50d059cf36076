// `pumice bench kernels`: the rows of the GPU tests, checked against the reference and timed on
// this device, beside its roofs of the same run.
#include <algorithm>
#include <cstdio>
#include <memory>

#include "bench.h"
#include "bench_roof.h"
#include "engine/base/platform.h"
#include "engine/quant/pattern.h"
#include "engine/session/option_words.h"
#include "options.h"
#include "output.h"
#include "tools/bench/kernel_cases.h"
#include "tools/bench/kernel_times.h"
#include "tools/bench/kernels.h"

namespace pumice::command {
namespace {

using Json = nlohmann::ordered_json;

constexpr uint64_t kMostWeights = uint64_t{1} << 28;  ///< of a --shape
constexpr uint64_t kMostValues = uint64_t{1} << 25;   ///< of its inputs and of its outputs

struct KernelFlags {
  std::string device, without, filter, type, tier, shape;
  double seconds = 3, watchdog_ms = 1e3 * bench::kWatchdogSeconds;
  uint32_t walk_mib = 256;
  bool list = false;
  BenchFormat format;
};

/// "4096x1x14336": rows, columns, row length.
Result<std::optional<bench::MatrixSize>> parse_shape(const std::string& text) {
  if (text.empty()) return std::optional<bench::MatrixSize>();
  bench::MatrixSize size;
  char end = 0;
  const int read = std::sscanf(text.c_str(), "%5ux%5ux%5u%c", &size.m, &size.n, &size.k, &end);
  const auto in_range = [](uint32_t x) { return x >= 1 && x <= 99'999; };
  if (read == 3 && in_range(size.m) && in_range(size.n) && in_range(size.k) &&
      uint64_t{size.m} * size.k <= kMostWeights &&
      uint64_t{size.n} * std::max(size.m, size.k) <= kMostValues)
    return std::optional(size);
  return fail(ErrorCode::BadArgument,
              "--shape \"{}\": rows x columns x row length were expected, as in 4096x1x14336, each "
              "from 1 to 99999, at most 2^28 weights and 2^25 inputs and outputs",
              text);
}

/// What the flags say before any device is opened.
struct Wanted {
  std::optional<bench::MatrixSize> size;
  quant::Pattern pattern;
  CapabilityMask without;
};

Result<Wanted> parse(const KernelFlags& flags) {
  PUMICE_TRY_ASSIGN(const auto size, parse_shape(flags.shape));
  auto pattern = quant::Pattern::compile(flags.filter.empty() ? "." : flags.filter);
  if (!pattern) return fail_in("--filter", std::move(pattern.error()));
  PUMICE_TRY_ASSIGN(const CapabilityMask without, parse_mask(flags.without, "--without"));
  return Wanted{size, std::move(*pattern), without};
}

Result<std::vector<bench::KernelCase>> chosen_cases(const KernelFlags& flags, const Wanted& wanted,
                                                    const Capabilities& caps) {
  std::vector<bench::KernelCase> chosen;
  for (bench::KernelCase& row : bench::kernel_cases(caps, wanted.size)) {
    PUMICE_TRY_ASSIGN(const bool found, wanted.pattern.found_in(row.name));
    if (found && (flags.type.empty() || row.type == flags.type) &&
        (flags.tier.empty() || row.tier.find(flags.tier) != std::string::npos))
      chosen.push_back(std::move(row));
  }
  if (!chosen.empty()) return chosen;
  return fail(ErrorCode::BadArgument,
              "no kernel of {} fits the filter; pumice bench kernels --list names them",
              caps.device_name);
}

Result<std::unique_ptr<vk::Device>> open_device(const KernelFlags& flags, const Wanted& wanted) {
  vk::DeviceOptions options;
  options.select = flags.device;
  options.without = wanted.without;
  options.timestamps = true;
  options.pipeline_statistics = true;
  options.kernels = bench::find_bench_kernel;
  return vk::Device::open(options);
}

Json statistics_json(const bench::KernelStatistics& statistics) {
  Json json = Json::object();
  for (size_t i = 0; i < bench::kStatistics; ++i)
    if (statistics.values[i]) json[statistic_name(bench::Statistic(i))] = *statistics.values[i];
  return json;
}

BenchRow row_of(const test::Case& item, const bench::KernelTimes& times,
                const bench::Roofs& roofs) {
  BenchRow row{item.name, "us", false, times.seconds, Json::object()};
  for (double& sample : row.samples) sample *= 1e6;
  place_on_roofline(
      row, {item.bytes, item.operations, times.pipeline.find(".dot8") != std::string::npos}, roofs);
  row.more["pipeline"] = times.pipeline;
  row.more["dispatches"] = times.dispatches;
  row.more["settled"] = times.settled;
  row.more["cached"] = times.cached;
  row.more["compiler"] = statistics_json(times.statistics);
  return row;
}

std::string statistic_cell(const BenchRow& row, bench::Statistic statistic) {
  const Json& compiler = row.more["compiler"];
  const auto found = compiler.find(statistic_name(statistic));
  return found == compiler.end() ? "-" : fmt::format("{}", found->get<uint64_t>());
}

constexpr bench::Statistic kShown[] = {bench::Statistic::Registers, bench::Statistic::Spilled,
                                       bench::Statistic::Shared, bench::Statistic::Occupancy};

BenchTable table_of(const BenchResults& results) {
  BenchTable table{{"kernel", "us", "+-%"}, {}};
  for (const std::string& head : roofline_heads()) table.head.push_back(head);
  for (const bench::Statistic statistic : kShown)
    table.head.emplace_back(statistic_name(statistic));
  table.head.emplace_back("note");
  for (const BenchRow& row : results.rows) {
    std::vector<std::string> cells{row.name, figure(summarise(row.samples).median),
                                   interval_cell(row)};
    for (std::string& cell : roofline_cells(row)) cells.push_back(std::move(cell));
    for (const bench::Statistic statistic : kShown) cells.push_back(statistic_cell(row, statistic));
    cells.push_back(std::string(row.more["settled"].get<bool>() ? "" : "~") +
                    (row.more["cached"].get<bool>() ? "c" : ""));
    table.rows.push_back(std::move(cells));
  }
  return table;
}

/// What became of the cases that are no rows, and why it ended before the last.
struct Rest {
  std::vector<std::string> refused, failed;  ///< too long for the watchdog; wrong, or no answer
  std::string ended;
};

std::vector<std::string> notes_of(const BenchResults& results, const bench::Roofs& roofs,
                                  double empty_seconds, const Rest& rest) {
  size_t unsettled = 0, cached = 0;
  for (const BenchRow& row : results.rows) {
    unsettled += row.more["settled"].get<bool>() ? 0 : 1;
    cached += row.more["cached"].get<bool>() ? 1 : 0;
  }
  std::vector<std::string> notes{fmt::format(
      "every answer checked; by {}, an empty dispatch of {:.2f} us subtracted; shares of the "
      "roofs that follow",
      roofs.clock, 1e6 * empty_seconds)};
  if (unsettled != 0)
    notes.push_back(
        fmt::format("~ {} of {}: the 95 % interval is still wider than 2 % "
                    "(--seconds repeats for longer)",
                    unsettled, results.rows.size()));
  if (cached != 0)
    notes.push_back(
        fmt::format("c {} of {}: what they read may stay in caches", cached, results.rows.size()));
  for (const std::string& text : rest.refused) notes.push_back("left out: " + text);
  for (const std::string& text : rest.failed) notes.push_back("FAILED: " + text);
  notes.push_back(describe(roofs));
  notes.back().pop_back();
  return notes;
}

Outcome list_cases(const std::vector<bench::KernelCase>& cases) {
  std::string text;
  for (const bench::KernelCase& row : cases) text += row.name + "\n";
  return write_text(text);
}

/// Hours of work are announced.
void announce(size_t cases, double seconds) {
  constexpr size_t kMany = 100;
  if (cases < kMany) return;
  complain(
      fmt::format("{} kernels of up to {:.3g} s and their check each: {:.1f} hours or less; "
                  "--filter, --type, --tier and --shape choose, Ctrl-C prints what is there",
                  cases, seconds, double(cases) * seconds / 3600));
}

/// Measures the cases into `results`. What fails is left out, and does not cost the rows before it.
Rest measure(vk::Device& device, bench::Stopwatch& stopwatch,
             const std::vector<bench::KernelCase>& cases, const bench::KernelEffort& effort,
             const bench::Roofs& roofs, BenchResults& results) {
  Rest rest;
  for (size_t i = 0; i < cases.size(); ++i) {
    if (interrupts() != 0) {
      rest.ended = fmt::format("interrupted after {} of {} kernels", i, cases.size());
      break;
    }
    show_step(fmt::format("{}/{} {}", i + 1, cases.size(), cases[i].name));
    const test::Case item = cases[i].make();
    const auto times = bench::time_case(device, stopwatch, item, effort);
    if (times) {
      results.rows.push_back(row_of(item, *times, roofs));
    } else if (times.error().code == ErrorCode::BadArgument) {
      rest.refused.push_back(times.error().text);
    } else if (times.error().code == ErrorCode::DeviceLost) {
      rest.ended = times.error().text;
      break;
    } else {
      rest.failed.push_back(times.error().text);
    }
  }
  return rest;
}

/// Whatever kept rows from being whole.
Outcome outcome_of(const BenchResults& results, const Rest& rest) {
  if (!rest.ended.empty()) return tl::unexpected(Failure(kFailed, rest.ended));
  if (rest.failed.size() == 1) return tl::unexpected(Failure(kFailed, rest.failed[0]));
  if (!rest.failed.empty())
    return tl::unexpected(Failure(kFailed, fmt::format("{} kernels failed, the first: {}",
                                                       rest.failed.size(), rest.failed[0])));
  if (results.rows.empty()) return tl::unexpected(Failure(kFailed, rest.refused.front()));
  return {};
}

Outcome kernels(const KernelFlags& flags) {
  const auto wanted = parse(flags);
  if (!wanted) return usage("{}", wanted.error().text);
  PUMICE_TRY_ASSIGN(const auto device, open_device(flags, *wanted));
  const Capabilities& caps = device->capabilities();
  PUMICE_TRY_ASSIGN(const auto cases, chosen_cases(flags, *wanted, caps));
  if (flags.list) return list_cases(cases);
  announce(cases.size(), flags.seconds);
  show_step("measuring the roofs");
  PUMICE_TRY_ASSIGN(bench::Stopwatch stopwatch, bench::Stopwatch::create(*device));
  bench::KernelEffort effort;
  effort.effort.seconds = flags.seconds;
  effort.walk = uint64_t{flags.walk_mib} << 20;
  effort.watchdog = flags.watchdog_ms * 1e-3;
  const bench::RoofEffort roof_effort{effort.walk, {.seconds = std::min(flags.seconds, 1.0)}};
  PUMICE_TRY_ASSIGN(const auto roofs, bench::measure_roofs(*device, stopwatch, roof_effort));
  BenchResults results = new_results("kernels", caps);
  results.options = {{"filter", flags.filter},
                     {"shape", flags.shape},
                     {"seconds", flags.seconds},
                     {"walk_bytes", effort.walk},
                     {"without", flags.without}};
  results.roof = roof_json(roofs);
  const Rest rest = measure(*device, stopwatch, cases, effort, roofs, results);
  show_step("");
  const Outcome done = outcome_of(results, rest);
  if (results.rows.empty()) return done;
  const auto notes = notes_of(results, roofs, stopwatch.empty_seconds(), rest);
  if (Outcome written = write_results(results, table_of(results), notes, flags.format); !written)
    return written;
  return done;
}

}  // namespace

Action add_bench_kernels(CLI::App& app) {
  auto flags = std::make_shared<KernelFlags>();
  app.add_option("--filter", flags->filter, "Cases whose name has this regular expression");
  app.add_option("--type", flags->type, "Weights or cache of this type: q4_k");
  app.add_option("--tier", flags->tier, "Kernels of this tier: lane, wide dot8, tile f16");
  app.add_option("--shape", flags->shape, "Matrices of MxNxK alone: rows, columns, row length");
  app.add_option("--device", flags->device, "Index or part of the name (see pumice devices)");
  app.add_option("--without", flags->without,
                 "Capabilities to leave unused: fp16,dot8,subgroup,coopmat,texel");
  app.add_option("--seconds", flags->seconds, "Longest time per case")
      ->check(CLI::Range(0.01, 600.0))
      ->capture_default_str();
  app.add_option("--walk", flags->walk_mib, "MiB of weights read before any is read again")
      ->check(CLI::Range(1u, 1u << 16))
      ->capture_default_str();
  app.add_option("--watchdog", flags->watchdog_ms, "Refuse dispatches that last longer, in ms")
      ->check(CLI::Range(1.0, 1e6))
      ->capture_default_str();
  app.add_flag("--list", flags->list, "Name the cases and stop");
  add_format_flags(app, flags->format);
  return [flags]() -> Outcome {
    count_interrupts();
    return kernels(*flags);
  };
}

}  // namespace pumice::command
