#include "bench_roof.h"

#include <algorithm>

#include "bench.h"

namespace pumice::command {
namespace {

using Json = nlohmann::ordered_json;

std::string cell(const BenchRow& row, const char* key, const char* format) {
  const auto found = row.more.find(key);
  if (found == row.more.end()) return "-";
  return fmt::format(fmt::runtime(format), found->get<double>());
}

}  // namespace

Json roof_json(const bench::Roofs& roofs) {
  Json json = {{"clock", roofs.clock}, {"rows", Json::array()}};
  for (const bench::Roof& roof : roofs.rows) {
    Json row = {{"name", roof.name}, {"unit", roof.unit}, {"how", roof.how}};
    if (roof.measured()) {
      row["per_second"] = roof.rate.median;
      row["interval"] = {roof.rate.low, roof.rate.high};
    }
    json["rows"].push_back(std::move(row));
  }
  json["bytes_per_second"] = roofs.bandwidth();
  return json;
}

std::string roof_line(const bench::Roofs& roofs) {
  std::string text;
  for (const bench::Roof& roof : roofs.rows)
    if (roof.measured())
      text += fmt::format("{}{} {}", text.empty() ? "roof: " : ", ", roof.name,
                          bench::rate_text(roof.rate.median, roof.unit));
  return text;
}

void place_on_roofline(BenchRow& row, const Work& work, const bench::Roofs& roofs) {
  const double seconds = summarise(row.samples).median * 1e-6;
  if (seconds <= 0) return;
  const double bandwidth = roofs.bandwidth();
  const double dots = work.integer_dot ? roofs[bench::RoofKind::Dot] : 0;
  const double arithmetic = dots > 0 ? dots : roofs[bench::RoofKind::Fma];
  if (work.bytes > 0) {
    row.more["gigabytes_per_second"] = work.bytes / seconds * 1e-9;
    if (bandwidth > 0) row.more["roof_percent"] = 100 * work.bytes / seconds / bandwidth;
  }
  if (work.operations > 0) {
    row.more["gigaflops_per_second"] = work.operations / seconds * 1e-9;
    if (arithmetic > 0)
      row.more["arithmetic_percent"] = 100 * work.operations / seconds / arithmetic;
    row.more["arithmetic_roof"] = dots > 0 ? "integer dot" : "fused multiply-add";
  }
  if (work.bytes <= 0 || work.operations <= 0) return;
  row.more["flops_per_byte"] = work.operations / work.bytes;
  if (bandwidth > 0 && arithmetic > 0)
    row.more["bound"] =
        work.operations / work.bytes < arithmetic / bandwidth ? "memory" : "arithmetic";
}

std::vector<std::string> roofline_heads() {
  return {"GB/s", "% of memory", "Gop/s", "% of arithmetic"};
}

std::vector<std::string> roofline_cells(const BenchRow& row) {
  return {cell(row, "gigabytes_per_second", "{:.2f}"), cell(row, "roof_percent", "{:.1f}"),
          cell(row, "gigaflops_per_second", "{:.1f}"), cell(row, "arithmetic_percent", "{:.1f}")};
}

std::string interval_cell(const BenchRow& row) {
  return fmt::format("{:.1f}", 50 * bench::relative_width(summarise(row.samples)));
}

}  // namespace pumice::command
