// What the bench measures with: samples, the stopwatch, the roofs. Values depend on the machine;
// what must hold is that they are there, positive, and said to be measured by the right clock.
#include <cmath>

#include "tests/gpu/test_kernels.h"
#include "tools/bench/kernels.h"
#include "tools/bench/roof.h"

namespace pumice::bench {
namespace {

TEST(Summary, WidthOfTheInterval) {
  const double values[] = {9, 10, 10, 10, 10, 11};
  EXPECT_NEAR(relative_width(summarise(values)), 0.2, 1e-12);
  EXPECT_TRUE(std::isinf(relative_width(Summary{})));
}

TEST(TimedAtOnce, NoSubmissionOutlastsTheWatchdog) {
  EXPECT_EQ(timed_at_once(16, 0.5, 2.0), 4u);
  EXPECT_EQ(timed_at_once(16, 1e-6, 2.0), 16u);
  EXPECT_EQ(timed_at_once(16, 0, 2.0), 16u);
  EXPECT_EQ(timed_at_once(16, 5.0, 2.0), 1u) << "what --watchdog allowed is timed alone";
}

class Bench : public testing::Test {
 protected:
  void SetUp() override {
    if (const std::string reason = vk::missing_driver(); !reason.empty()) GTEST_SKIP() << reason;
  }
  void open(bool timestamps) {
    vk::DeviceOptions options;
    options.validation = true;
    options.timestamps = timestamps;
    options.kernels = find_bench_kernel;
    auto opened = vk::Device::open(options);
    ASSERT_TRUE(opened) << opened.error().text;
    device = std::move(*opened);
  }
  void TearDown() override {
    if (device == nullptr) return;
    for (const std::string& message : device->validation_log()) ADD_FAILURE() << message;
  }
  /// 64 operations a lane and turn, on one workgroup of 64.
  Dispatch fma(uint32_t turns, uint32_t groups) {
    const auto out = device->create_buffer({"out", 256});
    EXPECT_TRUE(out);
    Dispatch dispatch;
    dispatch.kernel = "bench.fma";
    dispatch.constants = {64};
    dispatch.bindings = {{*out, 0, 256}};
    dispatch.push = {turns, 0x3F000000, 0x3F000000};
    dispatch.groups = {groups, 1, 1};
    return dispatch;
  }

  std::unique_ptr<vk::Device> device;
};

TEST_F(Bench, RoofsAreMeasured) {
  open(true);
  auto stopwatch = Stopwatch::create(*device);
  ASSERT_TRUE(stopwatch) << stopwatch.error().text;
  EXPECT_EQ(stopwatch->by_device(), device->capabilities().timestamps);
  RoofEffort effort;
  effort.bytes = 4 << 20;
  effort.effort = {.seconds = 0.1, .least = 3};
  const auto roofs = measure_roofs(*device, *stopwatch, effort);
  ASSERT_TRUE(roofs) << roofs.error().text;
  ASSERT_EQ(roofs->rows.size(), 5u);
  for (const Roof& roof : roofs->rows) {
    const bool expected = roof.kind == RoofKind::Matrix ? false
                          : roof.kind == RoofKind::Dot  ? device->capabilities().dot8
                                                        : true;
    EXPECT_EQ(roof.measured(), expected) << roof.name;
    EXPECT_EQ(roof.rate.median > 0, expected) << roof.name;
    EXPECT_EQ(roof.how.starts_with("not measured: "), !expected) << roof.how;
  }
  EXPECT_GE(roofs->bandwidth(), (*roofs)[RoofKind::Copy]);
  EXPECT_NE(describe(*roofs).find(stopwatch->words()), std::string::npos);
}

TEST_F(Bench, WithoutTimestampsTheHostsClockIsSaid) {
  open(false);
  auto stopwatch = Stopwatch::create(*device);
  ASSERT_TRUE(stopwatch) << stopwatch.error().text;
  EXPECT_FALSE(stopwatch->by_device());
  EXPECT_STREQ(stopwatch->words(), "host clock");
  const Dispatch work = fma(2000, 64);
  const auto times = stopwatch->time(std::span(&work, 1), {.seconds = 0.1, .least = 3});
  ASSERT_TRUE(times) << times.error().text;
  EXPECT_GE(times->size(), 3u);
  EXPECT_GT(summarise(*times).median, 0);
}

TEST_F(Bench, WhatWouldOutlastTheWatchdogIsRefusedWithItsEstimate) {
  open(true);
  auto stopwatch = Stopwatch::create(*device);
  ASSERT_TRUE(stopwatch) << stopwatch.error().text;
  const auto refused = stopwatch->estimate(fma(4000, 65535), 0.004);
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().text.find("65535 workgroups would last about"), std::string::npos)
      << refused.error().text;
  const auto allowed = stopwatch->estimate(fma(16, 4), 10.0);
  EXPECT_TRUE(allowed) << allowed.error().text;
}

}  // namespace
}  // namespace pumice::bench
