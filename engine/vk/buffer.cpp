// Chooses memory types and allocates.
#include "engine/vk/buffer.h"

#include <algorithm>
#include <cstring>
#include <span>

#include "engine/base/checked.h"
#include "engine/vk/dispatch_check.h"

namespace pumice::vk {
namespace {

constexpr VkMemoryPropertyFlags kLocal = VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT;
constexpr VkMemoryPropertyFlags kHost =
    VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT | VK_MEMORY_PROPERTY_HOST_COHERENT_BIT;
constexpr VkMemoryPropertyFlags kCached = VK_MEMORY_PROPERTY_HOST_CACHED_BIT;

/// Wishes in falling order; the last of each list always exists (Vulkan guarantees it).
constexpr VkMemoryPropertyFlags kUnifiedWishes[] = {kLocal | kHost | kCached, kLocal | kHost,
                                                    kHost};
constexpr VkMemoryPropertyFlags kDeviceWishes[] = {kLocal, 0};
constexpr VkMemoryPropertyFlags kUploadWishes[] = {kLocal | kHost, kHost};
constexpr VkMemoryPropertyFlags kReadbackWishes[] = {kHost | kCached, kHost};

std::span<const VkMemoryPropertyFlags> wishes(const Context& context, BufferDomain domain) {
  switch (domain) {
    case BufferDomain::Upload:
      return kUploadWishes;
    case BufferDomain::Readback:
      return kReadbackWishes;
    case BufferDomain::Device:
      break;
  }
  if (context.caps().unified_memory) return kUnifiedWishes;
  return kDeviceWishes;
}

Result<void> check_plan(const Context& context, const BufferPlan& plan) {
  if (plan.bytes == 0)
    return fail(ErrorCode::BadArgument, "buffer '{}': 0 bytes were asked for", plan.name);
  const Capabilities& caps = context.caps();
  const uint64_t limit = std::min(caps.max_allocation, context.physical.max_buffer_size);
  if (plan.bytes > limit || plan.bytes > UINT64_MAX - kTexelBytes)
    return fail(ErrorCode::OutOfMemory,
                "buffer '{}': {} bytes were asked for, but {} allows {} in one buffer; split it, "
                "or choose a smaller model or context",
                plan.name, plan.bytes, caps.device_name, limit);
  return {};
}

/// Memory types that fulfil the wishes, best first, each once.
std::vector<uint32_t> candidate_types(const Context& context, BufferDomain domain,
                                      uint32_t allowed) {
  const auto& memory = context.physical.memory;
  constexpr VkMemoryPropertyFlags kUnusable =
      VK_MEMORY_PROPERTY_PROTECTED_BIT | VK_MEMORY_PROPERTY_LAZILY_ALLOCATED_BIT |
      VK_MEMORY_PROPERTY_DEVICE_COHERENT_BIT_AMD | VK_MEMORY_PROPERTY_DEVICE_UNCACHED_BIT_AMD;
  std::vector<uint32_t> types;
  for (const VkMemoryPropertyFlags wish : wishes(context, domain)) {
    for (uint32_t type = 0; type < memory.memoryTypeCount; ++type) {
      const VkMemoryPropertyFlags flags = memory.memoryTypes[type].propertyFlags;
      if (!(allowed & (1u << type)) || (flags & wish) != wish || (flags & kUnusable) != 0) continue;
      if (std::find(types.begin(), types.end(), type) == types.end()) types.push_back(type);
    }
  }
  return types;
}

/// Tries one type after the other; returns the one that was allocated from.
Result<uint32_t> allocate(Context& context, Buffer& buffer,
                          const VkMemoryRequirements& requirements) {
  const auto& memory = context.physical.memory;
  uint64_t largest_heap = 0;
  VkResult result = VK_SUCCESS;
  for (const uint32_t type :
       candidate_types(context, buffer.plan.domain, requirements.memoryTypeBits)) {
    const uint64_t heap = memory.memoryHeaps[memory.memoryTypes[type].heapIndex].size;
    largest_heap = std::max(largest_heap, heap);
    if (requirements.size > heap) continue;
    VkMemoryAllocateInfo info{VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO};
    info.allocationSize = requirements.size;
    info.memoryTypeIndex = type;
    OwnedMemory owner(context);
    result = context.fn.AllocateMemory(context.device, &info, context.allocator, owner.out());
    if (result == VK_SUCCESS) {
      buffer.memory = std::move(owner);
      return type;
    }
    owner.drop();
    if (result == VK_ERROR_DEVICE_LOST) break;
  }
  if (result == VK_ERROR_DEVICE_LOST) return context.failed("vkAllocateMemory", result);
  return fail(ErrorCode::OutOfMemory,
              "buffer '{}': {} could not give {} bytes ({}; the largest heap that fits the purpose "
              "has {} bytes, {} are allocated already); close other programs, or choose a smaller "
              "model or a shorter context",
              buffer.plan.name, context.caps().device_name, requirements.size,
              result == VK_SUCCESS ? "no heap is that large" : result_name(result), largest_heap,
              context.statistics.bytes_allocated);
}

Result<void> map(Context& context, Buffer& buffer, uint32_t type) {
  const auto flags = context.physical.memory.memoryTypes[type].propertyFlags;
  const bool device_only =
      buffer.plan.domain == BufferDomain::Device && !context.caps().unified_memory;
  if (device_only || (flags & kHost) != kHost) return {};
  void* address = nullptr;
  const VkResult result =
      context.fn.MapMemory(context.device, buffer.memory.get(), 0, VK_WHOLE_SIZE, 0, &address);
  if (result != VK_SUCCESS) return context.failed("vkMapMemory", result);
  buffer.mapped = static_cast<std::byte*>(address);
  if (!buffer.plan.fully_written) std::memset(address, 0, size_t(buffer.capacity));
  return {};
}

}  // namespace

Result<Buffer> make_buffer(Context& context, const BufferPlan& plan) {
  PUMICE_TRY(check_plan(context, plan));
  Buffer buffer;
  buffer.plan = plan;
  buffer.capacity = align_up(plan.bytes, kTexelBytes);
  VkBufferCreateInfo info{VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO};
  info.size = buffer.capacity;
  info.usage = VK_BUFFER_USAGE_STORAGE_BUFFER_BIT | VK_BUFFER_USAGE_UNIFORM_TEXEL_BUFFER_BIT |
               VK_BUFFER_USAGE_STORAGE_TEXEL_BUFFER_BIT | VK_BUFFER_USAGE_TRANSFER_SRC_BIT |
               VK_BUFFER_USAGE_TRANSFER_DST_BIT | VK_BUFFER_USAGE_INDIRECT_BUFFER_BIT;
  PUMICE_TRY_ASSIGN(buffer.handle,
                    make_owned<OwnedBuffer>(context, "vkCreateBuffer", [&](auto* out) {
                      return context.fn.CreateBuffer(context.device, &info, context.allocator, out);
                    }));
  VkMemoryRequirements requirements{};
  context.fn.GetBufferMemoryRequirements(context.device, buffer.handle.get(), &requirements);
  PUMICE_TRY_ASSIGN(const uint32_t type, allocate(context, buffer, requirements));
  const VkResult bound =
      context.fn.BindBufferMemory(context.device, buffer.handle.get(), buffer.memory.get(), 0);
  if (bound != VK_SUCCESS) return context.failed("vkBindBufferMemory", bound);
  PUMICE_TRY(map(context, buffer, type));
  context.name_object(VK_OBJECT_TYPE_BUFFER, uint64_t(buffer.handle.get()), plan.name);
  buffer.allocated = requirements.size;
  count(context.statistics.bytes_allocated, requirements.size);
  count(context.statistics.allocations);
  return buffer;
}

Result<BufferId> BufferPool::create(const BufferPlan& plan) {
  PUMICE_TRY(context_.check_alive());
  PUMICE_TRY_ASSIGN(Buffer made, make_buffer(context_, plan));
  const std::lock_guard lock(mutex_);
  buffers_.push_back(std::make_unique<Buffer>(std::move(made)));
  return BufferId(buffers_.size() - 1);
}

void BufferPool::destroy(BufferId id) {
  const std::lock_guard lock(mutex_);
  if (id >= buffers_.size() || buffers_[id] == nullptr) return;
  count(context_.statistics.bytes_allocated, uint64_t(0) - buffers_[id]->allocated);
  buffers_[id].reset();
}

Buffer* BufferPool::find(BufferId id) {
  const std::lock_guard lock(mutex_);
  return id < buffers_.size() ? buffers_[id].get() : nullptr;
}

}  // namespace pumice::vk
