// Finding, choosing and opening devices.
#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <cstring>

#include "tests/gpu/test_kernels.h"

namespace pumice::vk {
namespace {

using DeviceTest = GpuTest;

TEST_F(DeviceTest, SnapshotMatchesTheDriver) {
  const auto devices = list_devices(DeviceHooks{});
  ASSERT_TRUE(devices) << devices.error().text;
  ASSERT_FALSE(devices->empty());
  const Capabilities& caps = devices->front().caps;
  EXPECT_EQ(devices->front().unusable, "");
  EXPECT_GE(caps.max_workgroup_invocations, 256u);
  EXPECT_GE(caps.max_push_bytes, 128u);
  EXPECT_GT(caps.device_memory, 0u);
  EXPECT_LE(caps.device_memory_free, caps.device_memory);
  EXPECT_TRUE(caps.timeline);
  if (caps.driver == DriverKind::Lavapipe) {
    EXPECT_TRUE(caps.is_cpu && caps.unified_memory && caps.fp16 && caps.storage16 && caps.dot8);
    EXPECT_EQ(caps.subgroup_size, 8u);
    EXPECT_EQ(caps.max_storage_range, uint64_t(128) << 20);
  }
  if (caps.driver == DriverKind::SwiftShader) {
    EXPECT_TRUE(caps.is_cpu && caps.unified_memory);
    EXPECT_FALSE(caps.fp16 || caps.storage16);
    EXPECT_EQ(caps.subgroup_size, 4u);
    EXPECT_EQ(caps.max_texel_elements, 65536u);
  }
}

TEST_F(DeviceTest, ChoosesByIndexAndName) {
  const auto devices = list_devices(DeviceHooks{});
  ASSERT_TRUE(devices) << devices.error().text;
  std::string name = devices->front().caps.device_name;
  std::transform(name.begin(), name.end(), name.begin(), ::toupper);
  DeviceOptions options;
  for (const std::string& select : {std::string("0"), name.substr(0, 5)}) {
    options.select = select;
    const auto opened = open_device(options, {});
    ASSERT_TRUE(opened) << opened.error().text;
    EXPECT_EQ((*opened)->capabilities().device_name, devices->front().caps.device_name);
  }
  for (const char* select : {"99", "no such device"}) {
    options.select = select;
    const auto opened = open_device(options, {});
    ASSERT_FALSE(opened);
    EXPECT_EQ(opened.error().code, ErrorCode::NotFound);
    EXPECT_NE(opened.error().text.find(devices->front().caps.device_name), std::string::npos)
        << opened.error().text;
  }
}

TEST_F(DeviceTest, MaskTakesFeaturesAway) {
  DeviceOptions options;
  options.without.fp16 = options.without.dot8 = options.without.texel = true;
  open(options);
  const Capabilities& caps = device->capabilities();
  EXPECT_FALSE(caps.fp16 || caps.storage16 || caps.dot8 || caps.int8);
  EXPECT_EQ(caps.max_texel_elements, 0u);
  Dispatch dispatch;
  dispatch.kernel = "half";
  const auto prepared = device->prepare(std::span(&dispatch, 1));
  ASSERT_FALSE(prepared);
  EXPECT_EQ(prepared.error().code, ErrorCode::Unsupported);
  EXPECT_NE(prepared.error().text.find("16-bit floats"), std::string::npos)
      << prepared.error().text;
}

TEST_F(DeviceTest, RunsHalfKernelWhereThereAreHalves) {
  open();
  if (!device->capabilities().fp16) GTEST_SKIP() << "this driver has no 16-bit floats";
  const BufferId y = words(2);
  const float values[] = {3.0f, -2.5f};
  std::memcpy(device->mapped(y).data(), values, sizeof values);
  Dispatch dispatch;
  dispatch.kernel = "half";
  dispatch.bindings = {all(y)};
  const auto done = run({dispatch});
  ASSERT_TRUE(done) << done.error().text;
  float product = 0;
  std::memcpy(&product, device->mapped(y).data(), sizeof product);
  EXPECT_EQ(product, -7.5f);
}

TEST_F(DeviceTest, NoDriverIsAnErrorWithAdvice) {
  const char* before = std::getenv("VK_ICD_FILENAMES");
  const std::string icd = before != nullptr ? before : "";
  ::setenv("VK_ICD_FILENAMES", "/nonexistent/icd.json", 1);
  const auto devices = list_devices(DeviceHooks{});
  const auto opened = open_device({}, {});
  if (before != nullptr)
    ::setenv("VK_ICD_FILENAMES", icd.c_str(), 1);
  else
    ::unsetenv("VK_ICD_FILENAMES");
  ASSERT_FALSE(devices);
  EXPECT_EQ(devices.error().code, ErrorCode::NoDevice);
  EXPECT_NE(devices.error().text.find("mesa-vulkan-drivers"), std::string::npos)
      << devices.error().text;
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, ErrorCode::NoDevice);
}

}  // namespace
}  // namespace pumice::vk
