// `pumice bench`: measurements, their comparison and their plots. The table of its subcommands, and
// the forms in which all of them print.
#include "bench.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <memory>

#include "engine/base/platform.h"
#include "output.h"

namespace pumice::command {
namespace {

struct BenchKind {
  const char* name;
  const char* summary;
  Action (*add)(CLI::App& app);
};

const std::vector<BenchKind>& kinds() {
  static const std::vector<BenchKind> table = {
      {"model", "Prompt and decode speed of a model", add_bench_model},
      {"kernels", "Every kernel: checked, timed, placed under the device's roofs",
       add_bench_kernels},
      {"shader", "A shader of your own, compiled and timed whenever it is saved", add_bench_shader},
      {"isa", "What a GPU's compiler makes of every kernel, without the GPU", add_bench_isa},
      {"tune", "The fastest choices on this device, kept for the engine", add_bench_tune},
      {"compare", "Is the new one slower? (exit code 3)", add_bench_compare},
      {"report", "A page with bars and a roofline", add_bench_report},
  };
  return table;
}

/// Characters of UTF-8 text, which is what a terminal's columns count.
size_t width_of(const std::string& text) {
  return size_t(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0) != 0x80;
  }));
}

std::string csv_field(const std::string& text) {
  if (text.find_first_of(",\"\n\r") == std::string::npos) return text;
  std::string field = "\"";
  for (const char c : text) field += c == '"' ? std::string("\"\"") : std::string(1, c);
  return field + "\"";
}

std::string csv_text(const BenchTable& table) {
  std::string out;
  const auto line = [&](const std::vector<std::string>& cells) {
    for (size_t i = 0; i < cells.size(); ++i) out += (i ? "," : "") + csv_field(cells[i]);
    out += "\n";
  };
  line(table.head);
  for (const auto& row : table.rows) line(row);
  return out;
}

std::string padded(const std::string& text, size_t width, bool left) {
  const std::string gap(width - std::min(width, width_of(text)), ' ');
  return left ? text + gap : gap + text;
}

std::vector<size_t> column_widths(const BenchTable& table) {
  std::vector<size_t> widths;
  for (const std::string& cell : table.head) widths.push_back(std::max<size_t>(width_of(cell), 3));
  for (const auto& row : table.rows)
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], width_of(row[i]));
  return widths;
}

}  // namespace

std::string table_text(const BenchTable& table, const BenchFormat& format) {
  if (format.csv) return csv_text(table);
  const std::vector<size_t> widths = column_widths(table);
  std::string out;
  const auto line = [&](const std::vector<std::string>& cells) {
    std::string text = format.md ? "|" : "";
    for (size_t i = 0; i < cells.size(); ++i) {
      if (format.md) text += " ";
      text += padded(cells[i], widths[i], i == 0) + (format.md ? " |" : "  ");
    }
    while (text.ends_with(' ')) text.pop_back();
    out += text + "\n";
  };
  line(table.head);
  if (format.md) {
    out += "|";
    for (size_t i = 0; i < widths.size(); ++i)
      out += (i == 0 ? ":" : "-") + std::string(widths[i], '-') + (i == 0 ? "-|" : ":|");
    out += "\n";
  }
  for (const auto& row : table.rows) line(row);
  return out;
}

Outcome write_table(const BenchTable& table, std::span<const std::string> notes,
                    const BenchFormat& format) {
  std::string text = table_text(table, format);
  if (!format.csv)
    for (const std::string& note : notes) text += (format.md ? "\n" : "") + note + "\n";
  return write_text(text);
}

Outcome write_results(const BenchResults& results, const BenchTable& table,
                      std::span<const std::string> notes, const BenchFormat& format) {
  constexpr double kDisturbed = 0.02;
  const std::optional<double> stolen = stolen_share();
  if (format.json) {
    nlohmann::ordered_json json = to_json(results);
    if (stolen) json["stolen_share"] = *stolen;
    return write_json(json);
  }
  std::vector<std::string> all(notes.begin(), notes.end());
  if (stolen.value_or(0) > kDisturbed)
    all.push_back(
        fmt::format("the machine's host gave {:.0f} % of its processor time to others meanwhile: "
                    "compare within this run only",
                    100 * *stolen));
  return write_table(table, all, format);
}

void show_step(const std::string& text) {
  if (!is_terminal(Stream::Error)) return;
  fmt::print(stderr, "\r{}\x1b[K", printable(text, 100));
  std::fflush(stderr);
}

std::string figure(double value) {
  if (!std::isfinite(value)) return "-";
  const double size = std::abs(value);
  if (size != 0 && (size < 1e-4 || size >= 1e7)) return fmt::format("{:.3e}", value);
  const int before = size < 1 ? 0 : int(std::log10(size)) + 1;
  const int leading = size > 0 && size < 1 ? int(-std::log10(size)) : 0;  // zeros after the point
  return fmt::format("{:.{}f}", value, std::max(4 - before + leading, 0));
}

void add_format_flags(CLI::App& app, BenchFormat& format) {
  CLI::Option* json = app.add_flag("--json", format.json, "One JSON document, for bench compare");
  CLI::Option* csv = app.add_flag("--csv", format.csv, "Comma-separated values");
  CLI::Option* md = app.add_flag("--md", format.md, "A Markdown table");
  json->excludes(csv)->excludes(md);
  csv->excludes(md);
}

Action add_bench(CLI::App& app) {
  app.require_subcommand(1);
  auto actions = std::make_shared<std::vector<std::pair<CLI::App*, Action>>>();
  for (const BenchKind& kind : kinds()) {
    CLI::App* sub = app.add_subcommand(kind.name, kind.summary);
    sub->option_defaults()->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
    actions->emplace_back(sub, kind.add(*sub));
  }
  return [actions]() -> Outcome {
    for (const auto& [sub, action] : *actions)
      if (sub->parsed()) {
        begin_measurement();
        Outcome done = action();
        if (!done) show_step("");  // what failed has its line to itself
        return done;
      }
    return usage("bench needs one of its subcommands (pumice bench --help)");
  };
}

}  // namespace pumice::command
