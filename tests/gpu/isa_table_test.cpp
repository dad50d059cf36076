// Tables of compiler statistics: drivers' names, the text form, what counts as worse.
#include <gtest/gtest.h>

#include "tools/bench/isa.h"

namespace pumice::bench {
namespace {

KernelStatistics row(uint64_t registers, uint64_t spilled, uint64_t code, uint64_t occupancy) {
  return {{registers, 128, spilled, 0, 1024, code, occupancy}};
}

IsaTable table() {
  return {"GFX1100",
          "radv Mesa 1",
          {{"a[64]", row(48, 0, 1000, 16)}, {"b", row(24, 2, 500, 32)}, {"c", row(8, 0, 80, 32)}}};
}

TEST(IsaTable, DriversNamesBecomeOnesOfOurs) {
  const vk::PipelineStatistic said[] = {
      {"a", "CS", "VGPRs", 48},           {"a", "CS", "Spilled VGPRs", 3},
      {"a", "CS", "Spilled SGPRs", 2},    {"a", "CS", "Latency", 99},
      {"b", "main", "Register Count", 8}, {"b", "main", "Binary Size", 640},
  };
  const auto rows = neutral_statistics(said);
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_EQ(rows.at("a")[Statistic::Registers], 48u);
  EXPECT_EQ(rows.at("a")[Statistic::Spilled], 5u);
  EXPECT_EQ(rows.at("b")[Statistic::Code], 640u);
  EXPECT_FALSE(rows.at("b")[Statistic::Spilled].has_value());
}

TEST(IsaTable, TextAndBack) {
  IsaTable before = table();
  before.rows["b"].values[0].reset();
  const auto again = parse_table(table_text(before));
  ASSERT_TRUE(again) << again.error().text;
  EXPECT_EQ(again->gpu, before.gpu);
  EXPECT_EQ(again->driver, before.driver);
  EXPECT_EQ(table_text(*again), table_text(before));
  EXPECT_FALSE(again->rows.at("b")[Statistic::Registers].has_value());
}

TEST(IsaTable, WhatIsNoTableIsSaid) {
  const std::string good = table_text(table());
  const std::string head = good.substr(0, good.find("a[64]"));
  const std::pair<std::string, const char*> rows[] = {
      {"", "the first line is \"\""},
      {"# pumice bench isa, version 2\n", "version 1\" was expected"},
      {head + "a\t1\t2\n", "line 5: spilled of a is \"\"; a number"},
      {head + "a\t1\t2\t3\t4\t5\t6\t-7\n", "line 5: occupancy of a is \"-7\""},
      {head + "a\t1\t2\t3\t4\t5\t6\t7\t8\n", "line 5: not one row of 8 fields"},
      {good + "b\t1\t2\t3\t4\t5\t6\t7\n", "line 8: not one row"},
  };
  for (const auto& [text, words] : rows) {
    const auto parsed = parse_table(text);
    ASSERT_FALSE(parsed) << text;
    EXPECT_EQ(parsed.error().code, ErrorCode::BadFile);
    EXPECT_NE(parsed.error().text.find(words), std::string::npos) << parsed.error().text;
  }
}

TEST(IsaTable, NewSpillsAndMissingKernelsFail) {
  EXPECT_TRUE(compare(table(), table()).failures.empty());
  EXPECT_TRUE(compare(table(), table()).reports.empty());
  IsaTable now = table();
  now.rows["a[64]"] = row(48, 1, 1000, 16);
  now.rows.erase("c");
  now.rows["d"] = row(255, 9, 10, 1);
  now.rows["e"] = row(10, 0, 10, 1);
  const IsaDifference difference = compare(table(), now);
  EXPECT_EQ(difference.failures,
            (std::vector<std::string>{"a[64]: spilled went from 0 to 1",
                                      "c: in the table, and nothing picks it now",
                                      "d: spilled went from 0 to 9"}));
  EXPECT_EQ(difference.reports,
            (std::vector<std::string>{"d: new, not in the table", "e: new, not in the table"}));
}

TEST(IsaTable, DriftIsReportedBeyondTheTolerance) {
  IsaTable now = table();
  now.rows["a[64]"] = row(52, 0, 1150, 16);  // 4 registers, 15 % of code: within
  now.rows["b"] = row(32, 1, 500, 20);
  const IsaDifference difference = compare(table(), now);
  EXPECT_TRUE(difference.failures.empty());
  EXPECT_EQ(difference.reports, (std::vector<std::string>{"b: spilled fell from 2 to 1",
                                                          "b: registers went from 24 to 32",
                                                          "b: occupancy went from 32 to 20"}));
  now.driver = "radv Mesa 2";
  const IsaDifference other = compare(table(), now);
  ASSERT_EQ(other.reports.size(), 2u);
  EXPECT_EQ(other.reports[0],
            "the table is of radv Mesa 1, this is radv Mesa 2: only spills are compared");
}

}  // namespace
}  // namespace pumice::bench
