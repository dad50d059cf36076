// Error feedback: lowers the error of outputs on correlated inputs, changes nothing where inputs
// are independent, and survives inputs that say nothing.
#include "engine/quant/error_feedback.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <span>
#include <vector>

#include "engine/quant/encode.h"
#include "loader/codec.h"
#include "tests/unit/quant/samples.h"

namespace pumice::quant {
namespace {

using test::correlated_gram;

std::vector<float> normals(size_t n, uint32_t seed, float scale = 1.0f) {
  return test::gaussian(n, scale, seed);
}

std::vector<float> decoded(QuantType type, std::span<const std::byte> bytes, size_t n) {
  std::vector<float> out(n);
  decode_row(type, bytes.data(), n, out.data());
  return out;
}

struct Encoded {
  std::vector<std::byte> bytes;
  double error;
};

Encoded with_feedback(QuantType type, std::span<const float> gram, uint64_t width,
                      std::span<const float> weights,
                      uint32_t sweeps = ErrorFeedbackOptions().sweeps) {
  const size_t bytes = weights.size() / info(type).block_weights * info(type).block_bytes;
  Encoded out{std::vector<std::byte>(bytes), 0};
  ErrorFeedbackOptions options;
  options.sweeps = sweeps;
  auto feedback = ErrorFeedback::prepare(type, gram, width, options);
  EXPECT_TRUE(feedback) << feedback.error().text;
  feedback->encode_rows(weights, out.bytes);
  out.error =
      ErrorFeedback::output_error(gram, width, weights, decoded(type, out.bytes, weights.size()));
  return out;
}

Encoded nearest(QuantType type, std::span<const float> gram, uint64_t width,
                std::span<const float> weights, std::span<const float> importance) {
  const size_t bytes = weights.size() / info(type).block_weights * info(type).block_bytes;
  Encoded out{std::vector<std::byte>(bytes), 0};
  encode_rows(type, weights, width, importance, out.bytes);
  out.error =
      ErrorFeedback::output_error(gram, width, weights, decoded(type, out.bytes, weights.size()));
  return out;
}

std::string type_name(QuantType type) {
  return std::string(info(type).name);
}

class FeedbackTypes : public testing::TestWithParam<QuantType> {};

TEST_P(FeedbackTypes, LowersTheErrorOfOutputs) {
  const uint64_t width = 256;
  const std::vector<float> gram = correlated_gram(width, 800, 7),
                           weights = normals(24 * width, 3, 0.05f);
  std::vector<float> energy(width);
  for (uint64_t i = 0; i < width; ++i) energy[i] = gram[i * width + i];
  const double plain = nearest(GetParam(), gram, width, weights, {}).error;
  const double weighted = nearest(GetParam(), gram, width, weights, energy).error;
  const double fed = with_feedback(GetParam(), gram, width, weights, 0).error;
  const double refined = with_feedback(GetParam(), gram, width, weights).error;
  printf("%-7s nearest %.4g, importance %.3f of it, feedback %.3f, refined %.3f\n",
         type_name(GetParam()).c_str(), plain, weighted / plain, fed / plain, refined / plain);
  EXPECT_LT(fed, 0.8 * plain);
  EXPECT_LT(fed, weighted);
  // Within a super-block the feedback has almost done it; the damping is in what is lowered, not
  // here.
  EXPECT_LT(refined, (info(GetParam()).block_weights == 256 ? 1.01 : 0.8) * fed);
}

INSTANTIATE_TEST_SUITE_P(Quant, FeedbackTypes,
                         testing::Values(QuantType::Q4_0, QuantType::Q5_1, QuantType::Q8_0,
                                         QuantType::Q2_K, QuantType::Q3_K, QuantType::Q4_K,
                                         QuantType::Q5_K, QuantType::Q6_K, QuantType::IQ4_NL,
                                         QuantType::IQ4_XS, QuantType::MXFP4),
                         [](const auto& row) { return type_name(row.param); });

TEST(ErrorFeedbackTest, RowsDoNotDependOnTheirCompany) {
  const uint64_t width = 256;
  const std::vector<float> gram = correlated_gram(width, 400, 11),
                           weights = normals(37 * width, 5, 0.1f);
  const std::vector<std::byte> all = with_feedback(QuantType::Q4_K, gram, width, weights).bytes;
  const size_t row_bytes = all.size() / 37;
  for (const size_t row : {size_t(0), size_t(31), size_t(32), size_t(36)}) {
    const auto alone =
        with_feedback(QuantType::Q4_K, gram, width, std::span(weights).subspan(row * width, width));
    EXPECT_TRUE(std::equal(alone.bytes.begin(), alone.bytes.end(), all.begin() + row * row_bytes))
        << "row " << row;
  }
}

TEST(ErrorFeedbackTest, IndependentInputsOfEqualEnergyChangeNothing) {
  const uint64_t width = 256;
  std::vector<float> gram(width * width, 0.0f);
  for (uint64_t i = 0; i < width; ++i) gram[i * width + i] = 2.0f;
  const std::vector<float> weights = normals(4 * width, 9, 0.1f), equal(width, 1.0f);
  const Encoded plain = nearest(QuantType::Q6_K, gram, width, weights, equal);
  EXPECT_EQ(with_feedback(QuantType::Q6_K, gram, width, weights, 0).bytes, plain.bytes);
  EXPECT_LE(with_feedback(QuantType::Q6_K, gram, width, weights).error, plain.error);
}

TEST(ErrorFeedbackTest, SilentAndRepeatedChannelsAreNoTrouble) {
  const uint64_t width = 256;
  std::vector<float> gram(width * width, 0.0f);  // channel 0 and 1 equal, the rest silent
  for (const uint64_t at : {uint64_t(0), uint64_t(1), width, width + 1}) gram[at] = 100.0f;
  const std::vector<float> weights = normals(3 * width, 2, 0.1f);
  for (const float value :
       decoded(QuantType::Q4_K, with_feedback(QuantType::Q4_K, gram, width, weights).bytes,
               weights.size()))
    ASSERT_TRUE(std::isfinite(value));
  std::fill(gram.begin(), gram.end(), 0.0f);
  const auto all_silent = with_feedback(QuantType::Q4_K, gram, width, weights);
  EXPECT_EQ(all_silent.error, 0.0);
}

TEST(ErrorFeedbackTest, RefusesWhatIsNoGramMatrix) {
  const uint64_t width = 256;
  std::vector<float> gram(width * width, 0.0f);
  EXPECT_FALSE(ErrorFeedback::prepare(QuantType::Q4_K, std::span(gram).first(17), width));
  EXPECT_FALSE(ErrorFeedback::prepare(QuantType::F16, gram, width));
  gram[3] = 5.0f;
  auto lopsided = ErrorFeedback::prepare(QuantType::Q4_K, gram, width);
  ASSERT_FALSE(lopsided);
  EXPECT_NE(lopsided.error().text.find("expected the same"), std::string::npos);
  gram[3] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_FALSE(ErrorFeedback::prepare(QuantType::Q4_K, gram, width));
  gram[3] = 0.0f;
  gram[0] = -1.0f;
  EXPECT_FALSE(ErrorFeedback::prepare(QuantType::Q4_K, gram, width));
}

}  // namespace
}  // namespace pumice::quant
