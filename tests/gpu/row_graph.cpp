// The device that rows share.
#include "tests/gpu/row_graph.h"

namespace pumice::test {
namespace {

struct SharedDevice {
  std::vector<std::string> messages;
  std::unique_ptr<vk::Device> device;
  std::string error;

  SharedDevice() { open(); }

  void open() {
    device.reset();
    vk::DeviceHooks hooks;
    hooks.find = find_kernel;
    hooks.validation_sink = &messages;
    vk::DeviceOptions options;
    options.validation = true;
    auto opened = vk::open_device(options, hooks);
    if (opened)
      device = std::move(*opened);
    else
      error = opened.error().text;
  }
};

SharedDevice& shared_device() {
  static SharedDevice shared;
  return shared;
}

/// Closes the device while the process is whole: drivers with threads of their own do not survive
/// being destroyed among the static objects.
class CloseDevice : public testing::Environment {
 public:
  void TearDown() override {
    if (!is_open) return;
    shared_device().device.reset();
    for (const std::string& message : shared_device().messages)
      ADD_FAILURE() << "validation: " << message;
  }
  static inline bool is_open = false;
};

[[maybe_unused]] const auto* const kCloseDevice =
    testing::AddGlobalTestEnvironment(new CloseDevice);

}  // namespace

void RowTest::SetUp() {
  if (const std::string reason = vk::missing_driver(); !reason.empty()) GTEST_SKIP() << reason;
  CloseDevice::is_open = true;
  ASSERT_NE(shared_device().device, nullptr) << shared_device().error;
}

void RowTest::TearDown() {
  if (IsSkipped()) return;
  for (const std::string& message : shared_device().messages)
    ADD_FAILURE() << "validation: " << message;
  shared_device().messages.clear();
}

vk::Device& RowTest::device() {
  return *shared_device().device;
}

bool RowTest::is_swiftshader() {
  return device().capabilities().driver == DriverKind::SwiftShader;
}

void RowTest::release_pipelines() {
  if (!is_swiftshader()) return;
  shared_device().open();
  ASSERT_NE(shared_device().device, nullptr) << shared_device().error;
}

void expect_close(const std::string& row, const reference::Matrix& actual,
                  const reference::Matrix& expected, const Tolerance& tolerance) {
  EXPECT_EQ(broken_bound(actual, expected, tolerance), "") << row;
}

}  // namespace pumice::test
