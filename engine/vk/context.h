// The logical device and what every part of this folder needs of it.
#pragma once

#include <atomic>
#include <memory>
#include <utility>

#include "engine/vk/error.h"
#include "engine/vk/hooks.h"
#include "engine/vk/physical_device.h"

namespace pumice::vk {

/// A host's lock around its queue; empty where the queue is ours.
struct QueueLock {
  void (*lock)(void* user) = nullptr;
  void (*unlock)(void* user) = nullptr;
  void* user = nullptr;
};

struct Context {
  std::unique_ptr<Instance> instance;
  PhysicalDevice physical;  ///< its caps are masked: what is absent there is not enabled
  DeviceFunctions fn;
  VkDevice device = VK_NULL_HANDLE;
  VkQueue queue = VK_NULL_HANDLE;
  QueueLock queue_lock;
  VkAllocationCallbacks host_allocator{};
  const VkAllocationCallbacks* allocator = nullptr;  ///< the host's, or null
  DeviceHooks hooks;
  DeviceStatistics statistics;
  bool capture_statistics = false;  ///< pipelines keep their compiler statistics
  std::atomic<bool> lost = false;   ///< sticky

  Context() = default;
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;
  ~Context();

  [[nodiscard]] const Capabilities& caps() const { return physical.caps; }
  /// The device is a host's: not destroyed, and only our own work on it is waited for.
  [[nodiscard]] bool borrowed() const { return instance->borrowed; }
  /// Remembers a loss.
  [[nodiscard]] tl::unexpected<Error> failed(const char* call, VkResult result);
  [[nodiscard]] Result<void> check_alive() const;
  /// Waits until the device has nothing to do, also past a call that fails by plan.
  void wait_idle();
  void name_object(VkObjectType type, uint64_t handle, const std::string& name) const;
};

/// Counts from several threads.
inline void count(uint64_t& counter, uint64_t by = 1) {
  std::atomic_ref<uint64_t>(counter).fetch_add(by, std::memory_order_relaxed);
}

[[nodiscard]] Result<std::unique_ptr<Context>> create_context(const DeviceOptions& options,
                                                              const DeviceHooks& hooks);
/// What a mask removes is not enabled, so that validation objects to a kernel that uses it.
void apply_mask(PhysicalDevice& physical, const DeviceOptions& options, const DeviceHooks& hooks);
/// device.cpp: the Device over a context.
[[nodiscard]] Result<std::unique_ptr<Device>> make_device(std::unique_ptr<Context> context,
                                                          const DeviceOptions& options);

/// A device object that is destroyed with its owner.
template <class Handle, auto Destroy>
class Owned {
 public:
  Owned() = default;
  explicit Owned(const Context& context) : context_(&context) {}
  Owned(Owned&& other) noexcept
      : context_(other.context_), handle_(std::exchange(other.handle_, Handle{})) {}
  Owned& operator=(Owned&& other) noexcept {
    std::swap(context_, other.context_);
    std::swap(handle_, other.handle_);
    return *this;
  }
  ~Owned() {
    if (handle_ != Handle{})
      (context_->fn.*Destroy)(context_->device, handle_, context_->allocator);
  }
  [[nodiscard]] Handle get() const { return handle_; }
  /// Where a create call writes; the owner must be empty.
  [[nodiscard]] Handle* out() { return &handle_; }
  /// A failed create call leaves nothing to destroy.
  void drop() { handle_ = Handle{}; }

 private:
  const Context* context_ = nullptr;
  Handle handle_{};
};

using OwnedBuffer = Owned<VkBuffer, &DeviceFunctions::DestroyBuffer>;
using OwnedMemory = Owned<VkDeviceMemory, &DeviceFunctions::FreeMemory>;
using OwnedBufferView = Owned<VkBufferView, &DeviceFunctions::DestroyBufferView>;
using OwnedShaderModule = Owned<VkShaderModule, &DeviceFunctions::DestroyShaderModule>;
using OwnedPipeline = Owned<VkPipeline, &DeviceFunctions::DestroyPipeline>;
using OwnedPipelineCache = Owned<VkPipelineCache, &DeviceFunctions::DestroyPipelineCache>;
using OwnedPipelineLayout = Owned<VkPipelineLayout, &DeviceFunctions::DestroyPipelineLayout>;
using OwnedSetLayout = Owned<VkDescriptorSetLayout, &DeviceFunctions::DestroyDescriptorSetLayout>;
using OwnedDescriptorPool = Owned<VkDescriptorPool, &DeviceFunctions::DestroyDescriptorPool>;
using OwnedCommandPool = Owned<VkCommandPool, &DeviceFunctions::DestroyCommandPool>;
using OwnedQueryPool = Owned<VkQueryPool, &DeviceFunctions::DestroyQueryPool>;
using OwnedFence = Owned<VkFence, &DeviceFunctions::DestroyFence>;
using OwnedSemaphore = Owned<VkSemaphore, &DeviceFunctions::DestroySemaphore>;

/// Calls `create(&handle)`; returns the owner, or the error with the call's name.
template <class Owner, class Create>
[[nodiscard]] Result<Owner> make_owned(Context& context, const char* call, const Create& create) {
  Owner owner(context);
  const VkResult result = create(owner.out());
  if (result == VK_SUCCESS) return owner;
  owner.drop();
  return context.failed(call, result);
}

}  // namespace pumice::vk
