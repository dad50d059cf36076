// Buffers: domains, zero fill, uploads, limits.
#include <algorithm>
#include <numeric>

#include "tests/gpu/test_kernels.h"

namespace pumice::vk {
namespace {

using BufferTest = GpuTest;

TEST_F(BufferTest, AreZeroFilledAndMapped) {
  open();
  for (const auto domain : {BufferDomain::Device, BufferDomain::Upload, BufferDomain::Readback}) {
    // Twice: the second may get the first one's dirty memory.
    for (int round = 0; round < 2; ++round) {
      const BufferId buffer = words(100003, domain);
      const auto view_of = view(buffer);
      ASSERT_EQ(view_of.size(), 100003u);
      EXPECT_TRUE(std::all_of(view_of.begin(), view_of.end(), [](uint32_t w) { return w == 0; }));
      std::fill(view_of.begin(), view_of.end(), 0xDEADBEEFu);
      device->destroy_buffer(buffer);
      EXPECT_TRUE(device->mapped(buffer).empty());
    }
  }
  EXPECT_EQ(device->statistics().bytes_allocated, 0u);
}

/// Uploads through the ring (37 MiB: more than both halves) into memory the host cannot see, then
/// adds it to a zero-filled buffer of that memory and looks at the sum.
TEST_F(BufferTest, StagedUploadArrivesWhole) {
  DeviceHooks hooks;
  hooks.staged_memory = true;
  open({}, hooks);
  const size_t number = (size_t(37) << 20) / 4 + 3;
  std::vector<uint32_t> data(number);
  std::iota(data.begin(), data.end(), 12345u);
  const BufferId hidden = words(number, BufferDomain::Device);
  const BufferId zeros = words(number, BufferDomain::Device);
  const BufferId sum = words(number, BufferDomain::Readback);
  EXPECT_TRUE(device->mapped(hidden).empty());
  const auto bytes = std::as_bytes(std::span(data));
  const size_t cut = 1000 * 4;
  ASSERT_TRUE(device->upload({hidden, 0, cut}, bytes.first(cut)));
  ASSERT_TRUE(device->upload({hidden, cut, bytes.size() - cut}, bytes.subspan(cut)));
  ASSERT_TRUE(device->finish_uploads());
  Dispatch dispatch = add({hidden, 0, bytes.size()}, {zeros, 0, bytes.size()}, all(sum));
  const uint32_t groups = dispatch.groups[0];
  ASSERT_GT(groups, 65535u);  // folded by splitting the work below
  std::vector<Dispatch> list;
  constexpr size_t kPart = size_t(1) << 20;
  for (size_t first = 0; first < number; first += kPart) {
    const size_t part = std::min(kPart, number - first) * 4;
    list.push_back(
        add({hidden, first * 4, part}, {zeros, first * 4, part}, {sum, first * 4, part}));
    list.back().barrier = false;
  }
  const auto done = run(list);
  ASSERT_TRUE(done) << done.error().text;
  EXPECT_TRUE(std::equal(data.begin(), data.end(), view(sum).begin()));
}

TEST_F(BufferTest, UploadOutsideTheBufferIsRefused) {
  open();
  const BufferId buffer = words(16);
  const std::vector<std::byte> data(64);
  EXPECT_TRUE(device->upload({buffer, 0, 64}, data));
  for (const BufferSlice target : {BufferSlice{buffer, 4, 64}, BufferSlice{buffer, UINT64_MAX, 64},
                                   BufferSlice{buffer, 0, 63}, BufferSlice{99, 0, 64}}) {
    const auto refused = device->upload(target, data);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, ErrorCode::BadArgument);
  }
}

TEST_F(BufferTest, TooLargeIsOutOfMemoryInWords) {
  open();
  const uint64_t limit = device->capabilities().max_allocation;
  for (const uint64_t bytes : {limit + 1, uint64_t(1) << 50, UINT64_MAX - 3, UINT64_MAX}) {
    const auto refused = device->create_buffer({"weights", bytes, BufferDomain::Device});
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, ErrorCode::OutOfMemory);
    EXPECT_NE(refused.error().text.find(std::to_string(bytes)), std::string::npos);
    EXPECT_NE(refused.error().text.find("weights"), std::string::npos);
  }
  EXPECT_EQ(device->create_buffer({"none", 0, BufferDomain::Device}).error().code,
            ErrorCode::BadArgument);
}

/// A driver that has no more memory: words, and the device goes on working.
TEST_F(BufferTest, FailedAllocationLeavesTheDeviceAlive) {
  FaultPlan faults;
  faults.only = "vkAllocateMemory";
  faults.result = VK_ERROR_OUT_OF_DEVICE_MEMORY;
  DeviceHooks hooks;
  hooks.faults = &faults;
  open({}, hooks);
  // Readback has at most one other memory type to fall back to on these drivers: none.
  faults.fail_at = faults.calls() + 1;
  const auto refused = device->create_buffer({"kv", 4096, BufferDomain::Readback});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::OutOfMemory);
  EXPECT_NE(refused.error().text.find("VK_ERROR_OUT_OF_DEVICE_MEMORY"), std::string::npos)
      << refused.error().text;
  const BufferId y = words(64);
  ASSERT_TRUE(run({fill(all(y), 7)}));
  EXPECT_EQ(view(y)[63], 70u);
  device.reset();
}

}  // namespace
}  // namespace pumice::vk
