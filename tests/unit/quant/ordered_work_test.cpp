// Results come in order, the first failure by order wins, and no more results exist than slots.
#include "engine/quant/ordered_work.h"

#include <gtest/gtest.h>

#include <atomic>
#include <new>
#include <thread>
#include <vector>

namespace pumice::quant::test {
namespace {

TEST(OrderedWork, TakesEveryItemInOrder) {
  for (const uint32_t threads : {1u, 2u, 5u}) {
    for (const size_t slots : {size_t(1), size_t(3), size_t(12)}) {
      std::vector<int> results(slots, -1), taken;
      OrderedWork job;
      job.items = 50;
      job.threads = threads;
      job.slots = slots;
      job.work = [&](uint32_t, size_t item, size_t slot) -> Result<void> {
        if (item % 7 == 0) std::this_thread::yield();
        EXPECT_EQ(results[slot], -1) << "the slot is still in use";
        results[slot] = int(item);
        return {};
      };
      job.take = [&](size_t item, size_t slot) -> Result<void> {
        EXPECT_EQ(results[slot], int(item));
        taken.push_back(results[slot]);
        results[slot] = -1;
        return {};
      };
      ASSERT_TRUE(run_in_order(job));
      ASSERT_EQ(taken.size(), 50u);
      for (int i = 0; i < 50; ++i) EXPECT_EQ(taken[size_t(i)], i);
    }
  }
}

TEST(OrderedWork, TheFirstFailureByOrderIsTheResult) {
  for (int run = 0; run < 20; ++run) {
    size_t taken = 0;
    OrderedWork job;
    job.items = 40;
    job.threads = 3;
    job.slots = 8;
    job.work = [&](uint32_t, size_t item, size_t) -> Result<void> {
      if (item == 11 || item == 12 || item == 30) return fail(ErrorCode::Io, "item {}", item);
      return {};
    };
    job.take = [&](size_t, size_t) -> Result<void> {
      ++taken;
      return {};
    };
    const auto result = run_in_order(job);
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().text, "item 11");
    EXPECT_EQ(taken, 11u);
  }
}

TEST(OrderedWork, TakingMayStopIt) {
  std::atomic<size_t> worked = 0;
  OrderedWork job;
  job.items = 1000;
  job.threads = 2;
  job.slots = 4;
  job.work = [&](uint32_t, size_t, size_t) -> Result<void> {
    ++worked;
    return {};
  };
  job.take = [&](size_t item, size_t) -> Result<void> {
    if (item == 5) return fail(ErrorCode::Cancelled, "enough");
    return {};
  };
  EXPECT_EQ(run_in_order(job).error().code, ErrorCode::Cancelled);
  EXPECT_LE(worked, 10u);
}

TEST(OrderedWork, NothingToDoAndNoMemory) {
  OrderedWork job;
  EXPECT_TRUE(run_in_order(job));
  job.items = 1;
  job.work = [](uint32_t, size_t, size_t) -> Result<void> { throw std::bad_alloc(); };
  EXPECT_EQ(run_in_order(job).error().code, ErrorCode::OutOfMemory);
}

TEST(OrderedWork, WorkersAreNeverMoreThanItems) {
  EXPECT_EQ(worker_count(3), 3u);
  EXPECT_EQ(worker_count(3, 2), 2u);
  EXPECT_EQ(worker_count(3, 0), 1u);
  EXPECT_EQ(worker_count(100'000), 256u);
  EXPECT_GE(worker_count(0), 1u);
  EXPECT_EQ(worker_count(0, 1), 1u);
}

}  // namespace
}  // namespace pumice::quant::test
