// Many items worked on by many threads, their results taken in order by the caller.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>

#include "engine/base/result.h"

namespace pumice::quant {

/// Threads for so many items: those asked for, or all cores where that is 0; from 1 to 256, and no
/// more than there are items.
[[nodiscard]] uint32_t worker_count(uint32_t wanted, size_t items = SIZE_MAX);

struct OrderedWork {
  size_t items = 0;
  uint32_t threads = 1;
  size_t slots = 2;  ///< results that may exist at once; item i uses slot i % slots

  /// Called on a worker thread: item to slot. What it returns is seen when the item's turn comes.
  std::function<Result<void>(uint32_t worker, size_t item, size_t slot)> work;
  /// Called on the thread that runs it all, item by item: after it the slot is free. May be empty.
  std::function<Result<void>(size_t item, size_t slot)> take;
};

/// Ends with the first error in the order of items, whichever thread was faster: what failed does
/// not depend on the number of threads. No thread is left when it returns.
[[nodiscard]] Result<void> run_in_order(const OrderedWork& job);

}  // namespace pumice::quant
