// What the measurements of `pumice bench` share: the table of its subcommands, and the forms in
// which results leave it.
#pragma once

#include <CLI/CLI.hpp>
#include <span>
#include <string>
#include <vector>

#include "bench_results.h"
#include "command.h"

namespace pumice::command {

/// --json, --csv, --md; without one of them a table for a terminal.
struct BenchFormat {
  bool json = false, csv = false, md = false;
};
void add_format_flags(CLI::App& app, BenchFormat& format);

/// Texts under headings. The first column is text, the others are figures.
struct BenchTable {
  std::vector<std::string> head;
  std::vector<std::vector<std::string>> rows;  ///< each as long as `head`
};

/// The table as aligned columns, as Markdown, or as CSV (fields quoted where they must be).
[[nodiscard]] std::string table_text(const BenchTable& table, const BenchFormat& format);

/// The table and, but for CSV, `notes` below it, one per line.
[[nodiscard]] Outcome write_table(const BenchTable& table, std::span<const std::string> notes,
                                  const BenchFormat& format);

/// The results document (--json), or the table with its notes.
[[nodiscard]] Outcome write_results(const BenchResults& results, const BenchTable& table,
                                    std::span<const std::string> notes, const BenchFormat& format);

/// "repetition 3 of 5: tg128" on stderr where that is a terminal; "" ends it.
void show_step(const std::string& text);

/// "123.4", "0.0123": four significant digits, no exponent between 1e-4 and 1e7.
[[nodiscard]] std::string figure(double value);

// One per file bench_*.cpp: flags on an app, and the action.
[[nodiscard]] Action add_bench_model(CLI::App& app);
[[nodiscard]] Action add_bench_kernels(CLI::App& app);
[[nodiscard]] Action add_bench_shader(CLI::App& app);
[[nodiscard]] Action add_bench_isa(CLI::App& app);
[[nodiscard]] Action add_bench_tune(CLI::App& app);
[[nodiscard]] Action add_bench_compare(CLI::App& app);
[[nodiscard]] Action add_bench_report(CLI::App& app);

}  // namespace pumice::command
