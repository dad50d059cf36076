// Whole evaluations over made-up logits, and the tables made of them.
#include "engine/quant/compare.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "engine/quant/divergence.h"
#include "tests/unit/quant/made_up_source.h"

namespace pumice::quant {
namespace {

constexpr uint32_t kVocab = 29;

MadeUpSource model(float noise, uint32_t most_rows = 100) {
  return {"model", kVocab, most_rows, [noise](uint32_t chunk, uint32_t position, uint32_t token) {
            return 3 * scatter(chunk, position, token) +
                   noise * scatter(chunk + 1000, position, token);
          }};
}

Comparison compared(LogitSource* reference, LogitSource& source, const EvaluationText& text,
                    const CompareOptions& options = {}) {
  auto comparison = compare(reference, source, text, options);
  EXPECT_TRUE(comparison) << comparison.error().text;
  return std::move(*comparison);
}

TEST(Compare, AModelAgainstItselfIsExactlyZero) {
  MadeUpSource a = model(0), b = model(0);
  const EvaluationText text = made_up_text(kVocab, 3);
  const Comparison comparison = compared(&a, b, text, {.temperatures = {0.5, 2}});
  const DivergenceStatistics s = summarise(comparison);
  for (const DivergenceQuantiles& kld : {s.kld, s.kld_reverse}) {
    EXPECT_EQ(kld.mean.value, 0.0);
    EXPECT_EQ(kld.mean.error, 0.0);
    EXPECT_EQ(kld.max, 0.0);
  }
  EXPECT_EQ(s.same_top.value, 1.0);
  EXPECT_EQ(s.perplexity_ratio.value, 1.0);
  EXPECT_EQ(s.perplexity_ratio.error, 0.0) << "errors are paired";
  EXPECT_GT(s.perplexity.error, 0.0);
  EXPECT_EQ(s.rms_probability_change.value, 0.0);
  for (const TemperatureStatistics& row : summarise_temperatures(comparison)) {
    EXPECT_EQ(row.total_variation.value, 0.0);
    EXPECT_EQ(row.kld.value, 0.0);
    EXPECT_EQ(row.nucleus_overlap.value, 1.0);
  }
  const FlipStatistics flips = summarise_flips(comparison);
  EXPECT_EQ(flips.flips, 0u);
  EXPECT_EQ(flips.predicted, 0.0);
}

TEST(Compare, ThreadsAndStepsChangeNoBit) {
  const EvaluationText text = made_up_text(kVocab, 3);
  const auto run = [&](uint32_t threads, uint32_t rows) {
    MadeUpSource a = model(0), b = model(0.3f, rows);
    return compared(&a, b, text, {.temperatures = {0.7}, .threads = threads});
  };
  const Comparison one = run(1, 100);
  for (const Comparison& other : {run(4, 100), run(3, 2)}) {
    for (size_t i = 0; i < one.positions.size(); ++i) {
      EXPECT_EQ(one.positions[i].kld, other.positions[i].kld);
      EXPECT_EQ(one.positions[i].nll, other.positions[i].nll);
      EXPECT_EQ(one.tempered[0][i].kld, other.tempered[0][i].kld);
    }
    EXPECT_EQ(summarise(one).kld.q99.error, summarise(other).kld.q99.error);
  }
}

// Uniform logits: perplexity is the size of the vocabulary.
TEST(Compare, MarkedPositionsAreKeptInTheirOrder) {
  MadeUpSource a = model(0), b = model(0.3f);
  const EvaluationText text = made_up_text(kVocab, 3);
  const Comparison whole = compared(&a, b, text, {.temperatures = {0.5}});
  std::vector<uint8_t> marks(text.scored(), 0);
  for (const size_t i : {size_t{1}, size_t{4}, marks.size() - 1}) marks[i] = 1;
  EvaluationText counted = text;
  counted.counted = marks;
  const Comparison some = compared(&a, b, counted, {.temperatures = {0.5}});
  EXPECT_EQ(counted.positions(), 3u);
  ASSERT_EQ(some.positions.size(), 3u);
  EXPECT_EQ(some.positions[1].kld, whole.positions[4].kld);
  EXPECT_EQ(some.tempered[0][2].kld, whole.tempered[0].back().kld);
  const double mean =
      (whole.positions[1].kld + whole.positions[4].kld + whole.positions.back().kld) / 3;
  EXPECT_NEAR(summarise(some).kld.mean.value, mean, 1e-12);
  EXPECT_EQ(summarise(some).positions, 3u);
}

TEST(Compare, PerplexityWithoutAReference) {
  MadeUpSource uniform("uniform", kVocab, 5, [](uint32_t, uint32_t, uint32_t) { return 2.5f; });
  const Comparison comparison = compared(nullptr, uniform, made_up_text(kVocab, 2));
  const DivergenceStatistics s = summarise(comparison);
  EXPECT_FALSE(comparison.has_reference);
  EXPECT_EQ(s.positions, 14u);
  EXPECT_NEAR(s.perplexity.value, kVocab, 1e-12);
  EXPECT_EQ(s.kld.mean.value, 0.0);
}

// Positions know their next token: all weight on it gives a likelihood of one.
TEST(Compare, TheNextTokenIsTheNextToken) {
  const EvaluationText text = made_up_text(kVocab, 4);
  MadeUpSource oracle("oracle", kVocab, 3, [&](uint32_t chunk, uint32_t position, uint32_t token) {
    return int32_t(token) == text.chunk(chunk)[position + 1] ? 60.0f : 0.0f;
  });
  for (const PositionScore& score : compared(nullptr, oracle, text).positions)
    EXPECT_LT(score.nll, 1e-20);
}

TEST(Compare, NaNIsNamedWithItsPlace) {
  const EvaluationText text = made_up_text(kVocab, 3);
  for (const bool in_reference : {false, true}) {
    MadeUpSource good = model(0);
    MadeUpSource bad("bad.gguf", kVocab, 3, [](uint32_t chunk, uint32_t position, uint32_t token) {
      return chunk == 1 && position == 12 && token == 28 ? std::numeric_limits<float>::quiet_NaN()
                                                         : 1.0f;
    });
    const auto comparison = in_reference ? compare(&bad, good, text) : compare(&good, bad, text);
    ASSERT_FALSE(comparison);
    EXPECT_EQ(comparison.error().code, ErrorCode::NonFinite);
    EXPECT_EQ(comparison.error().text,
              "bad.gguf: a logit at chunk 1, position 12 is NaN or infinite");
  }
}

TEST(Compare, WhatCannotBeComparedIsRefused) {
  const EvaluationText text = made_up_text(kVocab, 1);
  MadeUpSource a = model(0);
  MadeUpSource other("other", 30, 9, [](uint32_t, uint32_t, uint32_t) { return 0.0f; });
  MadeUpSource tiny("tiny", 5, 9, [](uint32_t, uint32_t, uint32_t) { return 0.0f; });
  EXPECT_NE(compare(&other, a, text).error().text.find("vocabularies differ"), std::string::npos);
  EXPECT_NE(compare(nullptr, tiny, text).error().text.find("outside the vocabulary"),
            std::string::npos);
  EXPECT_FALSE(compare(&a, a, text, {.temperatures = {0}}));
  EXPECT_FALSE(compare(&a, a, text, {.temperatures = {std::nan("")}}));
  EXPECT_FALSE(compare(&a, a, text, {.top_p = 0}));
  const auto stopped = compare(&a, a, text, {.progress = [](uint64_t, uint64_t) { return false; }});
  EXPECT_EQ(stopped.error().code, ErrorCode::Cancelled);
}

TEST(Kept, LogitsAreTheSameAgain) {
  const EvaluationText text = made_up_text(kVocab, 2);
  MadeUpSource live = model(0, 3), second = model(0.4f);
  auto kept = KeptLogits::keep(live, text, 1 << 20);
  ASSERT_TRUE(kept);
  const Comparison a = compared(&live, second, text), b = compared(&*kept, second, text);
  for (size_t i = 0; i < a.positions.size(); ++i) EXPECT_EQ(a.positions[i].kld, b.positions[i].kld);
  EXPECT_FALSE(KeptLogits::keep(live, text, 100)) << "more than may be kept";
  EXPECT_FALSE(compare(&*kept, second, made_up_text(kVocab, 2, 12))) << "another text";
}

TEST(Statistics, QuantilesAndRms) {
  MadeUpSource a = model(0), b = model(0.5f);
  const Comparison comparison = compared(&a, b, made_up_text(kVocab, 40, 64));
  const DivergenceStatistics s = summarise(comparison);
  double kld = 0, squares = 0, most = 0;
  for (const PositionScore& score : comparison.positions) {
    kld += score.kld;
    squares += score.probability_change * score.probability_change;
    most = std::max(most, score.kld);
  }
  const double n = double(comparison.positions.size());
  EXPECT_NEAR(s.kld.mean.value, kld / n, 1e-12);
  EXPECT_NEAR(s.rms_probability_change.value, std::sqrt(squares / n), 1e-12);
  EXPECT_EQ(s.kld.max, most);
  EXPECT_LT(s.kld.median.value, s.kld.q90.value);
  EXPECT_LT(s.kld.q90.value, s.kld.q99.value);
  EXPECT_LT(s.kld.q999.value, most);
  EXPECT_NEAR(s.perplexity_ratio.value, s.perplexity.value / s.perplexity_reference.value, 1e-12);
  EXPECT_NEAR(s.log_perplexity_ratio.value, std::log(s.perplexity_ratio.value), 1e-12);
  // Independent positions: the bootstrap's error is that of a mean.
  double variance = 0;
  for (const PositionScore& score : comparison.positions)
    variance += (score.kld - kld / n) * (score.kld - kld / n) / n;
  EXPECT_NEAR(s.kld.mean.error, std::sqrt(variance / n), 0.3 * s.kld.mean.error);
}

TEST(Flips, BinsHoldEveryPositionAndPredictTheRate) {
  MadeUpSource a = model(0), b = model(0.5f);
  const Comparison comparison = compared(&a, b, made_up_text(kVocab, 100, 64));
  const FlipStatistics flips = summarise_flips(comparison);
  EXPECT_GT(flips.flips, 100u);
  for (const auto* bins : {&flips.by_probability, &flips.by_logit}) {
    uint64_t positions = 0, flipped = 0;
    double predicted = 0;
    for (const FlipBin& bin : *bins) {
      positions += bin.positions;
      flipped += bin.flips;
      predicted += bin.predicted * double(bin.positions);
      EXPECT_LE(bin.interval.low, bin.rate());
      EXPECT_GE(bin.interval.high, bin.rate());
    }
    EXPECT_EQ(positions, comparison.positions.size());
    EXPECT_EQ(flipped, flips.flips);
    EXPECT_NEAR(predicted / double(positions), flips.predicted, 1e-9);
  }
  EXPECT_GT(flips.by_logit.front().rate(), 0.4) << "next to no margin: a coin's throw";
  EXPECT_EQ(flips.by_logit.back().flips, 0u);
  const double rate = double(flips.flips) / double(flips.positions);
  EXPECT_GT(flips.predicted, rate / 3);
  EXPECT_LT(flips.predicted, rate * 2);
}

TEST(Curve, BucketsHoldEveryPosition) {
  MadeUpSource better("better", kVocab, 7, [](uint32_t chunk, uint32_t position, uint32_t token) {
    return scatter(chunk, position, token) / float(position + 1);
  });
  MadeUpSource uniform("uniform", kVocab, 9, [](uint32_t, uint32_t, uint32_t) { return 0.0f; });
  const Comparison comparison =
      compared(&uniform, better, made_up_text(kVocab, 3, 100, /*score_all=*/true));
  const auto curve = position_curve(comparison);
  uint32_t next = 0;
  uint64_t positions = 0;
  for (const CurveBucket& bucket : curve) {
    EXPECT_EQ(bucket.first, next);
    EXPECT_EQ(bucket.positions, 3u * (bucket.last - bucket.first + 1));
    next = bucket.last + 1;
    positions += bucket.positions;
    EXPECT_NEAR(bucket.nll_reference.value, std::log(double(kVocab)), 1e-12);
  }
  EXPECT_EQ(next, 99u) << "the last position has no next token";
  EXPECT_EQ(positions, comparison.positions.size());
  EXPECT_EQ(curve.size(), 14u) << "0 1 2 3 4 6 8 12 16 24 32 48 64 96";
  EXPECT_GT(curve.front().kld.value, 100 * curve.back().kld.value);
}

}  // namespace
}  // namespace pumice::quant
