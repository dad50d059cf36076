// The scale search gives the same bits from every vector width that this processor has.
#include "engine/quant/fit.h"

#include <gtest/gtest.h>

#include <cstring>

#include "tests/unit/quant/samples.h"

namespace pumice::test {
namespace {

using quant::BlockFit;
using quant::BlockSource;

using FitFunction = void (*)(const quant::FitPlan&, const BlockSource*, int, BlockFit*);

std::vector<FitFunction> wide_functions() {
  std::vector<FitFunction> out;
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx2")) out.push_back(quant::fit_8_lanes);
  if (__builtin_cpu_supports("avx512f")) out.push_back(quant::fit_16_lanes);
#endif
  return out;
}

bool same_bits(const BlockFit& a, const BlockFit& b) {
  return std::memcmp(&a.d, &b.d, 4) == 0 && std::memcmp(&a.dmin, &b.dmin, 4) == 0 &&
         std::memcmp(a.scale, b.scale, sizeof a.scale) == 0 &&
         std::memcmp(a.minimum, b.minimum, sizeof a.minimum) == 0;
}

TEST(Fit, EveryVectorWidthGivesTheSameBits) {
  if (wide_functions().empty()) GTEST_SKIP() << "this processor has one vector width";
  const int blocks = 37;
  for (const QuantType type : kGridTypes) {
    const size_t n = info(type).block_weights;
    const std::vector<float> weights = heavy_tailed(n * blocks, 0.02f, 1);
    const std::vector<float> importance = log_normal(n * blocks, 2);
    std::vector<BlockSource> sources;
    for (size_t i = 0; i < blocks; ++i)
      sources.push_back({&weights[i * n], i % 2 ? &importance[i * n] : nullptr});
    std::vector<BlockFit> narrow(blocks), wide(blocks);
    quant::fit_4_lanes(*quant::fit_plan(type), sources.data(), blocks, narrow.data());
    for (const FitFunction function : wide_functions()) {
      function(*quant::fit_plan(type), sources.data(), blocks, wide.data());
      for (size_t i = 0; i < blocks; ++i)
        EXPECT_TRUE(same_bits(narrow[i], wide[i])) << info(type).name << " block " << i;
    }
  }
}

}  // namespace
}  // namespace pumice::test
