// `pumice imatrix --show FILE`.
#include "imatrix.h"

#include <algorithm>
#include <cctype>
#include <nlohmann/json.hpp>
#include <numeric>
#include <string_view>
#include <vector>

#include "engine/quant/importance.h"
#include "output.h"

namespace pumice::command {
namespace {

using quant::ActivationStatistics;

/// One tensor, all its matrices together.
struct Row {
  std::string name;
  const ActivationStatistics* of = nullptr;
  double tokens = 0;         ///< of all experts together
  double sum = 0;            ///< over the channels: E[x^2]
  double top_share = 0;      ///< of the largest 1 % of the channels, at least one
  double largest_ratio = 0;  ///< largest channel over the mean channel
  double spread = 0;         ///< E[m^2] / E[m]^2 over channels m = E[x^2]: 1 = all alike
  uint64_t unseen = 0;       ///< experts without a token
};

/// "blk.2." before "blk.10.": runs of digits compare as numbers.
bool natural_less(std::string_view a, std::string_view b) {
  const auto digits = [](std::string_view text) {
    size_t n = 0;
    while (n < text.size() && std::isdigit(static_cast<unsigned char>(text[n])) != 0) ++n;
    return n;
  };
  while (!a.empty() && !b.empty()) {
    const size_t in_a = digits(a), in_b = digits(b);
    if (in_a != in_b && in_a != 0 && in_b != 0) return in_a < in_b;
    const size_t n = std::max<size_t>(std::min(in_a, in_b), 1);
    if (const int order = a.substr(0, n).compare(b.substr(0, n)); order != 0) return order < 0;
    a.remove_prefix(n);
    b.remove_prefix(n);
  }
  return a.size() < b.size();
}

Row row_of(const std::string& name, const ActivationStatistics& entry) {
  Row row{name, &entry};
  std::vector<double> means(entry.width);
  row.tokens = std::accumulate(entry.counts.begin(), entry.counts.end(), 0.0);
  for (uint64_t m = 0; m < entry.matrices; ++m) {
    if (entry.counts[m] == 0.0f) ++row.unseen;
    for (uint64_t i = 0; i < entry.width; ++i)
      means[i] += double(entry.sum_squares[m * entry.width + i]) / std::max(row.tokens, 1.0);
  }
  std::sort(means.rbegin(), means.rend());
  const size_t top = std::max<size_t>(means.size() / 100, 1);
  row.sum = std::accumulate(means.begin(), means.end(), 0.0);
  if (row.sum == 0.0) return row;
  row.top_share = std::accumulate(means.begin(), means.begin() + ptrdiff_t(top), 0.0) / row.sum;
  const double mean = row.sum / double(means.size());
  row.largest_ratio = means.front() / mean;
  const double squares = std::inner_product(means.begin(), means.end(), means.begin(), 0.0);
  row.spread = squares / double(means.size()) / (mean * mean);
  return row;
}

std::vector<Row> rows_of(const quant::ImportanceMatrix& matrix) {
  std::vector<Row> rows;
  for (const auto& [name, entry] : matrix.tensors) rows.push_back(row_of(name, entry));
  std::sort(rows.begin(), rows.end(),
            [](const Row& a, const Row& b) { return natural_less(a.name, b.name); });
  return rows;
}

std::string table(const quant::ImportanceMatrix& matrix, const std::vector<Row>& rows) {
  std::string text;
  for (const std::string& dataset : matrix.datasets)
    text += fmt::format("text      {}\n", printable(dataset));
  text += fmt::format("chunks    {} of {} tokens\n\n", matrix.chunk_count, matrix.chunk_size);
  text +=
      fmt::format("{:<32} {:>8} {:>7} {:>10} {:>12} {:>7} {:>9} {:>8}  {}\n", "tensor", "channels",
                  "experts", "tokens", "sum E[x^2]", "top 1 %", "max/mean", "spread", "gram");
  for (const Row& row : rows) {
    text += fmt::format("{:<32} {:>8} {:>7} {:>10.0f} {:>12.5g} {:>5.1f} % {:>9.1f} {:>8.2f}  {}",
                        printable(row.name, 64), row.of->width, row.of->matrices, row.tokens,
                        row.sum, 100.0 * row.top_share, row.largest_ratio, row.spread,
                        row.of->gram != nullptr ? "yes" : "-");
    if (row.unseen != 0) text += fmt::format("  {} experts saw no token", row.unseen);
    text += '\n';
  }
  return text;
}

nlohmann::ordered_json document(const quant::ImportanceMatrix& matrix,
                                const std::vector<Row>& rows) {
  nlohmann::ordered_json tensors = nlohmann::ordered_json::array();
  for (const Row& row : rows)
    tensors.push_back({{"name", row.name},
                       {"channels", row.of->width},
                       {"matrices", row.of->matrices},
                       {"tokens", row.tokens},
                       {"sum_mean_squares", row.sum},
                       {"top_percent_share", row.top_share},
                       {"largest_over_mean", row.largest_ratio},
                       {"spread", row.spread},
                       {"experts_without_tokens", row.unseen},
                       {"gram", row.of->gram != nullptr}});
  return {{"datasets", matrix.datasets},
          {"chunk_count", matrix.chunk_count},
          {"chunk_size", matrix.chunk_size},
          {"tensors", tensors}};
}

}  // namespace

Outcome show_importance(const std::string& path, bool json) {
  PUMICE_TRY_ASSIGN(const quant::ImportanceMatrix matrix, quant::read_importance(path));
  const std::vector<Row> rows = rows_of(matrix);
  return json ? write_json(document(matrix, rows)) : write_text(table(matrix, rows));
}

}  // namespace pumice::command
