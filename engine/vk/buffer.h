// Buffers: each a VkBuffer in memory of its own, chosen by what the host and the device do with it.
#pragma once

#include <deque>
#include <mutex>

#include "engine/vk/context.h"

namespace pumice::vk {

struct Buffer {
  BufferPlan plan;
  OwnedMemory memory;  ///< declared first: outlives the buffer bound to it
  OwnedBuffer handle;
  uint64_t allocated = 0;       ///< bytes of memory
  uint64_t capacity = 0;        ///< bytes of the VkBuffer: plan.bytes rounded up to a texel
  std::byte* mapped = nullptr;  ///< null when the host cannot see it
};

/// Ids are never used twice. Safe to use from several threads.
class BufferPool {
 public:
  explicit BufferPool(Context& context) : context_(context) {}

  /// Host-visible buffers come zero-filled unless the plan says that they are fully written; the
  /// others must be filled by the caller.
  [[nodiscard]] Result<BufferId> create(const BufferPlan& plan);
  void destroy(BufferId id);
  /// Null for an id that does not exist (any more). The pointer lives until destroy().
  [[nodiscard]] Buffer* find(BufferId id);

 private:
  Context& context_;
  std::mutex mutex_;
  std::deque<std::unique_ptr<Buffer>> buffers_;
};

/// A buffer beside the pool, for the staging ring.
[[nodiscard]] Result<Buffer> make_buffer(Context& context, const BufferPlan& plan);

}  // namespace pumice::vk
