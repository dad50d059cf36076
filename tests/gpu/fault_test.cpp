// Every Vulkan call of load + work + shutdown fails once: an error with words, no crash, no leak.
#include <filesystem>

#include "tests/gpu/test_kernels.h"

namespace pumice::vk {
namespace {

class FaultTest : public GpuTest {
 protected:
  /// Opens, allocates, uploads, runs two submissions, reads times, destroys.
  Result<void> life(FaultPlan& faults, bool timeline) {
    DeviceHooks hooks;
    hooks.find = find_test_kernel;
    hooks.faults = &faults;
    hooks.staged_memory = true;
    hooks.threads = 1;  // the same calls in the same order each time
    hooks.validation_sink = &messages;
    hooks.adjust = [&](Capabilities& caps) { caps.timeline = caps.timeline && timeline; };
    DeviceOptions options;
    options.validation = true;
    options.timestamps = true;
    options.pipeline_cache = cache_.string();
    PUMICE_TRY_ASSIGN(device, open_device(options, hooks));
    auto done = work();
    device.reset();
    return done;
  }

  Result<void> work() {
    constexpr uint64_t kBytes = 4096;
    PUMICE_TRY_ASSIGN(const BufferId a, device->create_buffer({"a", kBytes, BufferDomain::Device}));
    PUMICE_TRY_ASSIGN(const BufferId y,
                      device->create_buffer({"y", kBytes, BufferDomain::Readback}));
    const std::vector<std::byte> data(kBytes, std::byte{1});
    PUMICE_TRY(device->upload({a, 0, kBytes}, data));
    PUMICE_TRY(device->finish_uploads());
    Dispatch texel;
    texel.kernel = "texel";
    texel.bindings = {{a, 0, kBytes}, {a, 0, kBytes}, {a, 0, kBytes}, {y, 0, kBytes}};
    texel.push = {kBytes / 16};
    texel.groups = {4, 1, 1};
    const std::vector<Dispatch> list{fill({y, 0, kBytes}, 3), texel,
                                     add({a, 0, kBytes}, {a, 0, kBytes}, {y, 0, kBytes})};
    PUMICE_TRY(device->prepare(list));
    PUMICE_TRY_ASSIGN(const CommandId command, device->record(list));
    for (int token = 0; token < 2; ++token) {
      PUMICE_TRY_ASSIGN(const Ticket ticket, device->submit(command));
      PUMICE_TRY(device->wait(ticket));
    }
    if (device->capabilities().timestamps) {
      PUMICE_TRY_ASSIGN(const auto times, device->timings(command));
      EXPECT_EQ(times.size(), list.size());
    }
    EXPECT_EQ(view(y)[17], 0x02020202u);
    device->forget(command);
    device->destroy_buffer(a);
    return device->save_pipeline_cache();
  }

  /// Fails call 1, 2, ... of the life until none is left to fail.
  void fail_every_call(VkResult result, bool timeline) {
    FaultPlan none;
    const auto whole = life(none, timeline);
    ASSERT_TRUE(whole) << whole.error().text;
    ASSERT_GT(none.calls(), 50u);
    size_t refused = 0;
    for (uint64_t n = 1; n <= none.calls() + 1; ++n) {
      std::filesystem::remove(cache_);
      FaultPlan faults;
      faults.fail_at = n;
      faults.result = result;
      const auto done = life(faults, timeline);
      SCOPED_TRACE("call " + std::to_string(n) + ": " + faults.failed_call());
      for (const auto& message : messages) ADD_FAILURE() << "validation: " << message;
      ASSERT_TRUE(messages.empty());
      if (n > none.calls()) {
        // Every call was counted; a life without a failure succeeds again.
        EXPECT_TRUE(done) << done.error().text;
        EXPECT_EQ(faults.failed_call(), "");
        break;
      }
      EXPECT_NE(faults.failed_call(), "");
      if (done) continue;  // a failure that changes nothing: a name, the last wait
      ++refused;
      EXPECT_GT(done.error().text.size(), 30u) << done.error().text;
      EXPECT_EQ(done.error().text.find('\n'), std::string::npos);
      expect_names_result(done.error(), result);
    }
    EXPECT_GT(refused, none.calls() / 2);
  }

  static void expect_names_result(const Error& error, VkResult result) {
    if (result == VK_ERROR_DEVICE_LOST)
      EXPECT_TRUE(error.code == ErrorCode::DeviceLost || error.code == ErrorCode::OutOfMemory ||
                  error.code == ErrorCode::NoDevice || error.code == ErrorCode::NotFound)
          << error.text;
    else
      EXPECT_TRUE(error.code == ErrorCode::OutOfMemory || error.code == ErrorCode::NotFound)
          << error.text;
  }

  std::filesystem::path cache_ =
      std::filesystem::path(testing::TempDir()) / ("pumice-fault-" + unique_name() + ".cache");

  static std::string unique_name() {
    const auto* info = testing::UnitTest::GetInstance()->current_test_info();
    return std::string(info->name()) + std::to_string(uintptr_t(&info));
  }

  void TearDown() override {
    GpuTest::TearDown();
    std::error_code ignored;
    std::filesystem::remove(cache_, ignored);
  }
};

TEST_F(FaultTest, EveryCallOutOfHostMemory) {
  fail_every_call(VK_ERROR_OUT_OF_HOST_MEMORY, true);
}

TEST_F(FaultTest, EveryCallOutOfDeviceMemoryWithFences) {
  fail_every_call(VK_ERROR_OUT_OF_DEVICE_MEMORY, false);
}

TEST_F(FaultTest, EveryCallLosesTheDevice) {
  fail_every_call(VK_ERROR_DEVICE_LOST, true);
}

TEST_F(FaultTest, EveryCallLosesTheDeviceWithFences) {
  fail_every_call(VK_ERROR_DEVICE_LOST, false);
}

TEST_F(FaultTest, LossIsSticky) {
  FaultPlan faults;
  faults.only = "vkQueueSubmit";
  faults.result = VK_ERROR_DEVICE_LOST;
  DeviceHooks hooks;
  hooks.faults = &faults;
  open({}, hooks);
  const BufferId y = words(64);
  const std::vector<Dispatch> list{fill(all(y), 1)};
  const auto command = device->record(list);
  ASSERT_TRUE(command);
  const auto ticket = device->submit(*command);
  ASSERT_TRUE(ticket && device->wait(*ticket));
  faults.fail_at = faults.calls() + 1;
  const auto lost = device->submit(*command);
  ASSERT_FALSE(lost);
  EXPECT_EQ(lost.error().code, ErrorCode::DeviceLost);
  EXPECT_NE(lost.error().text.find("vkQueueSubmit"), std::string::npos) << lost.error().text;
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(device->submit(*command).error().code, ErrorCode::DeviceLost);
    EXPECT_EQ(device->record(list).error().code, ErrorCode::DeviceLost);
    EXPECT_EQ(device->create_buffer({"b", 64, BufferDomain::Device}).error().code,
              ErrorCode::DeviceLost);
  }
  EXPECT_TRUE(device->wait(*ticket)) << "what was finished before the loss stays finished";
  device.reset();  // before the plan that it points to
}

/// A device that does not answer in time.
TEST_F(FaultTest, SilenceIsReportedAfterTheLimit) {
  FaultPlan faults;
  faults.only = "vkWaitSemaphores";
  faults.result = VK_TIMEOUT;
  DeviceHooks hooks;
  hooks.faults = &faults;
  open({}, hooks);
  const BufferId y = words(64);
  const std::vector<Dispatch> list{fill(all(y), 1)};
  const auto command = device->record(list);
  ASSERT_TRUE(command);
  const auto ticket = device->submit(*command);
  ASSERT_TRUE(ticket);
  faults.fail_at = faults.calls() + 1;
  const auto late = device->wait(*ticket, std::chrono::milliseconds(250));
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().code, ErrorCode::DeviceLost);
  EXPECT_NE(late.error().text.find("250 ms"), std::string::npos) << late.error().text;
  EXPECT_TRUE(device->wait(*ticket));
  device.reset();
}

/// Lowered limits are obeyed and named.
TEST_F(FaultTest, LoweredLimitsAreErrorsInWords) {
  DeviceHooks hooks;
  hooks.adjust = [](Capabilities& caps) {
    caps.max_storage_range = 1024;
    caps.max_texel_elements = 16;
    caps.max_allocation = 8192;
    caps.max_workgroup_count = {4, 1, 1};
  };
  open({}, hooks);
  const BufferId y = words(2048);
  const auto text_of = [&](const Dispatch& dispatch) {
    const auto refused = device->record(std::span(&dispatch, 1));
    return refused ? std::string() : refused.error().text;
  };
  EXPECT_NE(text_of(fill(all(y), 1)).find("8192 bytes of storage buffer"), std::string::npos);
  Dispatch many = fill({y, 0, 1024}, 1);
  many.groups = {5, 1, 1};
  EXPECT_NE(text_of(many).find("5 x 1 x 1 work groups"), std::string::npos) << text_of(many);
  Dispatch texel;
  texel.kernel = "texel";
  texel.push = {1};
  texel.bindings = {{y, 0, 1024}, {y, 0, 256}, {y, 0, 256}, {y, 0, 256}};
  EXPECT_NE(text_of(texel).find("64 texels"), std::string::npos) << text_of(texel);
  EXPECT_FALSE(device->create_buffer({"large", 8193, BufferDomain::Device}));
}

/// The cache file survives a run, and is replaced when it was damaged.
TEST_F(FaultTest, DamagedCacheFileIsReplaced) {
  FaultPlan none;
  ASSERT_TRUE(life(none, true));
  ASSERT_TRUE(std::filesystem::exists(cache_));
  const auto bytes = std::filesystem::file_size(cache_);
  std::filesystem::resize_file(cache_, bytes / 2);
  FaultPlan again;
  ASSERT_TRUE(life(again, true));
  EXPECT_EQ(std::filesystem::file_size(cache_), bytes);
}

}  // namespace
}  // namespace pumice::vk
