// Checked sizes at their edges, and the ways an error travels.
#include "engine/base/checked.h"

#include <gtest/gtest.h>

#include "engine/base/result.h"

namespace pumice {
namespace {

constexpr uint64_t kMax = UINT64_MAX;

TEST(Checked, Add) {
  EXPECT_EQ(checked_add(2, 3), 5u);
  EXPECT_EQ(checked_add(kMax, 0), kMax);
  EXPECT_EQ(checked_add(kMax - 1, 1), kMax);
  EXPECT_EQ(checked_add(kMax, 1), std::nullopt);
  EXPECT_EQ(checked_add(1, kMax), std::nullopt);
  EXPECT_EQ(checked_add(kMax, kMax), std::nullopt);
}

TEST(Checked, Multiply) {
  EXPECT_EQ(checked_mul(0, kMax), 0u);
  EXPECT_EQ(checked_mul(kMax, 0), 0u);
  EXPECT_EQ(checked_mul(kMax, 1), kMax);
  EXPECT_EQ(checked_mul(uint64_t(1) << 32, uint64_t(1) << 31), uint64_t(1) << 63);
  EXPECT_EQ(checked_mul(uint64_t(1) << 32, uint64_t(1) << 32), std::nullopt);
  EXPECT_EQ(checked_mul(kMax / 2, 2), kMax - 1);
  EXPECT_EQ(checked_mul(kMax / 2 + 1, 2), std::nullopt);
  EXPECT_EQ(checked_mul(3, kMax / 3), kMax);
  EXPECT_EQ(checked_mul(3, kMax / 3 + 1), std::nullopt);
}

TEST(Checked, AlignUp) {
  EXPECT_EQ(checked_align_up(0, 32), 0u);
  EXPECT_EQ(checked_align_up(1, 32), 32u);
  EXPECT_EQ(checked_align_up(32, 32), 32u);
  EXPECT_EQ(checked_align_up(33, 1), 33u);
  EXPECT_EQ(checked_align_up(kMax - 31, 32), kMax - 31);
  EXPECT_EQ(checked_align_up(kMax - 30, 32), std::nullopt);  // would wrap to 0
  EXPECT_EQ(align_up(33u, 32u), 64u);
  EXPECT_EQ(div_up(33u, 32u), 2u);
  EXPECT_EQ(div_up(0u, 32u), 0u);
}

Result<int> half_of(int value) {
  if (value % 2) return fail(ErrorCode::BadArgument, "{} is odd", value);
  return value / 2;
}

Result<int> quarter_of(int value) {
  PUMICE_TRY_ASSIGN(const int half, half_of(value));
  return half_of(half);
}

Result<void> check_quarter(int value) {
  auto quarter = quarter_of(value);
  if (!quarter) return fail_in("quarter", std::move(quarter.error()));
  return {};
}

Result<void> check_twice(int first, int second) {
  PUMICE_TRY(check_quarter(first));
  PUMICE_TRY(check_quarter(second));
  return {};
}

TEST(ResultValue, ErrorsTravelWithTheirWords) {
  EXPECT_EQ(quarter_of(8).value(), 2);
  EXPECT_TRUE(check_twice(4, 8));
  const auto result = check_twice(4, 6);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, ErrorCode::BadArgument);
  EXPECT_EQ(result.error().text, "quarter: 3 is odd");
  EXPECT_EQ(check_twice(5, 4).error().text, "quarter: 5 is odd");
}

}  // namespace
}  // namespace pumice
