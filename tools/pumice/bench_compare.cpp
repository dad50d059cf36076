// `pumice bench compare`: is the new one slower?
#include "bench_compare.h"

#include <algorithm>
#include <charconv>
#include <memory>

#include "bench.h"
#include "output.h"

namespace pumice::command {
namespace {

using Json = nlohmann::ordered_json;

constexpr double kBelieved = 0.95;

struct Options {
  std::string before, after, threshold = "5%";
  BenchFormat format;
};

const BenchRow* find_row(const BenchResults& results, const std::string& name) {
  for (const BenchRow& row : results.rows)
    if (row.name == name) return &row;
  return nullptr;
}

std::string short_text(const Json& value) {
  return printable(value.is_string() ? value.get<std::string>()
                                     : value.dump(-1, ' ', false, Json::error_handler_t::replace),
                   60);
}

/// Keys of two objects that say other things. What must differ (the time) is left out.
void add_differences(const char* part, const Json& before, const Json& after,
                     std::vector<std::string>& out) {
  if (!before.is_object() || !after.is_object()) return;
  for (const auto& [key, value] : after.items()) {
    const auto found = before.find(key);
    if (key == "time" || (found != before.end() && *found == value)) continue;
    out.push_back(fmt::format("{} {}: {}, now {}", part, printable(key, 40),
                              found == before.end() ? "absent" : short_text(*found),
                              short_text(value)));
  }
}

RowChange change_of(const BenchRow& before, const BenchRow& after, double threshold) {
  RowChange row;
  row.name = after.name;
  row.unit = after.unit;
  row.before = summarise(before.samples).median;
  row.after = summarise(after.samples).median;
  row.speed = after.higher_is_better ? ratio_of(before.samples, after.samples)
                                     : ratio_of(after.samples, before.samples);
  row.change = judge(row.speed, threshold);
  row.regression = row.change == Change::Slower && row.speed.value < 1 - threshold;
  return row;
}

Json to_json(const RowChange& row) {
  return {{"name", row.name},
          {"unit", row.unit},
          {"before", row.before},
          {"after", row.after},
          {"speed", row.speed.value},
          {"interval", {row.speed.low, row.speed.high}},
          {"coverage", row.speed.coverage},
          {"verdict", words_of(row.change)},
          {"regression", row.regression}};
}

std::string percent(double ratio) {
  return fmt::format("{:+.1f} %", (ratio - 1) * 100);
}

BenchTable table_of(const Comparison& comparison) {
  BenchTable table{{"row", "unit", "before", "after", "speed", "95 % interval", "verdict"}, {}};
  for (const RowChange& row : comparison.rows) {
    const bool known = row.speed.coverage >= kBelieved;
    table.rows.push_back(
        {printable(row.name, 60), printable(row.unit, 20), figure(row.before), figure(row.after),
         percent(row.speed.value),
         known ? fmt::format("{} .. {}", percent(row.speed.low), percent(row.speed.high))
               : "too few samples",
         row.regression ? "SLOWER" : words_of(row.change)});
  }
  return table;
}

std::vector<std::string> notes_of(const Comparison& comparison, double threshold) {
  std::vector<std::string> notes = comparison.differences;
  for (const std::string& name : comparison.only_before)
    notes.push_back("only before: " + printable(name, 60));
  for (const std::string& name : comparison.only_after)
    notes.push_back("only after: " + printable(name, 60));
  notes.push_back(
      fmt::format("intervals: Hodges-Lehmann ratio with the Mann-Whitney test; SLOWER: beyond the "
                  "threshold of {:.3g} %",
                  threshold * 100));
  return notes;
}

/// "5%", "5" and "0.5 %" to a share.
Result<double> parse_threshold(const std::string& text) {
  double value = 0;
  const char* end = text.data() + text.size();
  auto [at, error] = std::from_chars(text.data(), end, value);
  while (at != end && *at == ' ') ++at;
  if (at != end && *at == '%') ++at;
  if (error != std::errc() || at != end || !(value >= 0 && value < 100))
    return fail(ErrorCode::BadArgument, "--threshold: \"{}\" is no percentage like 5%",
                printable(text, 40));
  return value / 100;
}

Outcome print(const Comparison& comparison, double threshold, const BenchFormat& format) {
  if (format.json) {
    Json json = {{"schema", "pumice-bench-compare"},
                 {"version", kBenchVersion},
                 {"threshold", threshold},
                 {"regression", comparison.regression()},
                 {"differences", comparison.differences},
                 {"only_before", comparison.only_before},
                 {"only_after", comparison.only_after},
                 {"rows", Json::array()}};
    for (const RowChange& row : comparison.rows) json["rows"].push_back(to_json(row));
    return write_json(json);
  }
  return write_table(table_of(comparison), notes_of(comparison, threshold), format);
}

Outcome run(const Options& options) {
  const Result<double> threshold = parse_threshold(options.threshold);
  if (!threshold) return usage("{}", threshold.error().text);
  PUMICE_TRY_ASSIGN(const BenchResults before, read_results(options.before));
  PUMICE_TRY_ASSIGN(const BenchResults after, read_results(options.after));
  PUMICE_TRY_ASSIGN(const Comparison comparison, compare(before, after, *threshold));
  if (Outcome printed = print(comparison, *threshold, options.format); !printed) return printed;
  if (!comparison.regression()) return {};
  std::string slower;
  for (const RowChange& row : comparison.rows)
    if (row.regression)
      slower += fmt::format("{}{} {}", slower.empty() ? "" : ", ", printable(row.name, 60),
                            percent(row.speed.value));
  return tl::unexpected<Failure>(Failure(kRegression, "slower than before: " + slower));
}

}  // namespace

const char* words_of(Change change) {
  constexpr const char* kWords[] = {"faster", "slower", "same", "cannot tell"};
  return kWords[size_t(change)];
}

Change judge(const Ratio& speed, double threshold) {
  if (speed.coverage < kBelieved) return Change::CannotTell;
  if (speed.low >= 1 - threshold && speed.high <= 1 + threshold) return Change::Same;
  if (speed.low > 1) return Change::Faster;
  if (speed.high < 1) return Change::Slower;
  return Change::CannotTell;
}

bool Comparison::regression() const {
  return std::any_of(rows.begin(), rows.end(), [](const RowChange& row) { return row.regression; });
}

Result<Comparison> compare(const BenchResults& before, const BenchResults& after,
                           double threshold) {
  if (before.kind != after.kind)
    return fail(ErrorCode::BadArgument, "results of bench {} and of bench {} cannot be compared",
                printable(before.kind, 40), printable(after.kind, 40));
  Comparison comparison;
  for (const BenchRow& row : after.rows) {
    const BenchRow* old = find_row(before, row.name);
    if (old == nullptr) {
      comparison.only_after.push_back(row.name);
      continue;
    }
    if (old->unit != row.unit || old->higher_is_better != row.higher_is_better)
      return fail(ErrorCode::BadArgument, "row \"{}\" is in {}, before it was in {}",
                  printable(row.name, 60), printable(row.unit, 20), printable(old->unit, 20));
    comparison.rows.push_back(change_of(*old, row, threshold));
  }
  for (const BenchRow& row : before.rows)
    if (!find_row(after, row.name)) comparison.only_before.push_back(row.name);
  if (comparison.rows.empty())
    return fail(ErrorCode::BadArgument, "the two results have no row in common");
  add_differences("machine", before.machine, after.machine, comparison.differences);
  add_differences("device", before.device, after.device, comparison.differences);
  add_differences("build", before.build, after.build, comparison.differences);
  add_differences("subject", before.subject, after.subject, comparison.differences);
  add_differences("option", before.options, after.options, comparison.differences);
  return comparison;
}

Action add_bench_compare(CLI::App& app) {
  auto options = std::make_shared<Options>();
  app.add_option("old", options->before, "Results of bench --json (-: stdin)")->required();
  app.add_option("new", options->after, "Results of the same measurement, later")->required();
  app.add_option("--threshold", options->threshold, "Slower by more than this is exit code 3")
      ->capture_default_str();
  add_format_flags(app, options->format);
  return [options] { return run(*options); };
}

}  // namespace pumice::command
