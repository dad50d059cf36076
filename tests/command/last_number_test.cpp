// The number that another program says, in the shapes that programs say it in.
#include "tools/pumice/last_number.h"

#include <gtest/gtest.h>

namespace pumice::test {
namespace {

using command::last_number;

TEST(LastNumber, StandsByItself) {
  struct Row {
    const char* text;
    double number;  ///< 0 = none
  };
  const Row rows[] = {
      {"", 0},
      {"tg128 q4_0 sm90", 0},
      {"78.25", 78.25},
      {"speed: 3e2 tokens/s", 300},
      {"1 2 3.5\n", 3.5},
      {"12.5 \x1b[0m", 12.5},
      {"12.5 ms 7x", 12.5},
      {"value=41;", 41},
      {"-2", -2},
      {"1.2.3", 1.2},
      {"[[\"a\", 17.0]]", 17},
  };
  for (const Row& row : rows) {
    const std::optional<double> got = last_number(row.text);
    EXPECT_EQ(got.value_or(0), row.number) << row.text;
  }
}

}  // namespace
}  // namespace pumice::test
