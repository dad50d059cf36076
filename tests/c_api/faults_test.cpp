// The public functions over a driver that fails: a device lost in the middle of an answer, memory
// that is not there, every early end of a load. Opens pm_device from inside to plan the failures.
#include <gtest/gtest.h>
#include <pumice.h>

#include <deque>

#include "engine/pumice_objects.h"
#include "engine/vk/hooks.h"
#include "tests/gpu/test_kernels.h"
#include "tests/support/chat_model.h"

namespace pumice {
namespace {

class CApiFaults : public testing::Test {
 protected:
  void SetUp() override {
    if (const auto reason = vk::missing_driver(); !reason.empty()) GTEST_SKIP() << reason;
    bytes_ = test::chat_model().bytes();
    error_.struct_size = sizeof error_;
    options_.struct_size = sizeof options_;
    options_.deterministic = 1;
    ASSERT_EQ(pm_model_open_memory("fixture", bytes_.data(), bytes_.size(), &model_, &error_),
              PM_OK)
        << error_.text;
  }
  void TearDown() override {
    pm_session_close(session_);
    pm_model_close(model_);
  }

  static pm_device device(vk::FaultPlan* faults) {
    pm_device device;
    device.open = [faults](const vk::DeviceOptions& asked) {
      vk::DeviceHooks hooks;
      hooks.find = find_kernel;
      hooks.faults = faults;
      hooks.threads = 1;
      return vk::open_device(asked, hooks);
    };
    return device;
  }

  pm_status load(vk::FaultPlan* faults) {
    pm_device chosen = device(faults);
    return pm_model_load(model_, &chosen, &options_, &error_);
  }

  pm_status ask() {
    pm_sampling sampling = PM_SAMPLING_DEFAULTS;
    sampling.seed = 11;
    sampling.max_tokens = 40;
    pm_session_options options = {};
    options.struct_size = sizeof options;
    options.sampling = &sampling;
    pm_session_close(session_);
    session_ = nullptr;
    const pm_status opened = pm_session_open(model_, &options, &session_, &error_);
    return opened == PM_OK ? pm_session_say(session_, PM_USER, "hello", &error_) : opened;
  }

  /// Steps to the end of the answer, or to the first failure.
  pm_status finish() {
    pm_activity activity = PM_READING;
    while (activity != PM_IDLE)
      if (const pm_status status = pm_session_step(session_, 0, &activity, &error_);
          status != PM_OK)
        return status;
    return PM_OK;
  }

  uint32_t tokens_written() {
    pm_session_info info = {};
    info.struct_size = sizeof info;
    EXPECT_EQ(pm_session_describe(session_, &info, &error_), PM_OK) << error_.text;
    return info.activity == PM_WRITING ? info.answer_tokens : 0;
  }

  std::string answer() {
    pm_message message = {};
    message.struct_size = sizeof message;
    EXPECT_EQ(pm_session_message(session_, 1, &message, &error_), PM_OK) << error_.text;
    return message.text ? message.text : "";
  }

  std::deque<vk::FaultPlan> plans_;  ///< outlive the model
  std::vector<std::byte> bytes_;
  pm_error error_ = {};
  pm_load_options options_ = {};
  pm_model* model_ = nullptr;
  pm_session* session_ = nullptr;
};

TEST_F(CApiFaults, ALostDeviceIsFollowedByTheSameTokensOnAFreshOne) {
  ASSERT_EQ(load(nullptr), PM_OK) << error_.text;
  ASSERT_EQ(ask(), PM_OK);
  ASSERT_EQ(finish(), PM_OK) << error_.text;
  const std::string expected = answer();
  ASSERT_GT(expected.size(), 8u);

  vk::FaultPlan& faults = plans_.emplace_back();
  faults.result = VK_ERROR_DEVICE_LOST;
  ASSERT_EQ(load(&faults), PM_OK) << error_.text;
  ASSERT_EQ(ask(), PM_OK);
  pm_activity activity = PM_READING;
  while (tokens_written() < 5)
    ASSERT_EQ(pm_session_step(session_, 0, &activity, &error_), PM_OK) << error_.text;
  faults.fail_at = faults.calls() + 1;
  EXPECT_EQ(finish(), PM_DEVICE_LOST);
  EXPECT_NE(std::string(error_.text), "");
  EXPECT_EQ(finish(), PM_DEVICE_LOST) << "the loss is not forgotten";
  const std::string begun = answer();
  EXPECT_EQ(expected.rfind(begun, 0), 0u);
  ASSERT_EQ(load(nullptr), PM_OK) << error_.text;
  ASSERT_EQ(finish(), PM_OK) << error_.text;
  EXPECT_EQ(answer(), expected);
}

TEST_F(CApiFaults, EveryFailingCallOfALoadIsAStatusAndLeavesNothing) {
  vk::FaultPlan& counting = plans_.emplace_back();
  ASSERT_EQ(load(&counting), PM_OK) << error_.text;
  const uint64_t calls = counting.calls();
  ASSERT_EQ(pm_model_unload(model_, &error_), PM_OK);
  // A few dozen places, spread over the whole load.
  for (uint64_t at = 1; at <= calls; at += std::max<uint64_t>(calls / 40, 1)) {
    vk::FaultPlan& faults = plans_.emplace_back();
    faults.fail_at = at;
    const pm_status status = load(&faults);
    pm_model_info info = {};
    info.struct_size = sizeof info;
    ASSERT_EQ(pm_model_describe(model_, &info, nullptr), PM_OK);
    EXPECT_EQ(info.loaded, status == PM_OK ? 1u : 0u) << at << ": " << faults.failed_call();
    if (status != PM_OK) {
      EXPECT_NE(std::string(error_.text), "") << faults.failed_call();
      EXPECT_EQ(info.device_bytes, 0u);
    }
  }
  ASSERT_EQ(load(nullptr), PM_OK) << error_.text;
  ASSERT_EQ(ask(), PM_OK);
  EXPECT_EQ(finish(), PM_OK) << error_.text;
}

TEST_F(CApiFaults, NothingIsMadeAfterTheFirstToken) {
  ASSERT_EQ(load(nullptr), PM_OK) << error_.text;
  ASSERT_EQ(ask(), PM_OK);
  pm_activity activity = PM_READING;
  while (activity != PM_WRITING)
    ASSERT_EQ(pm_session_step(session_, 0, &activity, &error_), PM_OK) << error_.text;
  pm_model_info before = {}, after = {};
  before.struct_size = after.struct_size = sizeof before;
  ASSERT_EQ(pm_model_describe(model_, &before, nullptr), PM_OK);
  ASSERT_EQ(finish(), PM_OK) << error_.text;
  ASSERT_EQ(pm_model_describe(model_, &after, nullptr), PM_OK);
  EXPECT_EQ(after.allocations, before.allocations);
  EXPECT_EQ(after.device_bytes, before.device_bytes);
  EXPECT_EQ(after.pipelines, before.pipelines);
}

}  // namespace
}  // namespace pumice
