// What the window's device enables for the engine, which works on it too.
#pragma once

#include "engine/pumice_vulkan.h"

namespace pumice::chat {

/// Features that the engine has a use for, chained for vkCreateDevice.
class LentFeatures {
 public:
  /// Asks the engine. Where it cannot run on the device none are enabled, and it is not lent.
  LentFeatures(VkInstance instance, VkPhysicalDevice physical);
  LentFeatures(const LentFeatures&) = delete;
  LentFeatures& operator=(const LentFeatures&) = delete;

  [[nodiscard]] bool lendable() const { return lendable_; }
  /// pm_vulkan_feature bits.
  [[nodiscard]] uint32_t bits() const { return lendable_ ? wish_.features : 0; }
  /// For VkDeviceCreateInfo::pNext; lives as long as this.
  [[nodiscard]] const void* chain() const { return &features_; }
  /// Names that vkCreateDevice needs for them.
  [[nodiscard]] const char* const* extensions() const { return wish_.extensions; }
  [[nodiscard]] uint32_t extension_count() const { return lendable_ ? wish_.extension_count : 0; }

 private:
  void enable();

  pm_vulkan_requirements wish_ = {sizeof(pm_vulkan_requirements)};
  bool lendable_ = false;
  VkPhysicalDeviceFeatures2 features_ = {VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2};
  VkPhysicalDeviceVulkan11Features since11_ = {
      VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_FEATURES};
  VkPhysicalDeviceVulkan12Features since12_ = {
      VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES};
  VkPhysicalDeviceSubgroupSizeControlFeatures subgroups_ = {
      VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_FEATURES};
  VkPhysicalDeviceShaderIntegerDotProductFeatures dot_ = {
      VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_INTEGER_DOT_PRODUCT_FEATURES};
};

}  // namespace pumice::chat
