// Decides where a dispatch list needs barriers: one is placed only when a dispatch touches what
// another wrote, or writes what another touched, since the last barrier.
#pragma once

#include <cstdint>
#include <vector>

namespace pumice {

/// A range of memory that a dispatch reads or writes. Columns of one value interleave, so two views
/// of the same base are told apart by their rows, not by their bytes.
struct Access {
  uint32_t space = 0;           ///< buffers that cannot overlap have different spaces
  uint64_t begin = 0, end = 0;  ///< bytes inside the space
  uint32_t base = UINT32_MAX;   ///< value whose rows follow, or UINT32_MAX
  uint32_t row_begin = 0, row_end = UINT32_MAX;
  bool write = false;
};

class HazardTracker {
 public:
  /// True when the accesses need a barrier in front; forgets what lies before it in that case.
  [[nodiscard]] bool needs_barrier(const std::vector<Access>& accesses) {
    bool conflict = false;
    for (const Access& later : accesses)
      for (const Access& earlier : open_) conflict = conflict || conflicts(earlier, later);
    if (conflict) open_.clear();
    open_.insert(open_.end(), accesses.begin(), accesses.end());
    return conflict;
  }

  [[nodiscard]] static bool conflicts(const Access& a, const Access& b) {
    if (a.space != b.space || !(a.write || b.write)) return false;
    if (a.begin >= b.end || b.begin >= a.end) return false;
    if (a.base != UINT32_MAX && a.base == b.base)
      return a.row_begin < b.row_end && b.row_begin < a.row_end;
    return true;
  }

 private:
  std::vector<Access> open_;
};

}  // namespace pumice
