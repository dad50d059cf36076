// Angles against closed forms: plain, factors, linear scaling, YaRN's two ends and its ramp.
#include "engine/graph/rope_table.h"

#include <gtest/gtest.h>

#include <cmath>

namespace pumice {
namespace {

graph::RopeSpec spec(uint32_t n_rot) {
  return {.n_rot = n_rot};
}

TEST(RopeTable, PlainAnglesInPositionMajorOrder) {
  const auto table = graph::rope_table(spec(8), {}, 5);
  ASSERT_EQ(table.size(), 5u * 8u);
  for (uint32_t position = 0; position < 5; ++position)
    for (uint32_t pair = 0; pair < 4; ++pair) {
      const double angle = position * std::pow(10000.0, -double(pair) / 4.0);
      EXPECT_EQ(table[(position * 4 + pair) * 2], float(std::cos(angle)));
      EXPECT_EQ(table[(position * 4 + pair) * 2 + 1], float(std::sin(angle)));
    }
}

TEST(RopeTable, FactorsDivideAndScaleMultiplies) {
  graph::RopeSpec s = spec(8);
  s.freq_scale = 0.25;
  const float factors[] = {1.0f, 2.0f, 4.0f, 8.0f};
  for (uint32_t pair = 0; pair < 4; ++pair)
    EXPECT_NEAR(graph::rope_frequency(s, factors, pair),
                std::pow(10000.0, -double(pair) / 4.0) / factors[pair] / 4.0, 1e-15);
}

TEST(RopeTable, AttnFactorMultipliesBoth) {
  graph::RopeSpec s = spec(2);
  s.attn_factor = 1.5;
  const auto table = graph::rope_table(s, {}, 2);
  EXPECT_EQ(table[0], 1.5f);
  EXPECT_EQ(table[2], float(1.5 * std::cos(1.0)));
  EXPECT_EQ(table[3], float(1.5 * std::sin(1.0)));
}

TEST(RopeTable, YarnKeepsFastPairsAndInterpolatesSlowOnes) {
  graph::RopeSpec plain = spec(128), yarn = plain;
  yarn.freq_scale = 0.25;
  yarn.ext_factor = 1.0;
  yarn.original_context = 4096;
  // beta_fast 32 turns in 4096 positions end at pair 20.9, beta_slow 1 turn at pair 45.03.
  for (const uint32_t pair : {0u, 10u, 20u})
    EXPECT_DOUBLE_EQ(graph::rope_frequency(yarn, {}, pair), graph::rope_frequency(plain, {}, pair));
  for (const uint32_t pair : {46u, 50u, 63u})
    EXPECT_DOUBLE_EQ(graph::rope_frequency(yarn, {}, pair),
                     graph::rope_frequency(plain, {}, pair) / 4.0);
  const double middle = graph::rope_frequency(yarn, {}, 33) / graph::rope_frequency(plain, {}, 33);
  EXPECT_NEAR(middle, 0.25 + 0.75 * (1.0 - (33.0 - 20.0) / (46.0 - 20.0)), 1e-12);
}

TEST(RopeTable, LongPositionsKeepDoublePrecision) {
  const auto table = graph::rope_table(spec(2), {}, 100'001);
  EXPECT_EQ(table[200'000], float(std::cos(100'000.0)));
}

}  // namespace
}  // namespace pumice
