// Fills a plan's buffers one after another.
#pragma once

#include <utility>
#include <vector>

#include "engine/base/checked.h"
#include "engine/schedule/dispatch.h"
#include "engine/schedule/policy.h"

namespace pumice {

/// Slices never straddle two buffers.
class ArenaAllocator {
 public:
  ArenaAllocator(std::vector<BufferPlan>& buffers, const Policy& policy, BufferPlan kind)
      : buffers_(buffers),
        kind_(std::move(kind)),
        arena_bytes_(policy.arena_bytes),
        alignment_(policy.alignment) {}

  BufferSlice take(uint64_t bytes) {
    if (current_ == kNoBuffer || buffers_[current_].bytes + bytes > arena_bytes_) open();
    BufferPlan& buffer = buffers_[current_];
    const BufferSlice slice{current_, buffer.bytes, bytes};
    buffer.bytes += align_up<uint64_t>(bytes, alignment_);
    total_ += align_up<uint64_t>(bytes, alignment_);
    return slice;
  }
  [[nodiscard]] uint64_t total() const { return total_; }

 private:
  void open() {
    current_ = uint32_t(buffers_.size());
    buffers_.push_back(kind_);
  }
  std::vector<BufferPlan>& buffers_;
  BufferPlan kind_;
  uint64_t arena_bytes_;
  uint32_t alignment_;
  BufferId current_ = kNoBuffer;
  uint64_t total_ = 0;
};

}  // namespace pumice
