// Where barriers are placed, on hand-made accesses.
#include "engine/schedule/hazards.h"

#include <gtest/gtest.h>

namespace pumice {
namespace {

Access read(uint64_t begin, uint64_t end, uint32_t space = 0) {
  return {.space = space, .begin = begin, .end = end};
}
Access write(uint64_t begin, uint64_t end, uint32_t space = 0) {
  return {.space = space, .begin = begin, .end = end, .write = true};
}
/// Rows of value `base`, which lies at [0, 1024).
Access rows(uint32_t base, uint32_t first, uint32_t last, bool writes) {
  return {0, 0, 1024, base, first, last, writes};
}

struct ConflictRow {
  const char* what;
  Access a, b;
  bool conflict;
};

TEST(Hazards, Conflicts) {
  const ConflictRow table[] = {
      {"read after read", read(0, 64), read(0, 64), false},
      {"read after write", write(0, 64), read(32, 96), true},
      {"write after read", read(0, 64), write(63, 64), true},
      {"write after write", write(0, 64), write(0, 64), true},
      {"neighbours", write(0, 64), write(64, 128), false},
      {"other space", write(0, 64, 1), write(0, 64, 2), false},
      {"other rows of one value", rows(7, 0, 16, true), rows(7, 16, 32, true), false},
      {"shared rows of one value", rows(7, 0, 17, true), rows(7, 16, 32, false), true},
      {"two values on the same bytes", rows(7, 0, 16, true), rows(8, 16, 32, false), true},
      {"a value and bare bytes", rows(7, 0, 16, true), read(1000, 1001), true},
  };
  for (const ConflictRow& row : table) {
    EXPECT_EQ(HazardTracker::conflicts(row.a, row.b), row.conflict) << row.what;
    EXPECT_EQ(HazardTracker::conflicts(row.b, row.a), row.conflict) << row.what << ", reversed";
  }
}

TEST(Hazards, ABarrierForgetsWhatLiesBeforeIt) {
  HazardTracker tracker;
  EXPECT_FALSE(tracker.needs_barrier({write(0, 64)}));
  EXPECT_FALSE(tracker.needs_barrier({write(64, 128)}));
  EXPECT_TRUE(tracker.needs_barrier({read(0, 64), write(128, 192)}));
  EXPECT_FALSE(tracker.needs_barrier({read(64, 128)})) << "its write lies before the barrier";
  EXPECT_TRUE(tracker.needs_barrier({write(64, 128)})) << "its read lies after the barrier";
}

TEST(Hazards, WithoutAConflictAccessesAddUp) {
  HazardTracker tracker;
  for (uint64_t at = 0; at < 10; ++at) EXPECT_FALSE(tracker.needs_barrier({write(at, at + 1)}));
  EXPECT_TRUE(tracker.needs_barrier({read(3, 4)}));
}

TEST(Hazards, AccessesOfOneDispatchDoNotMeet) {
  HazardTracker tracker;
  EXPECT_FALSE(tracker.needs_barrier({read(0, 64), write(0, 64)})) << "in place";
}

}  // namespace
}  // namespace pumice
