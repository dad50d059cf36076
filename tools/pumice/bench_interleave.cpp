// `pumice bench model --interleave "CMD"`: our repetitions and another program's runs in turn, so
// that both meet the same machine; compared round by round.
#include <cmath>

#include "bench_model.h"
#include "engine/base/platform.h"
#include "engine/base/platform_process.h"
#include "last_number.h"
#include "output.h"
#include "tools/bench/clock.h"

namespace pumice::command {
namespace {

using bench::Clock;
using bench::seconds_since;

/// One of the two that take turns: seconds, or tokens per second.
using Measure = std::function<Result<double>()>;

Result<double> run_other(const std::string& line, bool by_time) {
  const Clock::time_point start = Clock::now();
  PUMICE_TRY_ASSIGN(const CommandOutput output, run_command(line));
  const double seconds = seconds_since(start);
  if (interrupts() > 0) return fail(ErrorCode::Cancelled, "interrupted");
  if (output.exit != 0)
    return fail(ErrorCode::Io, "--interleave: \"{}\" ended with exit code {}", printable(line, 80),
                output.exit);
  if (by_time) return seconds;
  const std::optional<double> number = last_number(output.out);
  if (number && std::isfinite(*number) && *number > 0) return *number;
  return fail(ErrorCode::BadArgument,
              "--interleave: \"{}\" printed no number above zero; let it end with its tokens/s, or "
              "compare whole runs (--interleave-time)",
              printable(line, 80));
}

Result<double> run_whole(const LoadOptions& load, const std::vector<BenchCase>& cases) {
  const Clock::time_point start = Clock::now();
  PUMICE_TRY_ASSIGN(const std::unique_ptr<ModelBench> bench, ModelBench::open(load, cases));
  PUMICE_TRY_ASSIGN(const BenchRun ran, bench->run(cases[0]));
  static_cast<void>(ran);
  return seconds_since(start);
}

struct Rounds {
  std::vector<double> ours, theirs;
};

/// Both once unrecorded; then rounds, each side first in every other one.
Result<Rounds> take_turns(uint32_t rounds, const Measure& ours, const Measure& theirs) {
  Rounds all;
  for (uint32_t r = 0; r <= rounds; ++r) {
    show_step(r == 0 ? "both once, to warm up" : fmt::format("round {} of {}", r, rounds));
    double our_value = 0, their_value = 0;
    const bool first = r % 2 == 0;
    if (first) {
      PUMICE_TRY_ASSIGN(our_value, ours());
    }
    PUMICE_TRY_ASSIGN(their_value, theirs());
    if (!first) {
      PUMICE_TRY_ASSIGN(our_value, ours());
    }
    if (r == 0) continue;
    all.ours.push_back(our_value);
    all.theirs.push_back(their_value);
  }
  return all;
}

BenchTable table_of(const BenchResults& results) {
  BenchTable table{{"side", "unit", "median", "quartiles", "interval", "coverage"}, {}};
  for (const BenchRow& row : results.rows) {
    const Summary summary = summarise(row.samples);
    table.rows.push_back({row.name, row.unit, figure(summary.median),
                          fmt::format("{} .. {}", figure(summary.q1), figure(summary.q3)),
                          fmt::format("{} .. {}", figure(summary.low), figure(summary.high)),
                          fmt::format("{:.1f} %", 100 * summary.coverage)});
  }
  return table;
}

/// Ours, theirs, and how many times as fast ours is, round by round.
void add_rows(BenchResults& results, const std::string& name, const Rounds& rounds, bool by_time) {
  const char* unit = by_time ? "s" : "tokens/s";
  BenchRow ratio{"speed, ours / theirs", "x", true, {}, nlohmann::ordered_json::object()};
  for (size_t i = 0; i < rounds.ours.size(); ++i)
    ratio.samples.push_back(by_time ? rounds.theirs[i] / rounds.ours[i]
                                    : rounds.ours[i] / rounds.theirs[i]);
  const nlohmann::ordered_json none = nlohmann::ordered_json::object();
  results.rows.push_back({"ours: " + name, unit, !by_time, rounds.ours, none});
  results.rows.push_back({"theirs", unit, !by_time, rounds.theirs, none});
  results.rows.push_back(std::move(ratio));
}

}  // namespace

Outcome interleave(const BenchModelFlags& flags, const LoadOptions& load,
                   const std::vector<BenchCase>& cases) {
  if (cases.size() != 1)
    return usage(
        "--interleave compares one row with the command, the flags ask for {}; leave one "
        "with, say, -p 0 -n 128",
        cases.size());
  std::unique_ptr<ModelBench> bench;
  PUMICE_TRY_ASSIGN(bench, ModelBench::open(load, cases));
  BenchResults results = model_results(flags, bench->engine());
  results.kind = "interleave";
  results.options["command"] = flags.interleave;
  results.options["by"] = flags.interleave_time ? "seconds of whole runs" : "tokens/s";
  if (flags.interleave_time) bench.reset();
  const Measure ours = [&]() -> Result<double> {
    if (flags.interleave_time) return run_whole(load, cases);
    PUMICE_TRY_ASSIGN(const BenchRun ran, bench->run(cases[0]));
    return cases[0].tokens() / std::max(ran.seconds, 1e-9);
  };
  const Measure theirs = [&] { return run_other(flags.interleave, flags.interleave_time); };
  const Result<Rounds> rounds = take_turns(flags.repetitions, ours, theirs);
  show_step("");
  if (!rounds) return tl::unexpected<Failure>(Failure(rounds.error()));
  add_rows(results, cases[0].name(), *rounds, flags.interleave_time);
  const Summary ratio = summarise(results.rows.back().samples);
  const std::vector<std::string> notes = {
      "theirs: " + printable(flags.interleave, 200),
      fmt::format("ours is {} times as fast, {} .. {} with {:.1f} % (median of the rounds' ratios)",
                  figure(ratio.median), figure(ratio.low), figure(ratio.high),
                  100 * ratio.coverage)};
  return write_results(results, table_of(results), notes, flags.format);
}

}  // namespace pumice::command
