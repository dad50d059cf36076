// The encoders as a caller sees them: the parts agree with the whole, results are good, and hostile
// numbers come out finite.
#include "engine/quant/encode.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cfloat>
#include <string>

#include "engine/quant/block_grid.h"
#include "engine/quant/fit.h"
#include "tests/unit/quant/samples.h"

namespace pumice::test {
namespace {

using quant::BlockGrid;

std::vector<std::byte> encode(QuantType type, const std::vector<float>& weights, uint64_t width,
                              const std::vector<float>& importance = {}) {
  std::vector<std::byte> out(encoded_bytes(type, weights.size()));
  quant::encode_rows(type, weights, width, importance, out);
  return out;
}

std::vector<float> through(QuantType type, const std::vector<float>& weights,
                           const std::vector<float>& importance = {}) {
  const uint64_t width = importance.empty() ? weights.size() : importance.size();
  return decoded(type, encode(type, weights, width, importance), weights.size());
}

std::string test_name(const testing::TestParamInfo<QuantType>& type) {
  return std::string(info(type.param).name);
}

class Encode : public testing::TestWithParam<QuantType> {};
INSTANTIATE_TEST_SUITE_P(All, Encode, testing::ValuesIn(kGridTypes), test_name);

/// fit_block, nearest_code and pack_block, one block after another.
std::vector<std::byte> by_parts(QuantType type, const std::vector<float>& weights,
                                const std::vector<float>& importance, std::vector<float>& values) {
  const size_t n = info(type).block_weights, bytes = info(type).block_bytes;
  std::vector<std::byte> out(encoded_bytes(type, weights.size()));
  std::vector<uint8_t> codes(n);
  for (size_t at = 0; at < weights.size(); at += n) {
    const std::span block(weights.data() + at, n);
    std::span<const float> channels;
    if (!importance.empty()) channels = {importance.data() + at % importance.size(), n};
    const BlockGrid grid = quant::fit_block(type, block, channels);
    for (uint32_t i = 0; i < n; ++i) {
      codes[i] = uint8_t(quant::nearest_code(grid, i, block[i]));
      values.push_back(quant::grid_value(grid, i, codes[i]));
    }
    quant::pack_block(grid, codes, std::span(out).subspan(at / n * bytes, bytes));
  }
  return out;
}

TEST_P(Encode, RowsAreWhatThePartsGive) {
  const QuantType type = GetParam();
  for (const bool weighed : {false, true}) {
    const std::vector<float> weights = heavy_tailed(5 * 768, 0.02f, 11);
    const std::vector<float> importance = weighed ? log_normal(768, 12) : std::vector<float>();
    std::vector<float> values;
    const auto parts = by_parts(type, weights, importance, values);
    const auto whole = encode(type, weights, 768, importance);
    EXPECT_EQ(parts, whole);
    EXPECT_EQ(values, decoded(type, whole, weights.size()));
  }
}

TEST_P(Encode, NoOtherCodeIsNearer) {
  const QuantType type = GetParam();
  const size_t n = info(type).block_weights;
  const std::vector<float> block = gaussian(n, 0.02f, 5);
  const BlockGrid grid = quant::fit_block(type, block, {});
  EXPECT_EQ(grid.weights, n);
  EXPECT_EQ(grid.levels.size(), grid.codes);
  for (uint32_t i = 0; i < n; ++i) {
    const float chosen = quant::grid_value(grid, i, quant::nearest_code(grid, i, block[i]));
    for (uint32_t code = 0; code < grid.codes; ++code)
      EXPECT_LE(std::abs(chosen - block[i]),
                std::abs(quant::grid_value(grid, i, code) - block[i]) * (1 + 1e-4f));
  }
}

TEST_P(Encode, ABlockDependsOnNothingElse) {
  const QuantType type = GetParam();
  const uint64_t width = 512, rows = 37;
  const std::vector<float> weights = heavy_tailed(width * rows, 0.02f, 3);
  const std::vector<float> importance = log_normal(width, 4);
  const auto whole = encode(type, weights, width, importance);
  const size_t row_bytes = whole.size() / rows;
  for (const uint64_t split : {1, 2, 16, 36}) {
    std::vector<std::byte> halves(whole.size());
    const std::span<const float> all(weights);
    quant::encode_rows(type, all.first(split * width), width, importance,
                       std::span(halves).first(split * row_bytes));
    quant::encode_rows(type, all.subspan(split * width), width, importance,
                       std::span(halves).subspan(split * row_bytes));
    EXPECT_EQ(halves, whole) << "split after row " << split;
  }
}

TEST_P(Encode, ImportanceMovesTheErrorAway) {
  const QuantType type = GetParam();
  const std::vector<float> weights = gaussian(16 * 1024, 0.02f, 21);
  const std::vector<float> importance = log_normal(1024, 22);
  const double plain = nmse(through(type, weights), weights, importance);
  const double weighed = nmse(through(type, weights, importance), weights, importance);
  EXPECT_LT(weighed, type == QuantType::MXFP4 ? plain * 1.0001 : plain * 0.95);
}

TEST_P(Encode, EqualImportanceIsNone) {
  const QuantType type = GetParam();
  const std::vector<float> weights = gaussian(8 * 512, 0.02f, 31);
  const auto plain = encode(type, weights, 512);
  for (const float value : {0.0f, 0x1p-60f, 1.0f, 0x1p60f, -1.0f, NAN})
    EXPECT_EQ(encode(type, weights, 512, std::vector<float>(512, value)), plain) << value;
}

/// Channels without importance still come out sensible, and cost the others nothing.
TEST_P(Encode, ZeroImportanceInAGroupOrABlock) {
  const QuantType type = GetParam();
  const std::vector<float> weights = gaussian(1024, 0.02f, 41);
  std::vector<float> importance(1024, 1.0f);
  std::fill_n(importance.begin() + 64, 32, 0.0f);    // a group, and a block of the small types
  std::fill_n(importance.begin() + 256, 256, 0.0f);  // a super-block
  const std::vector<float> out = through(type, weights, importance);
  const auto range = [&](size_t from, size_t n) {
    const auto part = [&](const std::vector<float>& all) {
      return std::vector<float>(all.begin() + from, all.begin() + from + n);
    };
    return nmse(part(out), part(weights));
  };
  const double usual = nmse(through(type, weights), weights);
  EXPECT_LT(range(64, 32), 3 * usual);
  EXPECT_LT(range(256, 256), 1.5 * usual);
  const std::vector<float> plain = through(type, weights);
  EXPECT_LT(nmse(out, weights, importance), 1.01 * nmse(plain, weights, importance));
}

bool all_finite(const std::vector<float>& values) {
  return std::all_of(values.begin(), values.end(), [](float x) { return std::isfinite(x); });
}

TEST_P(Encode, ZerosStayZeros) {
  const std::vector<float> zeros(512, 0.0f);
  EXPECT_EQ(through(GetParam(), zeros), zeros);
}

TEST_P(Encode, ConstantBlocks) {
  const QuantType type = GetParam();
  for (const float value : {1.0f, -1.0f, 0.37f, -0.0123f, 3e-5f}) {
    const std::vector<float> weights(512, value);
    const double bound = type == QuantType::MXFP4 ? 0.03 : value == 3e-5f ? 5e-3 : 1e-4;
    EXPECT_LT(nmse(through(type, weights), weights), bound) << value;
  }
}

TEST_P(Encode, OneHugeOutlier) {
  const QuantType type = GetParam();
  for (const float outlier : {1000.0f, -1000.0f}) {
    std::vector<float> weights = gaussian(512, 1, 51);
    weights[300] = outlier;
    const std::vector<float> out = through(type, weights);
    ASSERT_TRUE(all_finite(out));
    EXPECT_NEAR(out[300], outlier, type == QuantType::MXFP4 ? 260 : 25);
    std::vector<float> rest(out.begin(), out.begin() + 256),
        exact(weights.begin(), weights.begin() + 256);
    EXPECT_LT(nmse(rest, exact), 0.2);  // the block or super-block before it
  }
}

TEST_P(Encode, OneSign) {
  const QuantType type = GetParam();
  const double usual = nmse(through(type, gaussian(4096, 1, 61)), gaussian(4096, 1, 61));
  for (const float sign : {1.0f, -1.0f}) {
    std::vector<float> weights = gaussian(4096, 1, 61);
    for (float& x : weights) x = sign * std::abs(x);
    EXPECT_LT(nmse(through(type, weights), weights), 1.05 * usual) << sign;
  }
}

/// Scales run into both ends of f16: the largest finite one, and steps of 2^-24.
TEST_P(Encode, ExtremeMagnitudes) {
  const QuantType type = GetParam();
  for (const float size : {FLT_MAX, 1e30f, 1e9f, 65504.0f, 1e-6f, 1e-7f, 1e-30f, 1e-44f}) {
    std::vector<float> weights = gaussian(512, 0.25f, 71);
    for (float& x : weights) x = std::clamp(x, -1.0f, 1.0f) * size;
    const std::vector<float> out = through(type, weights);
    ASSERT_TRUE(all_finite(out)) << size;
    EXPECT_LE(nmse(out, weights), 1.0) << size;
  }
  const std::vector<float> edge = gaussian(4096, 16'384, 72);
  EXPECT_LT(nmse(through(type, edge), edge),
            1.001 * nmse(through(type, gaussian(4096, 1, 72)), gaussian(4096, 1, 72)));
}

/// What a file holds already is kept: once encoded, encoding again changes next to nothing.
TEST_P(Encode, AGridKeepsItsValues) {
  const QuantType type = GetParam();
  const std::vector<float> first = through(type, gaussian(16 * 1024, 0.02f, 81));
  const std::vector<float> again = through(type, first);
  EXPECT_LT(nmse(again, first), 1e-4);
  const quant::FitKind kind = quant::fit_plan(type)->kind;
  if (kind == quant::FitKind::Signed || kind == quant::FitKind::Exponent) {
    EXPECT_EQ(again, first);  // one scale a block: found again to the bit
  }
}

TEST(EncodeUnscaled, RoundsToNearestAndStaysFinite) {
  const std::vector<float> weights = {1.0f, -0.1f, 1e-8f, 70'000.0f, -3e38f, FLT_MAX, 0.0f, -0.0f};
  EXPECT_EQ(through(QuantType::F32, weights), weights);
  for (const QuantType type : {QuantType::F16, QuantType::BF16}) {
    const std::vector<float> out = through(type, weights);
    EXPECT_TRUE(all_finite(out));
    EXPECT_EQ(out[0], 1.0f);
    EXPECT_NEAR(out[1], -0.1f, type == QuantType::F16 ? 3e-5f : 3e-4f);
  }
  EXPECT_EQ(through(QuantType::F16, weights)[3], 65504.0f);
}

TEST(EncodeTypes, AreTheOnesOfTheTable) {
  for (const QuantTypeInfo& row : quant_types()) {
    const bool scaled = std::count(std::begin(kGridTypes), std::end(kGridTypes), row.type) > 0;
    EXPECT_EQ(quant::has_grid(row.type), scaled) << row.name;
    EXPECT_EQ(quant::can_encode(row.type), scaled || row.block_weights == 1) << row.name;
  }
}

}  // namespace
}  // namespace pumice::test
