// The plan itself: what it counts and when it fails.
#include <gtest/gtest.h>

#include "engine/schedule/capabilities.h"
#include "engine/vk/error.h"
#include "engine/vk/fault.h"

namespace pumice::vk {
namespace {

TEST(FaultPlanTest, FailsTheChosenCallOnce) {
  FaultPlan plan;
  plan.fail_at = 2;
  EXPECT_FALSE(plan.next("vkA"));
  EXPECT_EQ(plan.next("vkB"), VK_ERROR_OUT_OF_HOST_MEMORY);
  EXPECT_FALSE(plan.next("vkC"));
  EXPECT_EQ(plan.failed_call(), "vkB");
  EXPECT_EQ(plan.calls(), 3u);
}

TEST(FaultPlanTest, CountsOneNameOnly) {
  FaultPlan plan;
  plan.only = "vkB";
  plan.fail_at = 1;
  EXPECT_FALSE(plan.next("vkA"));
  EXPECT_TRUE(plan.next("vkB"));
}

TEST(FaultPlanTest, LossStaysAndWaitsFirst) {
  FaultPlan plan;
  int waited = 0;
  plan.before_loss = [&] { ++waited; };
  plan.fail_at = 1;
  plan.result = VK_ERROR_DEVICE_LOST;
  EXPECT_EQ(plan.next("vkMapMemory"), VK_ERROR_DEVICE_LOST);
  EXPECT_EQ(plan.next("vkQueueSubmit"), VK_ERROR_DEVICE_LOST);
  EXPECT_FALSE(plan.next("vkMapMemory"));
  EXPECT_EQ(plan.next("vkWaitSemaphores"), VK_ERROR_DEVICE_LOST);
  EXPECT_EQ(waited, 1);
}

TEST(VkErrorTest, NamesCallResultAndAdvice) {
  const Error lost = vk_error("vkQueueSubmit", VK_ERROR_DEVICE_LOST);
  EXPECT_EQ(lost.code, ErrorCode::DeviceLost);
  EXPECT_NE(lost.text.find("vkQueueSubmit failed with VK_ERROR_DEVICE_LOST"), std::string::npos);
  EXPECT_EQ(vk_error("vkX", VK_ERROR_OUT_OF_DEVICE_MEMORY).code, ErrorCode::OutOfMemory);
  EXPECT_NE(vk_error("vkX", VkResult(-1000011001)).text.find("-1000011001"), std::string::npos);
}

TEST(CapabilityMaskTest, TakesAwayWhatItNames) {
  Capabilities caps;
  caps.fp16 = caps.storage16 = caps.dot8 = caps.int8 = caps.coopmat = true;
  caps.subgroup_basic = caps.subgroup_shuffle = true;
  caps.max_texel_elements = 7;
  const Capabilities same = masked(caps, {});
  EXPECT_TRUE(same.fp16 && same.storage16 && same.dot8 && same.int8 && same.coopmat &&
              same.subgroup_basic && same.subgroup_shuffle);
  EXPECT_EQ(same.max_texel_elements, 7u);
  CapabilityMask mask;
  mask.fp16 = true;
  EXPECT_FALSE(masked(caps, mask).fp16 || masked(caps, mask).storage16);
  EXPECT_TRUE(masked(caps, mask).dot8);
  mask = {};
  mask.dot8 = mask.subgroup = mask.coopmat = mask.texel = true;
  const Capabilities less = masked(caps, mask);
  EXPECT_FALSE(less.dot8 || less.subgroup_basic || less.subgroup_shuffle || less.coopmat);
  EXPECT_EQ(less.max_texel_elements, 0u);
  EXPECT_TRUE(less.fp16);
}

}  // namespace
}  // namespace pumice::vk
