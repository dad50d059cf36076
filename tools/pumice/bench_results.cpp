#include "bench_results.h"

#include <cmath>
#include <set>

#include "output.h"
#include "read_text.h"

namespace pumice::command {
namespace {

using Json = nlohmann::ordered_json;

// Above any run (bench kernels: 400 samples of each of 800 rows, or fewer): they bound the work of
// comparing two hostile files.
constexpr size_t kMostRows = 2000, kMostSamples = 1000, kMostInAll = 400'000;

Json to_json(const BenchRow& row) {
  Json json = {{"name", row.name},
               {"unit", row.unit},
               {"higher_is_better", row.higher_is_better},
               {"samples", row.samples}};
  json.update(summary_json(summarise(row.samples)));
  json.update(row.more);
  return json;
}

/// Keys that BenchRow has fields for, or that follow from the samples.
bool is_own_key(const std::string& key) {
  static const std::set<std::string> own = {"name",     "unit",     "higher_is_better",
                                            "samples",  "median",   "quartiles",
                                            "interval", "coverage", "n"};
  return own.contains(key);
}

std::string text_of(const Json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

Result<std::vector<double>> parse_samples(const Json& row) {
  const auto samples = row.find("samples");
  if (samples == row.end() || !samples->is_array() || samples->empty())
    return fail(ErrorCode::BadFile, "it has no samples");
  if (samples->size() > kMostSamples)
    return fail(ErrorCode::BadFile, "it has {} samples, the limit is {}", samples->size(),
                kMostSamples);
  std::vector<double> values;
  for (const Json& sample : *samples) {
    const double value = sample.is_number() ? sample.get<double>() : 0.0;
    if (!std::isfinite(value) || value <= 0)
      return fail(ErrorCode::BadFile, "sample {} is no positive number", values.size());
    values.push_back(value);
  }
  return values;
}

Result<BenchRow> parse_row(const Json& json) {
  if (!json.is_object()) return fail(ErrorCode::BadFile, "it is no object");
  BenchRow row;
  row.name = text_of(json, "name");
  row.unit = text_of(json, "unit");
  if (row.name.empty()) return fail(ErrorCode::BadFile, "it has no name");
  if (const auto better = json.find("higher_is_better"); better != json.end()) {
    if (!better->is_boolean())
      return fail(ErrorCode::BadFile, "higher_is_better is neither true nor false");
    row.higher_is_better = better->get<bool>();
  }
  PUMICE_TRY_ASSIGN(row.samples, parse_samples(json));
  for (const auto& [key, value] : json.items())
    if (!is_own_key(key)) row.more[key] = value;
  return row;
}

/// The words for a document that cannot be used.
Result<void> check_schema(const Json& json, const std::string& name) {
  if (!json.is_object() || text_of(json, "schema") != kBenchSchema)
    return fail(ErrorCode::BadFile, "{}: no results of pumice bench (write some with --json)",
                name);
  const auto version = json.find("version");
  if (version != json.end() && version->is_number_unsigned() &&
      version->get<uint64_t>() == kBenchVersion)
    return {};
  return fail(ErrorCode::BadFile,
              "{}: results of version {}, this program reads version {}; measure again with it",
              name, version == json.end() ? "none" : printable(version->dump(), 20), kBenchVersion);
}

Json part_of(const Json& json, const char* key) {
  const auto found = json.find(key);
  return found != json.end() ? *found : Json();
}

}  // namespace

Json summary_json(const Summary& summary) {
  return {{"n", summary.n},
          {"median", summary.median},
          {"quartiles", {summary.q1, summary.q3}},
          {"interval", {summary.low, summary.high}},
          {"coverage", summary.coverage}};
}

Json to_json(const BenchResults& results) {
  Json json = {{"schema", kBenchSchema},
               {"version", kBenchVersion},
               {"kind", results.kind},
               {"machine", results.machine},
               {"device", results.device},
               {"build", results.build},
               {"subject", results.subject},
               {"options", results.options},
               {"statistics",
                "median; interval for the median from order statistics, with its "
                "coverage (95 % from 6 samples on)"}};
  if (!results.roof.is_null()) json["roof"] = results.roof;
  json["rows"] = Json::array();
  for (const BenchRow& row : results.rows) json["rows"].push_back(to_json(row));
  return json;
}

Result<BenchResults> parse_results(std::string_view text, const std::string& name) {
  const Json json = Json::parse(text, nullptr, false);
  if (json.is_discarded()) return fail(ErrorCode::BadFile, "{}: this is no JSON", name);
  PUMICE_TRY(check_schema(json, name));
  BenchResults results;
  results.kind = text_of(json, "kind");
  const std::pair<const char*, Json BenchResults::*> parts[] = {
      {"machine", &BenchResults::machine}, {"device", &BenchResults::device},
      {"build", &BenchResults::build},     {"subject", &BenchResults::subject},
      {"options", &BenchResults::options}, {"roof", &BenchResults::roof}};
  for (const auto& [key, part] : parts) results.*part = part_of(json, key);
  const auto rows = json.find("rows");
  if (rows == json.end() || !rows->is_array() || rows->size() > kMostRows)
    return fail(ErrorCode::BadFile, "{}: it has no list of at most {} rows", name, kMostRows);
  std::set<std::string> names;
  size_t samples = 0;
  for (const Json& one : *rows) {
    Result<BenchRow> row = parse_row(one);
    if (!row)
      return fail_in(fmt::format("{}: row {}", name, results.rows.size()), std::move(row.error()));
    samples += row->samples.size();
    if (samples > kMostInAll)
      return fail(ErrorCode::BadFile, "{}: it has more than {} samples", name, kMostInAll);
    if (!names.insert(row->name).second)
      return fail(ErrorCode::BadFile, "{}: row \"{}\" appears twice", name,
                  printable(row->name, 60));
    results.rows.push_back(std::move(*row));
  }
  return results;
}

Result<BenchResults> read_results(const std::string& path) {
  PUMICE_TRY_ASSIGN(const std::string text, read_text(path));
  return parse_results(text, path);
}

}  // namespace pumice::command
