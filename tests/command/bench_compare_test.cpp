// `pumice bench compare`: verdicts, exit codes, and files that are no results.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "bench_support.h"
#include "shell.h"

namespace pumice::test {
namespace {

using nlohmann::json;

TEST(BenchCompare, VerdictsAndExitCodes) {
  const std::vector<double> base = {100, 101, 99, 100.5, 99.5, 100};
  struct Row {
    const char* unit;
    std::vector<double> after;
    const char* verdict;
    int exit;
  };
  const Row rows[] = {
      {"tokens/s", base, "same", 0},
      {"tokens/s", {120, 121, 119, 122, 118, 120}, "faster", 0},
      {"tokens/s", {80, 81, 79, 80.5, 79.5, 80}, "slower", 3},
      {"ms", {80, 81, 79, 80.5, 79.5, 80}, "faster", 0},
      {"ms", {120, 121, 119, 122, 118, 120}, "slower", 3},
      {"tokens/s", {60, 140, 70, 130, 100, 90}, "cannot tell", 0},
      {"tokens/s", {50, 51}, "cannot tell", 0},  // too few, however far away
  };
  for (const Row& row : rows) {
    const Folder folder;
    const std::string before = folder.write("a", results(base, row.unit));
    const std::string after = folder.write("b", results(row.after, row.unit));
    const Ran ran = shell(folder, fmt::format("@ bench compare {} {} --json", before, after));
    ASSERT_EQ(ran.exit, row.exit) << row.verdict << ran.err;
    const json got = json::parse(ran.out);
    EXPECT_EQ(got["rows"][0]["verdict"], row.verdict);
    EXPECT_EQ(got["regression"], row.exit == 3);
    if (row.exit == 3) expect_one_line(ran, 3, "tg128 -");
  }
}

TEST(BenchCompare, TheThresholdDecidesWhatFails) {
  const Folder folder;
  const std::string before = folder.write("a", results({100, 101, 99, 100.5, 99.5, 100}));
  const std::string after = folder.write("b", results({92, 93, 91, 92.5, 91.5, 92}));
  const std::string line = fmt::format("@ bench compare {} {} --threshold ", before, after);
  EXPECT_EQ(shell(folder, line + "5%").exit, 3);
  EXPECT_EQ(shell(folder, line + "'20 %'").exit, 0);
  expect_one_line(shell(folder, line + "much"), 2, "much");
}

TEST(BenchCompare, RefusesInOneLine) {
  const Folder folder;
  const std::string good = folder.write("good", results({1, 2, 3}));
  const std::pair<std::string, std::string> rows[] = {
      {"not json", "no JSON"},
      {"[1, 2]", "no results of pumice bench"},
      {R"({"schema": "other", "version": 1})", "no results of pumice bench"},
      {R"({"schema": "pumice-bench", "version": 2, "rows": []})", "version 2"},
      {R"({"schema": "pumice-bench", "rows": []})", "version none"},
      {R"({"schema": "pumice-bench", "version": 1})", "rows"},
      {R"({"schema": "pumice-bench", "version": 1, "rows": [7]})", "row 0"},
      {R"({"schema": "pumice-bench", "version": 1, "rows": [{"name": "x"}]})", "samples"},
      {results({1, -2}), "sample 1"},
      {results({1, 2, 3}, "tokens/s", "kernels"), "bench kernels"},
      {results({1, 2, 3}, "ms"), "is in ms"},
  };
  for (const auto& [text, says] : rows) {
    const std::string bad = folder.write("bad", text);
    expect_one_line(shell(folder, fmt::format("@ bench compare {} {}", good, bad)), 1, says);
  }
  expect_one_line(shell(folder, "@ bench compare " + good + " /nonexistent"), 1, "/nonexistent");
  expect_one_line(shell(folder, "@ bench"), 2, "subcommand");
}

}  // namespace
}  // namespace pumice::test
