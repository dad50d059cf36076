#include "lend.h"

namespace pumice::chat {

LentFeatures::LentFeatures(VkInstance instance, VkPhysicalDevice physical) {
  lendable_ = pm_vulkan_query_requirements(vkGetInstanceProcAddr, instance, physical,
                                           VK_API_VERSION_1_2, &wish_, nullptr) == PM_OK;
  if (lendable_) enable();
}

void LentFeatures::enable() {
  struct Row {
    pm_vulkan_feature bit;
    VkBool32* member;
  };
  const Row rows[] = {
      {PM_VULKAN_ROBUST_BUFFER_ACCESS, &features_.features.robustBufferAccess},
      {PM_VULKAN_SHADER_INT16, &features_.features.shaderInt16},
      {PM_VULKAN_SHADER_INT64, &features_.features.shaderInt64},
      {PM_VULKAN_STORAGE_16BIT, &since11_.storageBuffer16BitAccess},
      {PM_VULKAN_STORAGE_8BIT, &since12_.storageBuffer8BitAccess},
      {PM_VULKAN_SHADER_FLOAT16, &since12_.shaderFloat16},
      {PM_VULKAN_SHADER_INT8, &since12_.shaderInt8},
      {PM_VULKAN_TIMELINE_SEMAPHORE, &since12_.timelineSemaphore},
      {PM_VULKAN_SUBGROUP_SIZE_CONTROL, &subgroups_.subgroupSizeControl},
      {PM_VULKAN_FULL_SUBGROUPS, &subgroups_.computeFullSubgroups},
      {PM_VULKAN_INTEGER_DOT_PRODUCT, &dot_.shaderIntegerDotProduct},
  };
  for (const Row& row : rows) *row.member = (wish_.features & row.bit) != 0;
  features_.pNext = &since11_;
  since11_.pNext = &since12_;
  void** end = &since12_.pNext;
  // structs that a device of Vulkan 1.2 need not know are there only where it has what they say
  if (subgroups_.subgroupSizeControl || subgroups_.computeFullSubgroups) {
    *end = &subgroups_;
    end = &subgroups_.pNext;
  }
  if (dot_.shaderIntegerDotProduct) *end = &dot_;
}

}  // namespace pumice::chat
