// Compiles every shader module of this build with RADV, for a GPU that need not be there
// (RADV_FORCE_FAMILY). Writes registers, spills and sizes to a table. What the policy picks for
// models is the test isa/GPU.
#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "engine/quant/device_fit.h"
#include "engine/quant/fit.h"
#include "engine/vk/hooks.h"
#include "tests/gpu/test_kernels.h"
#include "tools/bench/isa.h"

namespace pumice::vk {
namespace {

/// Compiles each module with its default constants; returns how many this GPU does not support.
size_t compile_all(Device& device) {
  std::vector<Dispatch> list;
  size_t unsupported = 0;
  for (const KernelModule& module : kernel_modules()) {
    list.emplace_back().kernel = module.name;
  }
  if (device.prepare(list)) return 0;
  for (const Dispatch& dispatch : list) {
    const auto prepared = device.prepare(std::span(&dispatch, 1));
    if (prepared) continue;
    if (prepared.error().code == ErrorCode::Unsupported) {
      ++unsupported;
      fmt::print("left out: {}\n", prepared.error().text);
    } else {
      ADD_FAILURE() << prepared.error().text;
    }
  }
  return unsupported;
}

class RadvCompile : public testing::Test {
 protected:
  void SetUp() override {
    if (family == nullptr) GTEST_SKIP() << "RADV_FORCE_FAMILY is not set";
    if (const std::string reason = missing_driver(); !reason.empty()) GTEST_SKIP() << reason;
    if (kernel_modules().empty()) GTEST_SKIP() << "this build has no shader modules";
  }
  const char* family = std::getenv("RADV_FORCE_FAMILY");
};

TEST_F(RadvCompile, EveryModule) {
  DeviceOptions options;
  options.pipeline_statistics = true;
  const auto opened = Device::open(options);
  ASSERT_TRUE(opened) << opened.error().text;
  Device& device = **opened;
  ASSERT_EQ(device.capabilities().driver, DriverKind::Radv);
  const size_t unsupported = compile_all(device);
  const auto statistics = device.pipeline_statistics();
  ASSERT_TRUE(statistics) << statistics.error().text;
  const bench::IsaTable table{family, device.capabilities().driver_name,
                              bench::neutral_statistics(*statistics)};
  EXPECT_EQ(table.rows.size() + unsupported, kernel_modules().size());
  size_t spilling = 0;
  for (const auto& [kernel, row] : table.rows) {
    ASSERT_TRUE(row[bench::Statistic::Spilled].has_value()) << kernel;
    spilling += *row[bench::Statistic::Spilled] > 0 ? 1 : 0;
  }
  const std::string path = fmt::format("{}/radv-{}.txt", PUMICE_RADV_TABLES, family);
  std::ofstream(path) << bench::table_text(table);
  fmt::print("{}: {} modules compiled, {} not supported, {} spill; table in {}\n", family,
             table.rows.size(), unsupported, spilling, path);
}

TEST_F(RadvCompile, TheScaleSearchDoesNotSpill) {
  DeviceOptions options;
  options.pipeline_statistics = true;
  const auto opened = Device::open(options);
  ASSERT_TRUE(opened) << opened.error().text;
  std::vector<Dispatch> list;
  for (const QuantTypeInfo& row : quant_types())
    if (const quant::FitPlan* plan = quant::fit_plan(row.type))
      list.push_back(quant::fit_dispatch(*plan));
  const auto prepared = (*opened)->prepare(list);
  ASSERT_TRUE(prepared) << prepared.error().text;
  const auto statistics = (*opened)->pipeline_statistics();
  ASSERT_TRUE(statistics) << statistics.error().text;
  const auto rows = bench::neutral_statistics(*statistics);
  EXPECT_EQ(rows.size(), 12u);  // of 13 types: q4_1 and q5_1 share one
  for (const auto& [pipeline, row] : rows)
    for (const bench::Statistic spill : {bench::Statistic::Spilled, bench::Statistic::Scratch})
      EXPECT_EQ(row[spill], 0u) << pipeline;
  fmt::print("{}: {} pipelines of the scale search\n", family, rows.size());
}

/// Seconds to open a device with this cache file and compile everything.
double compile_seconds(const std::string& cache) {
  DeviceOptions options;
  options.pipeline_cache = cache;
  const auto opened = Device::open(options);
  EXPECT_TRUE(opened) << opened.error().text;
  if (!opened) return 0.0;
  const auto start = std::chrono::steady_clock::now();
  (void)compile_all(**opened);
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

/// The software drivers' caches are empty; this one is not. (Mesa's own cache is off by ctest.)
TEST_F(RadvCompile, CacheFileMakesTheSecondRunFast) {
  const std::string cache = fmt::format("{}/radv-{}.cache", PUMICE_RADV_TABLES, family);
  std::filesystem::remove(cache);
  const double cold = compile_seconds(cache);
  EXPECT_GT(std::filesystem::file_size(cache), kernel_modules().size() * 100);
  const double warm = compile_seconds(cache);
  fmt::print("{}: {:.2f} s cold, {:.2f} s with the cache file\n", family, cold, warm);
  EXPECT_LT(warm, cold / 2);
}

}  // namespace
}  // namespace pumice::vk
