// `pumice bench kernels` as a user meets it, on whichever Vulkan device is first. Times are the
// machine's; that answers were checked, rows are whole and refusals have words is not.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>

#include "bench_support.h"
#include "shell.h"

namespace pumice::test {
namespace {

using nlohmann::json;

using BenchKernels = BenchCommand;

TEST_F(BenchKernels, KernelsAreCheckedTimedAndPlaced) {
  if (!device()) GTEST_SKIP() << "no Vulkan device is here";
  const Ran ran = bench(fmt::format(
      "kernels --type q4_k --tier f32 --filter 'wide' --shape 64x3x512 --json {}", kQuick));
  ASSERT_EQ(ran.exit, 0) << ran.err;
  const json all = json::parse(ran.out);
  EXPECT_EQ(all["kind"], "kernels");
  check_roof(all["roof"]);
  ASSERT_EQ(all["rows"].size(), 1u);
  const json& row = all["rows"][0];
  EXPECT_EQ(row["name"], "matrix 64x3x512 q4_k, wide f32");
  EXPECT_EQ(row["pipeline"].get<std::string>().rfind("matvec_wide.q4_k.f32[", 0), 0u);
  EXPECT_EQ(row["unit"], "us");
  EXPECT_FALSE(row["higher_is_better"].get<bool>());
  EXPECT_GE(row["samples"].size(), 6u);
  EXPECT_GT(row["roof_percent"].get<double>(), 0.0);
  const double weights = 64.0 * 512 / 256 * 144;
  EXPECT_NEAR(row["flops_per_byte"].get<double>(),
              2.0 * 64 * 3 * 512 / (weights + 4 * 3 * (512 + 64)), 1e-9);
}

TEST_F(BenchKernels, OpsAndAttentionAreCasesToo) {
  if (!device()) GTEST_SKIP() << "no Vulkan device is here";
  const Ran ran = bench(fmt::format(
      "kernels --filter '^op SiLU, default$|no rotation.*default, f32 cache, 1 tokens at 512' "
      "--csv {}",
      kQuick));
  ASSERT_EQ(ran.exit, 0) << ran.err;
  EXPECT_EQ(std::count(ran.out.begin(), ran.out.end(), '\n'), 3) << ran.out;
  EXPECT_NE(ran.out.find("\"op SiLU, default"), std::string::npos) << ran.out;
  EXPECT_NE(ran.out.find("\"attention no rotation"), std::string::npos) << ran.out;
}

TEST_F(BenchKernels, WhatCannotBeTimedIsSaid) {
  expect_failure("kernels --shape 4096x1", 2, "rows x columns x row length were expected");
  expect_failure("kernels --shape 99999x1x99999", 2, "at most 2^28 weights");
  expect_failure("kernels --filter '('", 2, "--filter: ");
  expect_failure("kernels --without fp17", 2, "--without");
  if (!device()) GTEST_SKIP() << "no Vulkan device is here";
  expect_failure("kernels --filter 'no such kernel'", 1, "--list names them");
}

TEST_F(BenchKernels, AnInterruptLeavesTheRowsBeforeIt) {
  if (!device()) GTEST_SKIP() << "no Vulkan device is here";
  const Ran ran = shell(
      folder, fmt::format("timeout --preserve-status -s INT 3 @ bench kernels --csv {}", kQuick));
  EXPECT_EQ(ran.exit, 1);
  EXPECT_NE(ran.err.find("--filter, --type, --tier and --shape choose"), std::string::npos)
      << ran.err;
  const size_t at = ran.err.find("interrupted after ");
  ASSERT_NE(at, std::string::npos) << ran.err;
  const int rows = std::stoi(ran.err.substr(at + 18));
  EXPECT_EQ(std::count(ran.out.begin(), ran.out.end(), '\n'), rows == 0 ? 0 : rows + 1) << ran.out;
}

}  // namespace
}  // namespace pumice::test
