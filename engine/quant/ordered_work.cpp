// Owns the threads and the hand-over between them.
#include "engine/quant/ordered_work.h"

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <new>
#include <optional>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

namespace pumice::quant {
namespace {

class Line {
 public:
  explicit Line(const OrderedWork& job) : job_(job), results_(job.slots) {}
  ~Line() { stop(); }
  Line(const Line&) = delete;
  Line& operator=(const Line&) = delete;

  Result<void> start() {
    try {
      for (uint32_t i = 0; i < std::max(job_.threads, 1u); ++i)
        threads_.emplace_back([this, i] { serve(i); });
    } catch (const std::system_error&) {  // fewer threads than asked for do the same work
    }
    if (threads_.empty()) return fail(ErrorCode::OutOfMemory, "cannot start a thread");
    return {};
  }

  Result<void> take_all() {
    for (size_t item = 0; item < job_.items; ++item) {
      const size_t slot = item % job_.slots;
      PUMICE_TRY(wait_for(slot));
      if (job_.take) PUMICE_TRY(job_.take(item, slot));
      const std::lock_guard lock(mutex_);
      taken_ = item + 1;
      free_slot_.notify_one();
    }
    return {};
  }

 private:
  void serve(uint32_t worker) {
    for (;;) {
      std::unique_lock lock(mutex_);
      free_slot_.wait(
          lock, [&] { return stopped_ || next_ >= job_.items || next_ < taken_ + job_.slots; });
      if (stopped_ || next_ >= job_.items) break;
      const size_t item = next_++;
      if (next_ >= job_.items) free_slot_.notify_all();  // nothing left: the others may go
      lock.unlock();
      Result<void> result = attempt(worker, item);
      lock.lock();
      results_[item % job_.slots] = std::move(result);
      ready_.notify_one();
    }
  }

  Result<void> attempt(uint32_t worker, size_t item) {
    try {
      return job_.work(worker, item, item % job_.slots);
    } catch (const std::bad_alloc&) {
      return fail(ErrorCode::OutOfMemory, "no memory for a slice of a tensor");
    }
  }

  Result<void> wait_for(size_t slot) {
    std::unique_lock lock(mutex_);
    ready_.wait(lock, [&] { return results_[slot].has_value(); });
    Result<void> result = std::move(*results_[slot]);
    results_[slot].reset();
    return result;
  }

  void stop() {
    {
      const std::lock_guard lock(mutex_);
      stopped_ = true;
      free_slot_.notify_all();
    }
    for (std::thread& thread : threads_) thread.join();
  }

  const OrderedWork& job_;
  std::vector<std::thread> threads_;
  std::mutex mutex_;
  std::condition_variable free_slot_, ready_;
  std::vector<std::optional<Result<void>>> results_;  ///< per slot
  size_t next_ = 0;                                   ///< the first item that nobody works on
  size_t taken_ = 0;                                  ///< items whose results were taken
  bool stopped_ = false;
};

}  // namespace

uint32_t worker_count(uint32_t wanted, size_t items) {
  constexpr uint32_t kMostThreads = 256;
  const uint32_t threads = wanted != 0 ? wanted : std::thread::hardware_concurrency();
  return uint32_t(std::clamp<size_t>(items, 1, std::clamp(threads, 1u, kMostThreads)));
}

Result<void> run_in_order(const OrderedWork& job) {
  Line line(job);
  PUMICE_TRY(line.start());
  return line.take_all();
}

}  // namespace pumice::quant
