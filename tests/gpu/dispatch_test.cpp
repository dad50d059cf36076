// Recording and running dispatch lists.
#include <algorithm>
#include <cstring>

#include "tests/gpu/test_kernels.h"

namespace pumice::vk {
namespace {

class DispatchTest : public GpuTest {
 protected:
  void expect_filled(BufferId buffer, uint32_t value) {
    const auto row = view(buffer);
    for (size_t i = 0; i < row.size(); ++i) ASSERT_EQ(row[i], value + i) << "at " << i;
  }
};

TEST_F(DispatchTest, ChainWithBarriersComputesInOrder) {
  open();
  const BufferId a = words(1000), b = words(1000), c = words(1000);
  std::vector<Dispatch> list{fill(all(a), 1), fill(all(b), 2, 32), add(all(a), all(b), all(c)),
                             add(all(c), all(c), all(a))};
  list[1].barrier = false;
  const auto done = run(list);
  ASSERT_TRUE(done) << done.error().text;
  for (uint32_t i = 0; i < 1000; ++i) ASSERT_EQ(view(a)[i], 2 * (3 + 2 * i));
}

class TexelTest : public DispatchTest, public testing::WithParamInterface<const char*> {};

TEST_P(TexelTest, BuffersOfEveryType) {
  open();
  constexpr uint32_t kTexels = 1000;
  const BufferId a = words(4 * kTexels), b = words(4 * kTexels), c = words(4 * kTexels),
                 y = words(4 * kTexels);
  for (uint32_t i = 0; i < 4 * kTexels; ++i) {
    view(a)[i] = i;
    const float half = 0.5f * float(i);
    std::memcpy(&view(b)[i], &half, 4);
    view(c)[i] = uint32_t(-int32_t(i) * 3);
  }
  Dispatch dispatch;
  dispatch.kernel = GetParam();
  dispatch.bindings = {all(a), all(b), all(c), all(y)};
  dispatch.push = {kTexels};
  dispatch.groups = {(kTexels + 63) / 64, 1, 1};
  const auto done = run({dispatch});
  ASSERT_TRUE(done) << done.error().text;
  for (uint32_t i = 0; i < 4 * kTexels; ++i) {
    float value = 0;
    std::memcpy(&value, &view(y)[i], 4);
    ASSERT_EQ(value, -1.5f * float(i)) << "at " << i;
  }
}

INSTANTIATE_TEST_SUITE_P(Uniform, TexelTest, testing::Values("texel"));
INSTANTIATE_TEST_SUITE_P(Storage, TexelTest, testing::Values("image"));

TEST_F(DispatchTest, IndirectCountsComeFromTheDevice) {
  open();
  // The first dispatch writes {2, 3, 4}: 2 x 3 x 4 groups, of which x alone counts.
  const BufferId counts = words(3), y = words(256);
  Dispatch indirect = fill(all(y), 100, 64);
  indirect.groups = {99, 99, 99};
  indirect.indirect = all(counts);
  const auto done = run({fill(all(counts), 2, 32), indirect});
  ASSERT_TRUE(done) << done.error().text;
  for (uint32_t i = 0; i < 256; ++i) ASSERT_EQ(view(y)[i], i < 128 ? 100 + i : 0u);
}

/// The same with fences instead of a timeline semaphore.
class SubmissionTest : public DispatchTest, public testing::WithParamInterface<bool> {
 protected:
  void SetUp() override {
    DispatchTest::SetUp();
    if (IsSkipped()) return;
    DeviceHooks hooks;
    hooks.adjust = [](Capabilities& caps) { caps.timeline = caps.timeline && GetParam(); };
    open({}, hooks);
    ASSERT_EQ(device->capabilities().timeline, GetParam());
  }
};

TEST_P(SubmissionTest, CommandsAreSubmittedAgainAndAgain) {
  const BufferId y = words(4096);
  const std::vector<Dispatch> list{add(all(y), all(y), all(y))};
  // y = y + y reads and writes one buffer element by element: no hazard within one dispatch.
  const auto command = device->record(list);
  ASSERT_TRUE(command) << command.error().text;
  view(y)[5] = 1;
  const uint64_t pipelines = device->statistics().pipelines_created;
  const uint64_t writes = device->statistics().descriptor_writes;
  for (int i = 0; i < 20; ++i) {
    const auto ticket = device->submit(*command);
    ASSERT_TRUE(ticket) << ticket.error().text;
    const auto done = device->wait(*ticket);
    ASSERT_TRUE(done) << done.error().text;
    EXPECT_TRUE(device->finished(*ticket).value_or(false));
  }
  EXPECT_EQ(view(y)[5], 1u << 20);
  EXPECT_EQ(device->statistics().pipelines_created, pipelines);
  EXPECT_EQ(device->statistics().descriptor_writes, writes);
  EXPECT_EQ(device->statistics().submissions, 20u);
}

TEST_P(SubmissionTest, SubmissionsFollowEachOtherWithoutWaiting) {
  const BufferId a = words(2048), b = words(2048);
  std::vector<CommandId> commands;
  for (int i = 0; i < 6; ++i) {
    const bool even = i % 2 == 0;
    const std::vector<Dispatch> list{add(all(even ? a : b), all(even ? a : b), all(even ? b : a))};
    const auto command = device->record(list);
    ASSERT_TRUE(command) << command.error().text;
    commands.push_back(*command);
  }
  view(a)[7] = 3;
  Ticket last = 0;
  for (const CommandId command : commands) {
    const auto ticket = device->submit(command);
    ASSERT_TRUE(ticket) << ticket.error().text;
    EXPECT_GT(*ticket, last);
    last = *ticket;
  }
  ASSERT_TRUE(device->wait(last));
  EXPECT_EQ(view(a)[7], 3u << 6);
  for (Ticket ticket = 1; ticket <= last; ++ticket) EXPECT_TRUE(*device->finished(ticket));
}

TEST_P(SubmissionTest, BadRequestsAreRefusedInWords) {
  EXPECT_EQ(device->submit(77).error().code, ErrorCode::BadArgument);
  EXPECT_EQ(device->wait(77).error().code, ErrorCode::BadArgument);
  EXPECT_EQ(device->record({}).error().code, ErrorCode::BadArgument);
  const BufferId y = words(64);
  const std::vector<Dispatch> list{fill(all(y), 0)};
  const auto command = device->record(list);
  ASSERT_TRUE(command);
  device->destroy_buffer(y);
  const auto refused = device->submit(*command);
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().text.find("was destroyed"), std::string::npos) << refused.error().text;
  device->forget(*command);
  device->forget(*command);
  EXPECT_FALSE(device->submit(*command));
}

INSTANTIATE_TEST_SUITE_P(Sync, SubmissionTest, testing::Values(true, false),
                         [](const auto& row) { return row.param ? "Timeline" : "Fence"; });

TEST_F(DispatchTest, UnknownKernelIsNamed) {
  open();
  Dispatch dispatch;
  dispatch.kernel = "matvec.q9_z";
  const auto refused = device->record(std::span(&dispatch, 1));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::NotFound);
  EXPECT_NE(refused.error().text.find("matvec.q9_z"), std::string::npos);
}

TEST_F(DispatchTest, WorkGroupOverTheLimitIsRefused) {
  open();
  const BufferId y = words(64);
  const std::vector<Dispatch> list{fill(all(y), 0, 4096)};
  const auto refused = device->record(list);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::Unsupported);
  EXPECT_NE(refused.error().text.find("4096 x 1 x 1"), std::string::npos) << refused.error().text;
}

TEST_F(DispatchTest, PipelinesAreMadeOnceAndInParallel) {
  open();
  const BufferId y = words(64);
  std::vector<Dispatch> list;
  for (uint32_t size = 1; size <= 64; ++size) list.push_back(fill(all(y), size, size));
  ASSERT_TRUE(device->prepare(list));
  EXPECT_EQ(device->statistics().pipelines_created, 64u);
  ASSERT_TRUE(device->prepare(list));
  EXPECT_EQ(device->statistics().pipelines_created, 64u);
  const auto done = run(list);
  ASSERT_TRUE(done) << done.error().text;
  expect_filled(y, 64);
}

TEST_F(DispatchTest, TimesEveryDispatch) {
  DeviceOptions options;
  options.timestamps = true;
  open(options);
  if (!device->capabilities().timestamps) GTEST_SKIP() << "this driver has no timestamps";
  const BufferId y = words(1 << 16);
  std::vector<Dispatch> list{fill(all(y), 1), fill(all(y), 2)};
  list[1].label = "second";
  const auto command = device->record(list);
  ASSERT_TRUE(command) << command.error().text;
  EXPECT_EQ(device->timings(*command).error().code, ErrorCode::BadArgument);
  const auto ticket = device->submit(*command);
  ASSERT_TRUE(ticket && device->wait(*ticket));
  const auto times = device->timings(*command);
  ASSERT_TRUE(times) << times.error().text;
  ASSERT_EQ(times->size(), 2u);
  EXPECT_EQ((*times)[1].label, "second");
  for (const Timing& row : *times) {
    EXPECT_GE(row.microseconds, 0.0);
    EXPECT_LT(row.microseconds, 1e7);
  }
  EXPECT_GT((*times)[0].microseconds + (*times)[1].microseconds, 0.0);
}

}  // namespace
}  // namespace pumice::vk
