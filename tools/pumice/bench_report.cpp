// `pumice bench report`: results as one page with bars and a roofline, nothing beside it.
#include <algorithm>
#include <cmath>
#include <map>
#include <memory>

#include "bench.h"
#include "engine/base/platform_file.h"
#include "html.h"
#include "output.h"
#include "plot.h"

namespace pumice::command {
namespace {

using Json = nlohmann::ordered_json;

constexpr size_t kMostBars = 24;  // groups that one plot has room for
constexpr size_t kMostFamilies = 7;

struct Options {
  std::string page;
  std::vector<std::string> inputs;
};

/// One results file, with a short name that tells it from the others.
struct Input {
  std::string name;
  BenchResults results;
};

double number_of(const Json& object, const char* key) {
  if (!object.is_object()) return NAN;
  const auto found = object.find(key);
  return found != object.end() && found->is_number() ? found->get<double>() : NAN;
}

std::string text_of(const Json& object, const char* key) {
  if (!object.is_object()) return {};
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

std::string figure_of(const std::string& svg, const std::string& caption) {
  return fmt::format("<figure>\n{}<figcaption>{}</figcaption>\n</figure>\n", svg,
                     escape_markup(caption));
}

/// Everything that an object says, as a list of names and values.
std::string facts_of(const BenchResults& results) {
  std::string out = "<dl>\n";
  const std::pair<const char*, const Json*> parts[] = {{"", &results.subject},
                                                       {"device ", &results.device},
                                                       {"machine ", &results.machine},
                                                       {"build ", &results.build},
                                                       {"option ", &results.options}};
  for (const auto& [prefix, part] : parts) {
    if (!part->is_object()) continue;
    for (const auto& [key, value] : part->items()) {
      const std::string text = value.is_string()
                                   ? value.get<std::string>()
                                   : value.dump(-1, ' ', false, Json::error_handler_t::replace);
      out += fmt::format("<dt>{}</dt><dd>{}</dd>\n", escape_markup(prefix + printable(key, 60)),
                         escape_markup(printable(text, 300)));
    }
  }
  return out + "</dl>\n";
}

std::string table_of(const BenchResults& results) {
  const std::vector<std::string> head = {"row",      "unit", "median", "quartiles",
                                         "interval", "with", "samples"};
  std::vector<std::vector<std::string>> rows;
  for (const BenchRow& row : results.rows) {
    const Summary s = summarise(row.samples);
    rows.push_back({printable(row.name, 80), printable(row.unit, 20), figure(s.median),
                    fmt::format("{} .. {}", figure(s.q1), figure(s.q3)),
                    fmt::format("{} .. {}", figure(s.low), figure(s.high)),
                    fmt::format("{:.1f} %", 100 * s.coverage), fmt::format("{}", s.n)});
  }
  return html_table(head, rows);
}

/// The names of rows with a unit, in the order in which the inputs have them.
std::vector<std::string> names_with(const std::vector<Input>& inputs, const std::string& unit) {
  std::vector<std::string> names;
  for (const Input& input : inputs)
    for (const BenchRow& row : input.results.rows)
      if (row.unit == unit && std::find(names.begin(), names.end(), row.name) == names.end())
        names.push_back(row.name);
  return names;
}

/// Names as they fit under bars: without the words that all begin with, and with their end, which
/// tells more apart than their beginning.
std::vector<std::string> short_names(std::vector<std::string> names) {
  constexpr size_t kRoom = 22;
  size_t common = names.size() > 1 ? names.front().size() : 0;
  for (const std::string& name : names) {
    const auto [a, b] = std::ranges::mismatch(name, names.front());
    common = std::min(common, size_t(a - name.begin()));
  }
  const size_t blank = names.empty() ? 0 : names.front().substr(0, common).rfind(' ') + 1;
  for (std::string& name : names) {
    name.erase(0, blank);
    if (name.size() > kRoom) name = "..." + name.substr(name.size() - kRoom + 3);
  }
  return names;
}

/// Bars of all rows of a unit; a colour per input.
std::string bars_of(const std::vector<Input>& inputs, const std::string& unit) {
  const std::vector<std::string> names = names_with(inputs, unit);
  std::string out;
  for (size_t first = 0; first < names.size(); first += kMostBars) {
    const size_t count = std::min(kMostBars, names.size() - first);
    const std::vector<std::string> groups(names.begin() + ptrdiff_t(first),
                                          names.begin() + ptrdiff_t(first + count));
    std::vector<PlotSeries> series;
    for (const Input& input : inputs) {
      PlotSeries one;
      one.name = input.name;
      one.y.assign(count, NAN);
      one.error.assign(count, 0);
      for (const BenchRow& row : input.results.rows)
        for (size_t g = 0; g < count; ++g)
          if (row.name == groups[g] && row.unit == unit) {
            const Summary s = summarise(row.samples);
            one.y[g] = s.median;
            one.error[g] = (s.high - s.low) / 2;
          }
      series.push_back(std::move(one));
    }
    out +=
        figure_of(bar_plot("Medians in " + unit, short_names(groups), {unit, false, true}, series),
                  "Medians; a whisker is as long as the interval, half of it to each side.");
  }
  return out;
}

std::vector<std::string> units_of(const std::vector<Input>& inputs) {
  std::vector<std::string> units;
  for (const Input& input : inputs)
    for (const BenchRow& row : input.results.rows)
      if (std::find(units.begin(), units.end(), row.unit) == units.end()) units.push_back(row.unit);
  return units;
}

/// Shares of a row's time by kernel family; no object where there are none.
std::map<std::string, double> families_of(const BenchRow& row) {
  std::map<std::string, double> shares;
  const auto gpu = row.more.find("gpu");
  if (gpu == row.more.end() || !gpu->is_object()) return shares;
  const auto families = gpu->find("families");
  if (families == gpu->end() || !families->is_array()) return shares;
  for (const Json& family : *families)
    shares[text_of(family, "name")] = 100 * number_of(family, "share");
  return shares;
}

/// Where the device's time goes, by row.
std::string kernels_of(const BenchResults& results) {
  std::vector<std::string> groups;
  std::map<std::string, double> totals;
  std::vector<std::map<std::string, double>> shares;
  for (const BenchRow& row : results.rows) {
    auto own = families_of(row);
    if (own.empty() || groups.size() == kMostBars) continue;
    groups.push_back(row.name);
    for (const auto& [name, share] : own)
      if (std::isfinite(share)) totals[name] += share;
    shares.push_back(std::move(own));
  }
  if (groups.empty()) return {};
  std::vector<std::pair<double, std::string>> order;
  for (const auto& [name, total] : totals) order.emplace_back(-total, name);
  std::sort(order.begin(), order.end());
  std::vector<PlotSeries> series;
  for (size_t f = 0; f < std::min(order.size(), kMostFamilies); ++f) {
    PlotSeries one;
    one.name = order[f].second;
    for (const auto& own : shares) {
      const auto found = own.find(one.name);
      one.y.push_back(found == own.end() ? NAN : found->second);
    }
    series.push_back(std::move(one));
  }
  return figure_of(
      bar_plot("Device time by kernel", groups, {"% of device time", false, true}, series),
      "Device time by kernel family, of the families that take most.");
}

struct RoofLine {
  std::string name;
  double per_second = 0;  ///< GB/s or Gop/s
  bool bytes = false;
};

/// What `roof` of a file says: a list of {name, unit, per_second}.
std::vector<RoofLine> roof_of(const BenchResults& results) {
  std::vector<RoofLine> lines;
  if (!results.roof.is_object()) return lines;
  const auto rows = results.roof.find("rows");
  if (rows == results.roof.end() || !rows->is_array()) return lines;
  for (const Json& row : *rows) {
    const double rate = number_of(row, "per_second") * 1e-9;
    if (std::isfinite(rate) && rate > 0)
      lines.push_back({text_of(row, "name"), rate, text_of(row, "unit") == "B/s"});
  }
  return lines;
}

/// Rows as points over operations per byte, under the roofs where they were measured.
std::string roofline_of(const BenchResults& results) {
  PlotSeries points;
  points.name = "measured";
  points.points = true;
  for (const BenchRow& row : results.rows) {
    const double x = number_of(row.more, "flops_per_byte");
    const double y = number_of(row.more, "gigaflops_per_second");
    if (!(x > 0) || !(y > 0)) continue;
    points.x.push_back(x);
    points.y.push_back(y);
  }
  if (points.x.empty()) return {};
  const std::vector<RoofLine> roofs = roof_of(results);
  double bandwidth = 0;
  for (const RoofLine& roof : roofs)
    if (roof.bytes) bandwidth = std::max(bandwidth, roof.per_second);
  const auto [least, most] = std::minmax_element(points.x.begin(), points.x.end());
  const double low = *least / 4, high = std::max(*most * 4, *least * 100);
  std::vector<PlotSeries> series = {points};
  for (const RoofLine& roof : roofs) {
    if (roof.bytes || bandwidth <= 0) continue;
    PlotSeries line;
    line.name = roof.name;
    const double ridge = std::clamp(roof.per_second / bandwidth, low, high);
    for (const double x : {low, ridge, high}) {
      line.x.push_back(x);
      line.y.push_back(std::min(x * bandwidth, roof.per_second));
    }
    series.push_back(std::move(line));
  }
  return figure_of(
      line_plot("Roofline", {"operations per byte", true, false}, {"Gop/s", true, false}, series),
      bandwidth > 0
          ? "Every row under the roofs that this device reached in the same run: memory to the "
            "left of the bend, arithmetic to the right."
          : "Operations per byte and per second of every row. The device's roof was not measured "
            "in this run, so none is drawn.");
}

std::string page_of(const std::vector<Input>& inputs) {
  std::string body = "<header>\n<h1>Speed</h1>\n</header>\n<section>\n<div class=\"figures\">\n";
  for (const std::string& unit : units_of(inputs)) body += bars_of(inputs, unit);
  body += "</div>\n</section>\n";
  for (const Input& input : inputs) {
    body += fmt::format("<section>\n<h2>{}</h2>\n", escape_markup(input.name)) +
            facts_of(input.results);
    const std::string figures = kernels_of(input.results) + roofline_of(input.results);
    if (!figures.empty()) body += "<div class=\"figures\">\n" + figures + "</div>\n";
    body += table_of(input.results) + "</section>\n";
  }
  return html_page("Speed", body);
}

Result<void> write_page(const Options& options) {
  std::vector<Input> inputs;
  for (const std::string& path : options.inputs) {
    if (same_file(options.page, path))
      return fail(ErrorCode::BadArgument, "{}: that is an input of this command", path);
    Input input;
    PUMICE_TRY_ASSIGN(input.results, read_results(path));
    input.name = printable(std::filesystem::path(path).filename().string(), 60);
    inputs.push_back(std::move(input));
  }
  PUMICE_TRY_ASSIGN(const auto file, NewFile::create(options.page));
  const std::string page = page_of(inputs);
  PUMICE_TRY(file->write(std::as_bytes(std::span(page))));
  return file->finish();
}

Outcome run(const Options& options) {
  PUMICE_TRY(write_page(options));
  return {};
}

}  // namespace

Action add_bench_report(CLI::App& app) {
  auto options = std::make_shared<Options>();
  app.add_option("page", options->page, "Page to write (HTML)")->required();
  app.add_option("results", options->inputs, "Results of bench --json, one file or several")
      ->required()
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  return [options] { return run(*options); };
}

}  // namespace pumice::command
