// Compiles every shader module of this build with RADV, for a GPU that need not be there
// (RADV_FORCE_FAMILY), and writes registers, spills and sizes to a table.
#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>

#include "engine/vk/hooks.h"
#include "tests/gpu/test_kernels.h"

namespace pumice::vk {
namespace {

/// What RADV calls its statistics, and the head of our column.
struct Column {
  const char* name;
  const char* head;
};
constexpr Column kColumns[] = {
    {"VGPRs", "vgpr"},           {"SGPRs", "sgpr"},         {"Spilled VGPRs", "vspill"},
    {"Spilled SGPRs", "sspill"}, {"LDS size", "lds"},       {"Scratch size", "scratch"},
    {"Code size", "code"},       {"Instructions", "instr"}, {"Subgroups per SIMD", "waves"},
};

using Row = std::map<std::string, double>;

std::string table_text(const Capabilities& caps, const std::map<std::string, Row>& rows) {
  std::string text = fmt::format("# {} ({})\n{:<48}", caps.device_name, caps.driver_name, "kernel");
  for (const Column& column : kColumns) text += fmt::format(" {:>8}", column.head);
  text += '\n';
  for (const auto& [kernel, values] : rows) {
    text += fmt::format("{:<48}", kernel);
    for (const Column& column : kColumns) {
      const auto found = values.find(column.name);
      text += fmt::format(" {:>8}", found == values.end() ? "-" : fmt::format("{}", found->second));
    }
    text += '\n';
  }
  return text;
}

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
  std::map<std::string, Row> rows;
  for (const PipelineStatistic& statistic : *statistics)
    rows[statistic.kernel][statistic.name] = statistic.value;
  EXPECT_EQ(rows.size() + unsupported, kernel_modules().size());
  size_t spilling = 0;
  for (const auto& [kernel, values] : rows) {
    const auto spills = values.find("Spilled VGPRs");
    ASSERT_NE(spills, values.end()) << kernel;
    spilling += spills->second > 0 ? 1 : 0;
  }
  const std::string path = fmt::format("{}/radv-{}.txt", PUMICE_RADV_TABLES, family);
  std::ofstream(path) << table_text(device.capabilities(), rows);
  fmt::print("{}: {} modules compiled, {} not supported, {} spill; table in {}\n", family,
             rows.size(), unsupported, spilling, path);
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
