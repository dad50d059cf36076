// The engine as a guest on a host's device: what it needs, what it leaves alone, and text generated
// inside the host's own command buffers.
#include <chrono>
#include <random>

#include "tests/gpu/host_vulkan.h"
#include "tests/gpu/row_engine.h"
#include "tests/gpu/row_model.h"

namespace pumice::test {
namespace {

using enum ErrorCode;

class EmbedTest : public ModelTest {
 protected:
  void SetUp() override {
    ModelTest::SetUp();
    for (int32_t i = 0; i < 70; ++i) prompt_.push_back((i * 29 + 3) % 100);
  }
  void TearDown() override {
    for (const std::string& message : messages_) ADD_FAILURE() << "validation: " << message;
  }

  LoadOptions options() const {
    LoadOptions options = load_options(model_.path(), kFast);
    options.paced = true;
    return options;
  }

  Result<std::unique_ptr<Engine>> load_on(HostVulkan& host) const {
    LoadOptions guest = options();
    guest.open_device = [&host](const vk::DeviceOptions& asked) {
      vk::DeviceHooks hooks;
      hooks.find = find_kernel;
      return vk::borrow_device(host.lend(), asked, hooks);
    };
    return Engine::load(guest);
  }

  /// The first tokens of an answer in whole steps.
  Result<std::vector<Sampled>> whole_steps(Engine& engine, size_t count) {
    const auto start = std::chrono::steady_clock::now();
    std::vector<Sampled> all;
    std::vector<int32_t> tokens = prompt_;
    engine.rewind(0, 0);
    while (all.size() < count) {
      PUMICE_TRY_ASSIGN(const Sampled sampled, engine.append_and_sample(0, tokens));
      all.push_back(sampled);
      tokens = {sampled.token};
    }
    const auto elapsed = std::chrono::steady_clock::now() - start;
    step_us_ = std::chrono::duration<double, std::micro>(elapsed).count() / double(count);
    return all;
  }

  /// A token that takes dozens of frames, of which many are lost, would begin again for ever.
  double lossy_budget() const { return std::max(4000.0, step_us_ / 2); }

  struct Out {
    uint64_t ticket;
    bool done;
  };

  /// The same with all work in the frames of the host. Of the frames a share is thrown away, and
  /// of those half are reported late, when younger slices have run already.
  Result<std::vector<Sampled>> in_frames(HostVulkan& host, Engine& engine, size_t count,
                                         double budget_us, double thrown_away) {
    std::mt19937 random(5);
    const auto chance = [&](double share) { return double(random() % 1000) < share * 1000; };
    std::array<std::vector<Out>, HostVulkan::kFrames> out;
    std::vector<Sampled> all;
    engine.rewind(0, 0);
    PUMICE_TRY(engine.begin(0, prompt_));
    for (frames_ = 0; all.size() < count && frames_ < 5000; ++frames_) {
      std::vector<Out>& mine = out[host.next_frame()];
      const VkCommandBuffer commands = host.begin_frame();
      for (const Out& row : mine) PUMICE_TRY(engine.report(row.ticket, row.done));
      mine.clear();
      if (engine.finished()) {
        PUMICE_TRY_ASSIGN(const auto sampled, engine.take());
        all.push_back(sampled.front());
        PUMICE_TRY(engine.begin(0, std::vector<int32_t>{all.back().token}));
      }
      const bool submit = !chance(thrown_away), late = chance(0.5);
      for (int slice = 0; slice < 2; ++slice) {
        PUMICE_TRY_ASSIGN(const HostSlice written, engine.record({commands}, budget_us));
        if (written.ticket != 0) mine.push_back({written.ticket, submit});
      }
      host.end_frame(submit);
      if (submit || late) continue;
      for (const Out& row : mine) PUMICE_TRY(engine.report(row.ticket, false));
      mine.clear();
    }
    host.wait_for_all();
    for (const auto& rows : out)
      for (const Out& row : rows) PUMICE_TRY(engine.report(row.ticket, row.done));
    engine.discard();
    return all;
  }

  static void expect_same(const Result<std::vector<Sampled>>& found,
                          const Result<std::vector<Sampled>>& expected) {
    ASSERT_TRUE(expected) << expected.error().text;
    ASSERT_TRUE(found) << found.error().text;
    ASSERT_EQ(found->size(), expected->size());
    for (size_t i = 0; i < found->size(); ++i) {
      EXPECT_EQ((*found)[i].token, (*expected)[i].token) << i;
      EXPECT_EQ((*found)[i].logits_hash, (*expected)[i].logits_hash) << i;
    }
  }

  TemporaryModel model_{{}};
  std::vector<int32_t> prompt_;
  std::vector<std::string> messages_;
  int frames_ = 0;
  double step_us_ = 0;  ///< mean of whole steps
};

TEST_F(EmbedTest, TextFromAHostsFramesIsThatOfAStandAloneRun) {
  const auto alone = Engine::load(options());
  ASSERT_TRUE(alone) << alone.error().text;
  const auto expected = whole_steps(**alone, 6);

  HostVulkan host(true);
  ASSERT_NO_FATAL_FAILURE(host.create(true));
  {
    const auto engine = load_on(host);
    ASSERT_TRUE(engine) << engine.error().text;
    EXPECT_GT(host.locks, 0);
    const int64_t allocations = host.allocations;
    expect_same(whole_steps(**engine, 6), expected);
    const vk::DeviceStatistics before = (*engine)->device().statistics();
    expect_same(in_frames(host, **engine, 6, 2000, 0), expected);
    fmt::print("6 tokens in {} frames\n", frames_);
    expect_same(in_frames(host, **engine, 6, lossy_budget(), 0.3), expected);
    fmt::print("6 tokens in {} frames, 30 % of them thrown away\n", frames_);
    const vk::DeviceStatistics& after = (*engine)->device().statistics();
    EXPECT_EQ(after.allocations, before.allocations);
    EXPECT_EQ(after.pipelines_created, before.pipelines_created);
    EXPECT_EQ(after.descriptor_writes, before.descriptor_writes);
    EXPECT_EQ(after.submissions, before.submissions) << "the host submitted everything";
    expect_same(whole_steps(**engine, 6), expected);
    EXPECT_GT(allocations, 0);
  }
  // The engine is gone; the host's device and queue still draw.
  for (int i = 0; i < 3; ++i) {
    (void)host.begin_frame();
    host.end_frame(true);
  }
  host.wait_for_all();
  messages_ = host.messages;
}

TEST_F(EmbedTest, AHostWithoutFeaturesIsServed) {
  HostVulkan host(true);
  ASSERT_NO_FATAL_FAILURE(host.create(false));
  {
    const auto engine = load_on(host);
    ASSERT_TRUE(engine) << engine.error().text;
    const Capabilities& caps = (*engine)->device().capabilities();
    EXPECT_FALSE(caps.fp16 || caps.int8 || caps.storage16 || caps.dot8 || caps.timeline ||
                 caps.subgroup_size_control);
    const auto expected = whole_steps(**engine, 3);
    expect_same(in_frames(host, **engine, 3, lossy_budget(), 0.2), expected);
  }
  messages_ = host.messages;
}

TEST_F(EmbedTest, TicketsOutOfTurnAreRefused) {
  HostVulkan host(false);
  ASSERT_NO_FATAL_FAILURE(host.create(true));
  const auto engine = load_on(host);
  ASSERT_TRUE(engine) << engine.error().text;
  const VkCommandBuffer commands = host.begin_frame();
  EXPECT_EQ((*engine)->record({commands}, 1000).error().code, BadArgument) << "no step";
  ASSERT_TRUE((*engine)->begin(0, prompt_));
  EXPECT_EQ((*engine)->record({nullptr}, 1000).error().code, BadArgument);
  EXPECT_EQ((*engine)->record({commands}, 0).error().code, BadArgument);
  EXPECT_EQ((*engine)->report(1, true).error().code, BadArgument);
  const auto slice = (*engine)->record({commands}, 1000);
  ASSERT_TRUE(slice) << slice.error().text;
  EXPECT_GT(slice->segments, 0u);
  EXPECT_EQ((*engine)->advance(1000).error().code, BadArgument) << "a ticket is out";
  host.end_frame(true);
  host.wait_for_all();
  (*engine)->discard();
  EXPECT_EQ((*engine)->begin(0, prompt_).error().code, BadArgument) << "a ticket is out";
  EXPECT_EQ((*engine)->tickets_out(), 1u);
  ASSERT_TRUE((*engine)->report(slice->ticket, true));
  EXPECT_EQ((*engine)->report(slice->ticket, true).error().code, BadArgument);
  EXPECT_TRUE((*engine)->append_and_sample(0, prompt_));
}

TEST_F(EmbedTest, WhatCannotBeLentIsRefused) {
  HostVulkan host(false);
  ASSERT_NO_FATAL_FAILURE(host.create(true));
  const auto refused = [&](const char* what, auto change) {
    vk::HostDevice lent = host.lend();
    change(lent);
    const auto device = vk::borrow_device(lent, {}, {});
    ASSERT_FALSE(device) << what;
    EXPECT_GT(device.error().text.size(), 30u) << device.error().text;
  };
  refused("no device", [](auto& lent) { lent.device = VK_NULL_HANDLE; });
  refused("no queue", [](auto& lent) { lent.queue = VK_NULL_HANDLE; });
  refused("no instance", [](auto& lent) { lent.instance = VK_NULL_HANDLE; });
  refused("no functions", [](auto& lent) { lent.get_instance_proc_addr = nullptr; });
  refused("a family that is not there", [](auto& lent) { lent.queue_family = 77; });
  refused("an old instance", [](auto& lent) { lent.api_version = VK_API_VERSION_1_1; });
  refused("half a lock", [](auto& lent) { lent.unlock_queue = nullptr; });
  EXPECT_GT(host.requirements().summary.caps.max_workgroup_invocations, 0u);
}

}  // namespace
}  // namespace pumice::test
