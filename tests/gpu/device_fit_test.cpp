// The scale search on a device: the bits of the CPU's search, and what happens when the device
// goes.
#include "engine/quant/device_fit.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <string>

#include "engine/base/log.h"
#include "engine/quant/encode.h"
#include "engine/quant/fit.h"
#include "engine/quant/scale_search.h"
#include "tests/gpu/test_kernels.h"
#include "tests/unit/quant/samples.h"

namespace pumice::quant {
namespace {

using test::encoded_bytes;
using test::kGridTypes;

/// 37 blocks: no number of whole work groups.
constexpr size_t kBlocks = 37;

struct Sample {
  const char* name;
  std::vector<float> weights;
  std::vector<float> importance;  ///< of a row, or empty
  size_t most_left = 0;           ///< blocks that may be left to the CPU
};

/// `n`: weights per block; rows of one block and of all of them.
std::vector<Sample> samples(size_t n) {
  const std::vector<float> plain = test::gaussian(n * kBlocks, 0.03f, 7);
  const std::vector<float> wild = test::heavy_tailed(n * kBlocks, 0.02f, 8);
  std::vector<Sample> rows = {{"normal", plain, {}}, {"heavy-tailed", wild, {}}};
  rows.push_back({"rows of one block", wild, test::log_normal(n, 9)});
  Sample& one_row = rows.emplace_back("one row", plain, test::log_normal(n * kBlocks, 10));
  for (size_t i = 0; i < n; ++i) one_row.importance[3 * n + i] = 0;
  for (size_t i = 0; i < n; i += 3) one_row.importance[5 * n + i] = -1;
  Sample& sparse = rows.emplace_back("zeros, and groups of one number", wild);
  for (size_t i = 0; i < sparse.weights.size(); ++i) {
    if (i / 16 % 3 == 0) sparse.weights[i] = 0;
    if (i / 16 % 7 == 1) sparse.weights[i] = -0.01f;
    if (i / n % 5 == 2) sparse.weights[i] = 0;
  }
  Sample& sizes = rows.emplace_back("from tiny to huge", wild);
  for (size_t i = 0; i < sizes.weights.size(); ++i)
    sizes.weights[i] = std::ldexp(sizes.weights[i], int(i / n) * 6 - 110);
  sizes.most_left = 8;  // the smallest
  Sample& apart = rows.emplace_back("far apart", wild);
  for (size_t i = 0; i < apart.weights.size(); i += 5) apart.weights[i] *= 0x1p-40f;
  apart.most_left = kBlocks;
  return rows;
}

std::vector<BlockFit> on_core(QuantType type, const Sample& sample) {
  const size_t n = info(type).block_weights;
  std::vector<BlockSource> sources;
  for (size_t at = 0; at < sample.weights.size(); at += n)
    sources.push_back(
        {&sample.weights[at],
         sample.importance.empty() ? nullptr : &sample.importance[at % sample.importance.size()]});
  std::vector<BlockFit> fits(sources.size());
  quant::fit(type, sources, fits);
  return fits;
}

std::string text_of(const BlockFit& fit) {
  std::string text = fmt::format("d {:a} dmin {:a}", fit.d, fit.dmin);
  for (size_t i = 0; i < 16; ++i) text += fmt::format(" {}/{}", fit.scale[i], fit.minimum[i]);
  return text;
}

class DeviceFitTest : public vk::GpuTest {
 protected:
  void open_for_real(vk::FaultPlan* faults = nullptr) {
    vk::DeviceOptions options;
    options.validation = true;
    vk::DeviceHooks hooks;
    hooks.find = find_kernel;
    hooks.faults = faults;
    hooks.validation_sink = &messages;
    auto opened = vk::open_device(options, hooks);
    ASSERT_TRUE(opened) << opened.error().text;
    device = std::move(*opened);
  }
};

class DeviceFitBits : public DeviceFitTest, public testing::WithParamInterface<QuantType> {};

TEST_P(DeviceFitBits, AreThoseOfTheCpu) {
  open_for_real();
  const auto made = DeviceFit::create(*device);
  ASSERT_TRUE(made) << made.error().text;
  for (const Sample& sample : samples(info(GetParam()).block_weights)) {
    const uint64_t left_before = (*made)->left_to_cpu();
    std::vector<BlockFit> found(kBlocks);
    const auto done = (*made)->fit(GetParam(), sample.weights, sample.importance, found);
    ASSERT_TRUE(done) << done.error().text;
    EXPECT_LE((*made)->left_to_cpu() - left_before, sample.most_left) << sample.name;
    const std::vector<BlockFit> expected = on_core(GetParam(), sample);
    for (size_t i = 0; i < kBlocks; ++i)
      ASSERT_EQ(std::memcmp(&found[i], &expected[i], sizeof found[i]), 0)
          << sample.name << ", block " << i << ":\n  " << text_of(found[i]) << "\n  "
          << text_of(expected[i]);
  }
}

INSTANTIATE_TEST_SUITE_P(Types, DeviceFitBits, testing::ValuesIn(kGridTypes),
                         [](const auto& row) { return std::string(pumice::info(row.param).name); });

/// Encodes 24 slices of 8 rows; the rows differ.
std::vector<std::byte> encoded(ScaleSearch* search, QuantType type) {
  const size_t width = 512, slice = 8 * width, slices = 24;
  const std::vector<float> weights = test::heavy_tailed(slice * slices, 0.02f, 3);
  const std::vector<float> importance = test::log_normal(width, 4);
  std::vector<std::byte> out(encoded_bytes(type, weights.size()));
  const size_t bytes = encoded_bytes(type, slice);
  for (size_t i = 0; i < slices; ++i) {
    const auto from = std::span(weights).subspan(i * slice, slice);
    const auto to = std::span(out).subspan(i * bytes, bytes);
    if (search)
      search->encode_rows(type, from, width, importance, to);
    else
      encode_rows(type, from, width, importance, to);
  }
  return out;
}

TEST_F(DeviceFitTest, TheSameBytesFromEitherPlace) {
  open_for_real();
  ScaleSearch search(std::move(device), false);
  for (const QuantType type : {QuantType::Q4_K, QuantType::Q8_0})
    EXPECT_EQ(encoded(&search, type), encoded(nullptr, type)) << info(type).name;
  EXPECT_EQ(search.slices_on_device(), 48u);
  EXPECT_EQ(encoded(&search, QuantType::F16), encoded(nullptr, QuantType::F16));
  EXPECT_EQ(search.slices_on_device(), 48u);
}

/// Counts the lines that people would see.
class LinesSeen {
 public:
  LinesSeen() { set_log_sink(take, this); }
  ~LinesSeen() { set_log_sink(nullptr, nullptr); }
  std::vector<std::string> lines;

 private:
  static void take(LogLevel, std::string_view line, void* user) {
    static_cast<LinesSeen*>(user)->lines.emplace_back(line);
  }
};

TEST_F(DeviceFitTest, TheCoresGoOnWhenTheDeviceIsLost) {
  for (const char* call : {"vkQueueSubmit", "vkAllocateMemory", "vkCreateComputePipelines"}) {
    vk::FaultPlan faults;
    faults.only = call;
    faults.fail_at = std::string(call) == "vkQueueSubmit" ? 6 : 1;
    faults.result = VK_ERROR_DEVICE_LOST;
    open_for_real(&faults);
    LinesSeen seen;
    {
      ScaleSearch search(std::move(device), false);
      EXPECT_EQ(encoded(&search, QuantType::Q4_0), encoded(nullptr, QuantType::Q4_0)) << call;
      EXPECT_LT(search.slices_on_device(), 8u);
    }
    EXPECT_EQ(faults.failed_call(), call);
    ASSERT_EQ(seen.lines.size(), 1u) << call;
    EXPECT_NE(seen.lines[0].find("without the GPU"), std::string::npos) << seen.lines[0];
  }
}

TEST_F(DeviceFitTest, ARaceLeavesTheBytesAlone) {
  open_for_real();
  ScaleSearch search(std::move(device), true);
  const size_t width = 1024, n = size_t{1} << 16;
  const std::vector<float> weights = test::gaussian(n, 0.02f, 5);
  std::vector<std::byte> expected(encoded_bytes(QuantType::Q4_0, n)), found(expected.size());
  encode_rows(QuantType::Q4_0, weights, width, {}, expected);
  for (int slice = 0; slice < 3; ++slice) {
    search.encode_rows(QuantType::Q4_0, weights, width, {}, found);
    EXPECT_EQ(found, expected);
  }
  EXPECT_GE(search.slices_on_device(), 1u);
}

TEST(DeviceFit, EveryProductAndSumIsRoundedByItself) {
  constexpr uint32_t kDecorate = 71, kNoContraction = 42;
  constexpr uint32_t kRounding[] = {127, 129, 131, 133, 142};  // FNegate FAdd FSub FMul VectorTimes
  size_t modules = 0;
  for (const KernelModule& module : kernel_modules()) {
    if (!std::string_view(module.name).starts_with("fit_")) continue;
    ++modules;
    std::vector<uint32_t> exact;
    size_t operations = 0;
    for (size_t at = 5; at < module.spirv.size(); at += std::max(module.spirv[at] >> 16, 1u)) {
      const uint32_t op = module.spirv[at] & 0xFFFF;
      if (op == kDecorate && module.spirv[at + 2] == kNoContraction)
        exact.push_back(module.spirv[at + 1]);
      if (std::ranges::find(kRounding, op) == std::end(kRounding)) continue;
      ++operations;
      EXPECT_NE(std::ranges::find(exact, module.spirv[at + 2]), exact.end())
          << module.name << ", word " << at;
    }
    EXPECT_GT(operations, 10u) << module.name;
  }
  EXPECT_EQ(modules, 6u);
}

}  // namespace
}  // namespace pumice::quant
