// Proves that the validation gate sees what it must see.
#include "engine/vk/context.h"
#include "tests/gpu/test_kernels.h"

namespace pumice::vk {
namespace {

using ValidationGateTest = GpuTest;

/// Two dispatches that touch one buffer without a barrier between them.
TEST_F(ValidationGateTest, SeesAPlantedHazard) {
  open();
  const BufferId a = words(256), b = words(256);
  std::vector<Dispatch> list{fill(all(a), 1), add(all(a), all(a), all(b))};
  list[1].barrier = false;
  ASSERT_TRUE(run(list));
  ASSERT_FALSE(device->validation_log().empty()) << "the gate is blind";
  EXPECT_NE(device->validation_log().front().find("SYNC-HAZARD-READ-AFTER-WRITE"),
            std::string::npos)
      << device->validation_log().front();
  EXPECT_EQ(device->statistics().validation_messages, device->validation_log().size());
  messages.clear();
}

/// An object that nobody destroys is reported when its device ends.
TEST_F(ValidationGateTest, SeesAPlantedLeak) {
  DeviceOptions options;
  options.validation = true;
  DeviceHooks hooks;
  hooks.validation_sink = &messages;
  auto context = create_context(options, hooks);
  ASSERT_TRUE(context) << context.error().text;
  const VkFenceCreateInfo info{VK_STRUCTURE_TYPE_FENCE_CREATE_INFO};
  VkFence fence = VK_NULL_HANDLE;
  ASSERT_EQ((*context)->fn.CreateFence((*context)->device, &info, nullptr, &fence), VK_SUCCESS);
  context->reset();
  ASSERT_FALSE(messages.empty()) << "the gate is blind";
  EXPECT_NE(messages.front().find("VkFence"), std::string::npos) << messages.front();
  messages.clear();
}

TEST_F(ValidationGateTest, IsSilentWithTheBarrier) {
  open();
  const BufferId a = words(256), b = words(256);
  ASSERT_TRUE(run({fill(all(a), 1), add(all(a), all(a), all(b))}));
  EXPECT_TRUE(device->validation_log().empty());
}

}  // namespace
}  // namespace pumice::vk
