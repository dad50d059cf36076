// Coordinate descent: where it stops, no code and no pair of codes could lower the error further,
// by sums that know nothing of its bookkeeping; and it never leaves a row worse than it found it.
#include "engine/quant/refinement.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "engine/quant/fit.h"
#include "tests/unit/quant/samples.h"

namespace pumice::quant {
namespace {

constexpr uint32_t kManySweeps = 200;

/// One row with scales and codes as plain rounding leaves them.
struct Row {
  QuantType type;
  uint64_t width;
  std::vector<float> gram, weights;
  double damping;
  std::vector<BlockFit> fits;
  std::vector<uint8_t> codes;

  Row(QuantType of, uint64_t columns, uint32_t seed)
      : type(of),
        width(columns),
        gram(test::correlated_gram(columns, 300, seed)),
        weights(test::gaussian(columns, 0.05f, seed + 7)),
        damping(0.01 * double(gram[0])),
        codes(columns) {
    const uint32_t block = info(type).block_weights;
    std::vector<BlockSource> sources;
    for (uint64_t first = 0; first < width; first += block)
      sources.push_back({&weights[first], nullptr});
    fits.resize(sources.size());
    fit(type, sources, fits);
    for (size_t b = 0; b < fits.size(); ++b)
      nearest_codes(make_grid(type, fits[b]), std::span(weights).subspan(b * block, block),
                    std::span(codes).subspan(b * block, block));
  }

  void refine(uint32_t sweeps) {
    Refinement(type, {gram, width, damping}).run({weights, fits, codes}, sweeps);
  }

  [[nodiscard]] double value(size_t i) const {
    const uint32_t block = info(type).block_weights;
    return double(grid_value(make_grid(type, fits[i / block]), uint32_t(i % block), codes[i]));
  }

  [[nodiscard]] double error() const {
    std::vector<double> e(width);
    for (size_t i = 0; i < width; ++i) e[i] = double(weights[i]) - value(i);
    double total = 0;
    for (size_t i = 0; i < width; ++i) {
      double sum = damping * e[i];
      for (size_t j = 0; j < width; ++j) sum += double(gram[i * width + j]) * e[j];
      total += e[i] * sum;
    }
    return total;
  }
};

std::string type_name(QuantType type) {
  return std::string(info(type).name);
}

class RefinedTypes : public testing::TestWithParam<QuantType> {};

TEST_P(RefinedTypes, SweepsNeverRaiseTheError) {
  Row row(GetParam(), 256, 3);
  const double plain = row.error();
  double last = plain;
  for (int sweep = 0; sweep < 6; ++sweep) {
    row.refine(1);
    const double now = row.error();
    EXPECT_LE(now, last * (1 + 1e-6)) << "sweep " << sweep;
    last = now;
  }
  EXPECT_LT(last, 0.9 * plain);
  const BlockGrid grid = make_grid(row.type, row.fits[0]);
  std::vector<std::byte> bytes(info(row.type).block_bytes);
  std::vector<float> stored(info(row.type).block_weights);
  pack_block(grid, std::span(row.codes).first(stored.size()), bytes);
  decode_row(row.type, bytes.data(), stored.size(), stored.data());
  for (size_t i = 0; i < stored.size(); ++i)  // the fields that were moved are what a file holds
    ASSERT_EQ(double(stored[i]), row.value(i)) << "weight " << i;
}

INSTANTIATE_TEST_SUITE_P(Quant, RefinedTypes, testing::ValuesIn(test::kGridTypes),
                         [](const auto& row) { return type_name(row.param); });

TEST(RefinementTest, NoSingleCodeAndNoPairAlongThePullIsBetterWhereItStops) {
  Row row(QuantType::Q4_0, 64, 11);
  row.refine(kManySweeps);
  const double stopped = row.error();
  const std::vector<uint8_t> codes = row.codes;
  const auto with = [&](size_t i, int by, size_t j, int also) {
    row.codes = codes;
    row.codes[i] = uint8_t(row.codes[i] + by);
    if (j != i) row.codes[j] = uint8_t(row.codes[j] + also);
    const bool fits = row.codes[i] < 16 && row.codes[j] < 16;  // below 0 wraps to 255
    return fits ? row.error() : HUGE_VAL;
  };
  std::vector<int> along(row.width);
  for (size_t i = 0; i < row.width; ++i) {
    const double down = with(i, -1, i, 0), up = with(i, 1, i, 0);
    ASSERT_GE(std::min(down, up), stopped * (1 - 1e-5)) << i;
    along[i] = down < up ? -1 : 1;
  }
  for (size_t i = 0; i < row.width; ++i)
    for (size_t j = i + 1; j < row.width; ++j)
      ASSERT_GE(with(i, along[i], j, along[j]), stopped * (1 - 1e-5)) << i << ", " << j;
}

TEST(RefinementTest, ARowWithoutErrorStaysAsItIs) {
  Row row(QuantType::Q4_K, 256, 5);
  for (size_t i = 0; i < row.width; ++i) row.weights[i] = float(row.value(i));
  const std::vector<uint8_t> codes = row.codes;
  const float d = row.fits[0].d;
  row.refine(kManySweeps);
  EXPECT_EQ(row.codes, codes);
  EXPECT_EQ(row.fits[0].d, d);
  row.refine(0);
  EXPECT_EQ(row.codes, codes);
}

}  // namespace
}  // namespace pumice::quant
