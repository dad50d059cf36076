// Compiles every shader module of this build, and every pipeline that the policy picks for a model,
// with RADV, for a GPU that need not be there (RADV_FORCE_FAMILY). Writes registers, spills and
// sizes to tables; a pipeline that would run must not spill.
#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>

#include "engine/graph/fusions.h"
#include "engine/graph/taps.h"
#include "engine/model/architectures.h"
#include "engine/quant/device_fit.h"
#include "engine/quant/fit.h"
#include "engine/schedule/lower.h"
#include "engine/vk/hooks.h"
#include "tests/gpu/test_kernels.h"
#include "tests/support/sized_model.h"

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
  std::string text =
      fmt::format("# {} ({})\n{:<52}", caps.device_name, caps.driver_name, "kernel[constants]");
  for (const Column& column : kColumns) text += fmt::format(" {:>8}", column.head);
  text += '\n';
  for (const auto& [kernel, values] : rows) {
    text += fmt::format("{:<52}", kernel);
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

std::map<std::string, Row> rows_of(Device& device) {
  std::map<std::string, Row> rows;
  const auto statistics = device.pipeline_statistics();
  EXPECT_TRUE(statistics) << statistics.error().text;
  if (!statistics) return rows;
  for (const PipelineStatistic& statistic : *statistics)
    rows[statistic.kernel][statistic.name] = statistic.value;
  return rows;
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
  const auto rows = rows_of(device);
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

/// A model whose pipelines are compiled; with every precision of activations, then every format of
/// the cache.
struct ModelRow {
  const char* architecture;
  test::ModelSize size;
};

std::vector<ModelRow> model_rows() {
  std::vector<ModelRow> rows = {
      {"llama", {.head = 128, .type = QuantType::Q4_K}},
      {"llama", {.head = 128, .type = QuantType::Q4_K, .experts = 8}},
      {"llama", {.type = QuantType::Q8_0, .experts = 8}},
      {"qwen2", {.head = 128, .type = QuantType::Q6_K, .biases = true}},
      {"qwen3", {.head = 128, .type = QuantType::Q4_K}},
      {"gemma2", {.head = 256, .type = QuantType::Q4_K}},
      {"gemma3", {.head = 256, .type = QuantType::Q4_0}},
      {"phi3", {.embd = 768, .heads = 8, .head = 96, .type = QuantType::Q4_K}},
  };
  for (const WeightLayout& layout : weight_layouts())
    rows.push_back({"llama", {.type = layout.type}});
  return rows;
}

Result<graph::Graph> graph_of(const ModelRow& row) {
  PUMICE_TRY_ASSIGN(const auto file, test::sized_model(row.architecture, row.size).open());
  PUMICE_TRY_ASSIGN(graph::Graph unfused, model::build_graph(*file));
  return graph::fuse(std::move(unfused));
}

/// Every kernel and its constants that steps of 1 to 64 tokens of a model dispatch.
using Wanted = std::map<std::pair<std::string, std::vector<uint32_t>>, Dispatch>;

Result<void> add_steps(const ModelPlan& plan, Wanted& wanted) {
  for (const StepShape& shape : {StepShape{1, 1, Ending::Sample},
                                 {2, 2, Ending::Sample},
                                 {4, 4, Ending::Logits},
                                 {8, 8, Ending::Logits},
                                 {64, 1, Ending::Sample}}) {
    PUMICE_TRY_ASSIGN(const auto list, lower(plan, shape));
    for (const Dispatch& dispatch : list)
      wanted.try_emplace({dispatch.kernel, dispatch.constants}, dispatch);
  }
  return {};
}

/// Also those of steps that gather statistics.
Result<void> add_pipelines(const Capabilities& caps, const ModelRow& row, Wanted& wanted) {
  PUMICE_TRY_ASSIGN(const graph::Graph graph, graph_of(row));
  RunOptions tapped{.max_outputs = 8};
  tapped.taps.statistics = graph::Statistics::Gram;
  PUMICE_TRY_ASSIGN(graph::Graph with_taps, graph::add_taps(graph, tapped.taps));
  PUMICE_TRY_ASSIGN(const ModelPlan gathering, plan_model(std::move(with_taps), caps, tapped));
  PUMICE_TRY(add_steps(gathering, wanted));
  const CacheFormat formats[] = {CacheType::F16,
                                 CacheType::F32,
                                 CacheType::Q8_0,
                                 CacheType::Q4_0,
                                 {CacheType::Q8_0, CacheType::Q4_0},
                                 {CacheType::F16, CacheType::F16, true},
                                 {CacheType::Q4_0, CacheType::Q4_0, true}};
  for (const ActivationType activations :
       {ActivationType::F32, ActivationType::Q8, ActivationType::Auto})
    for (const CacheFormat& cache : formats) {
      if (activations != ActivationType::Auto && &cache != formats) continue;
      RunOptions options;
      options.activations = activations;
      options.cache = cache;
      options.max_outputs = 8;
      PUMICE_TRY_ASSIGN(const ModelPlan plan, plan_model(graph, caps, options));
      PUMICE_TRY(add_steps(plan, wanted));
    }
  return {};
}

void expect_no_spills(const std::map<std::string, Row>& rows) {
  for (const auto& [pipeline, values] : rows)
    for (const char* spill : {"Spilled VGPRs", "Spilled SGPRs", "Scratch size"}) {
      ASSERT_TRUE(values.contains(spill)) << pipeline;
      EXPECT_EQ(values.at(spill), 0.0) << pipeline << ": " << spill;
    }
}

TEST_F(RadvCompile, WhatThePolicyPicksDoesNotSpill) {
  DeviceOptions options;
  options.pipeline_statistics = true;
  const auto opened = Device::open(options);
  ASSERT_TRUE(opened) << opened.error().text;
  Device& device = **opened;
  Wanted wanted;
  for (const ModelRow& row : model_rows()) {
    const auto added = add_pipelines(device.capabilities(), row, wanted);
    ASSERT_TRUE(added) << row.architecture << ": " << added.error().text;
  }
  std::vector<Dispatch> list;
  for (const auto& [key, dispatch] : wanted) {
    EXPECT_EQ(key.first.find("_lane"), std::string::npos)
        << key.first << " is for software drivers";
    list.push_back(dispatch);
  }
  const auto prepared = device.prepare(list);
  ASSERT_TRUE(prepared) << prepared.error().text;
  const auto rows = rows_of(device);
  EXPECT_EQ(rows.size(), wanted.size());
  expect_no_spills(rows);
  const std::string path = fmt::format("{}/radv-{}-models.txt", PUMICE_RADV_TABLES, family);
  std::ofstream(path) << table_text(device.capabilities(), rows);
  fmt::print("{}: {} pipelines of models compiled; table in {}\n", family, rows.size(), path);
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
  const auto rows = rows_of(**opened);
  EXPECT_EQ(rows.size(), 12u);  // of 13 types: q4_1 and q5_1 share one
  expect_no_spills(rows);
  const std::string path = fmt::format("{}/radv-{}-fit.txt", PUMICE_RADV_TABLES, family);
  std::ofstream(path) << table_text((*opened)->capabilities(), rows);
  fmt::print("{}: {} pipelines of the scale search; table in {}\n", family, rows.size(), path);
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
