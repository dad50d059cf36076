// The public headers as a game uses them: its own device lent, its frames drawing and carrying the
// model's work, and the text that of a stand-alone run. Only functions of pm_* reach the engine.
#include <gtest/gtest.h>
#include <pumice_vulkan.h>

#include <array>
#include <random>
#include <string>
#include <vector>

#include "tests/gpu/host_vulkan.h"
#include "tests/gpu/test_kernels.h"
#include "tests/support/chat_model.h"

namespace pumice::test {
namespace {

template <class Struct>
Struct sized() {
  Struct made = {};
  made.struct_size = sizeof made;
  return made;
}

/// Closes what it holds at the end of a test, sessions first.
struct Opened {
  pm_device* device = nullptr;
  pm_model* model = nullptr;
  std::vector<pm_session*> sessions;
  ~Opened() {
    for (pm_session* session : sessions) pm_session_close(session);
    pm_model_close(model);
    pm_device_close(device);
  }
};

class EmbedCApi : public testing::Test {
 protected:
  static constexpr uint32_t kTokens = 16;     ///< of an answer
  static constexpr int kMostFrames = 20'000;  ///< even where other work delays the device

  void SetUp() override {
    if (const auto reason = vk::missing_driver(); !reason.empty()) GTEST_SKIP() << reason;
    bytes_ = chat_model().bytes();
  }

  void TearDown() override {
    for (const std::string& message : messages_) ADD_FAILURE() << "validation: " << message;
  }

  void expect_ok(pm_status status) { ASSERT_EQ(status, PM_OK) << error_.text; }

  /// A lent device, with exactly what pm_vulkan_query_requirements asked for, or nothing.
  void borrow(HostVulkan& host, pm_device** device, bool features = true) {
    const vk::HostDevice lent = host.lend();
    auto wish = sized<pm_vulkan_requirements>();
    expect_ok(pm_vulkan_query_requirements(lent.get_instance_proc_addr, lent.instance,
                                           lent.physical_device, lent.api_version, &wish, &error_));
    EXPECT_EQ(wish.extension_count, host.requirements().extensions.size());
    auto given = sized<pm_vulkan_host>();
    given.api_version = lent.api_version;
    given.get_instance_proc_addr = lent.get_instance_proc_addr;
    given.instance = lent.instance;
    given.physical_device = lent.physical_device;
    given.device = lent.device;
    given.queue = lent.queue;
    given.queue_family = lent.queue_family;
    given.features = features ? wish.features : 0;
    given.debug_utils = lent.debug_utils;
    given.time_kernels = 1;
    given.allocator = lent.allocator;
    given.lock_queue = lent.lock_queue;
    given.unlock_queue = lent.unlock_queue;
    given.user = lent.user;
    expect_ok(pm_device_borrow(&given, device, &error_));
  }

  /// The fixture on the device, with sessions that wait for answers.
  void load(Opened& opened, uint32_t sessions) {
    auto options = sized<pm_load_options>();
    options.sessions = sessions;
    options.paced = 1;
    expect_ok(
        pm_model_open_memory("fixture", bytes_.data(), bytes_.size(), &opened.model, &error_));
    expect_ok(pm_model_load(opened.model, opened.device, &options, &error_));
    pm_sampling sampling = PM_SAMPLING_DEFAULTS;
    sampling.seed = 5;
    sampling.max_tokens = kTokens;
    auto how = sized<pm_session_options>();
    how.sampling = &sampling;
    for (uint32_t i = 0; i < sessions; ++i) {
      expect_ok(pm_session_open(opened.model, &how, &opened.sessions.emplace_back(), &error_));
      expect_ok(pm_session_say(opened.sessions[i], PM_USER, kQuestions[i], &error_));
    }
  }

  pm_session_info info_of(pm_session* session) {
    auto info = sized<pm_session_info>();
    EXPECT_EQ(pm_session_describe(session, &info, &error_), PM_OK) << error_.text;
    return info;
  }

  pm_model_info info_of(pm_model* model) {
    auto info = sized<pm_model_info>();
    EXPECT_EQ(pm_model_describe(model, &info, &error_), PM_OK) << error_.text;
    return info;
  }

  std::string answer_of(pm_session* session) {
    auto message = sized<pm_message>();
    EXPECT_EQ(pm_session_message(session, pm_session_count(session) - 1, &message, &error_), PM_OK)
        << error_.text;
    EXPECT_EQ(message.role, PM_ASSISTANT);
    EXPECT_EQ(message.tokens, kTokens);
    return message.text ? message.text : "";
  }

  /// What a program without Vulkan of its own gets.
  std::vector<std::string> stand_alone(uint32_t sessions) {
    Opened opened;
    expect_ok(pm_device_open(nullptr, &opened.device, &error_));
    load(opened, sessions);
    std::vector<std::string> answers;
    for (pm_session* session : opened.sessions) {
      expect_ok(pm_session_step(session, UINT32_MAX, nullptr, &error_));
      answers.push_back(answer_of(session));
    }
    return answers;
  }

  struct Out {
    pm_ticket ticket;
    bool submitted;
  };
  using Frames = std::array<std::vector<Out>, HostVulkan::kFrames>;

  void report(std::vector<Out>& tickets, pm_session* through) {
    for (const Out& out : tickets)
      expect_ok(out.submitted ? pm_ticket_done(through, out.ticket, &error_)
                              : pm_ticket_discarded(through, out.ticket, &error_));
    tickets.clear();
  }

  /// Frames until all sessions have answered, each carrying a slice of one of them; of the frames a
  /// share is never submitted. Returns how many there were.
  int run_frames(HostVulkan& host, Opened& opened, uint32_t budget_us, double thrown_away) {
    std::mt19937 random(7);
    Frames out;
    int frames = 0;
    const auto busy = [&] {
      for (pm_session* session : opened.sessions)
        if (info_of(session).activity != PM_IDLE) return true;
      return false;
    };
    for (; busy() && frames < kMostFrames && !HasFatalFailure(); ++frames) {
      pm_session* turn = opened.sessions[size_t(frames) % opened.sessions.size()];
      std::vector<Out>& mine = out[host.next_frame()];
      const VkCommandBuffer commands = host.begin_frame();
      report(mine, turn);
      const bool submit = double(random() % 1000) >= thrown_away * 1000;
      pm_ticket ticket = 0;
      expect_ok(pm_session_record(turn, commands, budget_us, &ticket, &error_));
      if (ticket != 0) mine.push_back({ticket, submit});
      host.end_frame(submit);
      if (!submit) report(mine, turn);
    }
    EXPECT_LT(frames, kMostFrames) << "the answers do not come to an end";
    host.wait_for_all();
    for (std::vector<Out>& mine : out) report(mine, opened.sessions.front());
    return frames;
  }

  static constexpr const char* kQuestions[] = {"who are you", "what is the time"};
  std::vector<std::byte> bytes_;
  std::vector<std::string> messages_;  ///< of validation
  pm_error error_ = sized<pm_error>();
};

TEST_F(EmbedCApi, FramesOfAGameGiveTheTextOfAStandAloneRun) {
  const std::vector<std::string> expected = stand_alone(1);
  HostVulkan host(true);
  ASSERT_NO_FATAL_FAILURE(host.create(true));
  for (const double thrown_away : {0.0, 0.25}) {
    Opened opened;
    ASSERT_NO_FATAL_FAILURE(borrow(host, &opened.device));
    ASSERT_NO_FATAL_FAILURE(load(opened, 1));
    const pm_model_info before = info_of(opened.model);
    const int frames = run_frames(host, opened, 2000, thrown_away);
    EXPECT_EQ(answer_of(opened.sessions[0]), expected[0]);
    fmt::print("{} tokens in {} frames, {:.0f} % of them thrown away\n", kTokens, frames,
               100 * thrown_away);
    const pm_model_info after = info_of(opened.model);
    EXPECT_EQ(after.allocations, before.allocations);
    EXPECT_EQ(after.pipelines, before.pipelines);
    const pm_session_info info = info_of(opened.sessions[0]);
    EXPECT_EQ(info.ending, PM_TOKEN_LIMIT);
    EXPECT_GT(info.tokens_per_second, 0);
    uint32_t kinds = 0;
    expect_ok(pm_model_kernel_times(opened.model, nullptr, &kinds, &error_));
    EXPECT_GT(kinds, 4u);
  }
  EXPECT_GT(host.allocations, 0);
  EXPECT_GT(host.locks, 0);
  messages_ = host.messages;
}

TEST_F(EmbedCApi, TwoSessionsShareTheFrames) {
  const std::vector<std::string> expected = stand_alone(2);
  EXPECT_NE(expected[0], expected[1]);
  HostVulkan host(true);
  ASSERT_NO_FATAL_FAILURE(host.create(true));
  {
    Opened opened;
    ASSERT_NO_FATAL_FAILURE(borrow(host, &opened.device));
    ASSERT_NO_FATAL_FAILURE(load(opened, 2));
    (void)run_frames(host, opened, 4000, 0.1);
    for (size_t i = 0; i < 2; ++i) EXPECT_EQ(answer_of(opened.sessions[i]), expected[i]) << i;
  }
  messages_ = host.messages;
}

TEST_F(EmbedCApi, AHostWithoutFeaturesCanStepToo) {
  HostVulkan host(true);
  ASSERT_NO_FATAL_FAILURE(host.create(false));
  {
    Opened opened;
    ASSERT_NO_FATAL_FAILURE(borrow(host, &opened.device, false));
    ASSERT_NO_FATAL_FAILURE(load(opened, 1));
    pm_session* session = opened.sessions[0];
    expect_ok(pm_session_step(session, UINT32_MAX, nullptr, &error_));
    const std::string stepped = answer_of(session);
    expect_ok(pm_session_rewind(session, 1, &error_));
    (void)run_frames(host, opened, 4000, 0);
    EXPECT_EQ(answer_of(session), stepped);
  }
  messages_ = host.messages;
}

TEST_F(EmbedCApi, WhatIsOutIsRespected) {
  HostVulkan host(false);
  ASSERT_NO_FATAL_FAILURE(host.create(true));
  Opened opened;
  ASSERT_NO_FATAL_FAILURE(borrow(host, &opened.device));
  ASSERT_NO_FATAL_FAILURE(load(opened, 1));
  pm_session* session = opened.sessions[0];
  pm_ticket ticket = 0;
  EXPECT_EQ(pm_ticket_done(session, 3, &error_), PM_BAD_ARGUMENT) << "never given";
  const VkCommandBuffer commands = host.begin_frame();
  EXPECT_EQ(pm_session_record(session, nullptr, 1000, &ticket, &error_), PM_BAD_ARGUMENT);
  expect_ok(pm_session_record(session, commands, 1000, &ticket, &error_));
  ASSERT_NE(ticket, 0u);
  size_t size = 0;
  EXPECT_EQ(pm_session_step(session, 1000, nullptr, &error_), PM_BAD_ARGUMENT);
  EXPECT_EQ(pm_model_unload(opened.model, &error_), PM_BAD_ARGUMENT);
  EXPECT_EQ(pm_model_load(opened.model, opened.device, nullptr, &error_), PM_BAD_ARGUMENT);
  EXPECT_NE(std::string(error_.text).find("tickets are out"), std::string::npos) << error_.text;
  EXPECT_EQ(pm_session_save(session, PM_SAVE_CACHE, nullptr, 0, &size, &error_), PM_BAD_ARGUMENT);
  expect_ok(pm_session_save(session, 0, nullptr, 0, &size, &error_));
  host.end_frame(true);

  // Stopped while its work is on the queue: nothing more is written, and the report ends it.
  pm_session_stop(session);
  const VkCommandBuffer next = host.begin_frame();
  pm_ticket none = 99;
  expect_ok(pm_session_record(session, next, 1000, &none, &error_));
  EXPECT_EQ(none, 0u);
  host.end_frame(true);
  host.wait_for_all();
  expect_ok(pm_ticket_done(session, ticket, &error_));
  EXPECT_EQ(pm_ticket_done(session, ticket, &error_), PM_BAD_ARGUMENT) << "reported before";
  EXPECT_EQ(info_of(session).activity, PM_IDLE);
  EXPECT_EQ(info_of(session).ending, PM_STOPPED);
  expect_ok(pm_session_rewind(session, 1, &error_));
  expect_ok(pm_session_step(session, UINT32_MAX, nullptr, &error_));
  EXPECT_EQ(info_of(session).answer_tokens, kTokens);
}

TEST_F(EmbedCApi, WhatCannotBeLentIsRefusedWithWords) {
  HostVulkan host(false);
  ASSERT_NO_FATAL_FAILURE(host.create(true));
  const vk::HostDevice lent = host.lend();
  auto wish = sized<pm_vulkan_requirements>();
  EXPECT_EQ(pm_vulkan_query_requirements(nullptr, lent.instance, lent.physical_device,
                                         lent.api_version, &wish, &error_),
            PM_BAD_ARGUMENT);
  EXPECT_EQ(pm_vulkan_query_requirements(lent.get_instance_proc_addr, lent.instance, nullptr,
                                         lent.api_version, &wish, &error_),
            PM_BAD_ARGUMENT);
  EXPECT_EQ(pm_vulkan_query_requirements(lent.get_instance_proc_addr, lent.instance,
                                         lent.physical_device, VK_API_VERSION_1_1, &wish, &error_),
            PM_NO_DEVICE);
  pm_device* device = nullptr;
  auto given = sized<pm_vulkan_host>();
  EXPECT_EQ(pm_device_borrow(&given, &device, &error_), PM_BAD_ARGUMENT);
  EXPECT_EQ(pm_device_borrow(nullptr, &device, &error_), PM_BAD_ARGUMENT);
  given.struct_size = 0;
  EXPECT_EQ(pm_device_borrow(&given, &device, &error_), PM_BAD_ARGUMENT);
  EXPECT_NE(std::string(error_.text), "");
  EXPECT_EQ(device, nullptr);
}

}  // namespace
}  // namespace pumice::test
