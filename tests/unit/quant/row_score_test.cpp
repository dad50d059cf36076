// Scores of a row against sums done another way, in the plainest code, and by hand.
#include "engine/quant/row_score.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
#include <random>

#include "engine/quant/exp_block.h"

namespace pumice::quant {
namespace {

std::vector<float> noise(size_t n, double deviation, uint64_t seed) {
  std::mt19937_64 random(seed);
  std::vector<float> row(n);
  for (float& x : row) {  // Box-Muller: the standard's distributions differ between libraries
    const double u = (double(random() >> 11) + 0.5) * 0x1p-53, v = double(random() >> 11) * 0x1p-53;
    x = float(deviation * std::sqrt(-2 * std::log(u)) * std::cos(2 * std::numbers::pi * v));
  }
  return row;
}

std::vector<double> softmax(std::span<const float> row, double temperature = 1) {
  long double sum = 0;
  for (const float x : row) sum += std::exp((long double)(x) / temperature);
  std::vector<double> p;
  for (const float x : row) p.push_back(double(std::exp((long double)(x) / temperature) / sum));
  return p;
}

double plain_kld(const std::vector<double>& p, const std::vector<double>& q) {
  long double sum = 0;
  for (size_t i = 0; i < p.size(); ++i)
    sum += p[i] * (std::log((long double)(p[i])) - std::log(q[i]));
  return double(sum);
}

TEST(RowScore, ExpIsExact) {
  DoubleBlock x, y;
  for (double start = 0; start > -699; start -= 0.7 * kBlock) {
    for (size_t i = 0; i < kBlock; ++i) x[i] = std::max(start - 0.7 * double(i), -699.9);
    exp_block(x, y);
    for (size_t i = 0; i < kBlock; ++i) EXPECT_NEAR(y[i] / std::exp(x[i]), 1.0, 1e-15) << x[i];
  }
  x.fill(-1000);
  x[0] = 0;
  x[1] = -0.0;
  x[2] = -std::numeric_limits<double>::max();
  exp_block(x, y);
  EXPECT_EQ(y[0], 1.0);
  EXPECT_EQ(y[1], 1.0);
  EXPECT_LT(y[2], 1e-300);
  EXPECT_LT(y[63], 1e-300);
}

// Ids of the two best, ties and all, against a stable sort.
TEST(RowScore, TopTwoAreThoseOfASortedRow) {
  std::mt19937_64 random(11);
  for (int set = 0; set < 300; ++set) {
    std::vector<float> row(2 + random() % 200);
    for (float& x : row) x = float(random() % 30) - 40.0f;  // many equals, all negative
    std::vector<size_t> order(row.size());
    for (size_t i = 0; i < order.size(); ++i) order[i] = i;
    std::stable_sort(order.begin(), order.end(),
                     [&](size_t a, size_t b) { return row[a] > row[b]; });
    std::vector<float> other(row.size());
    other[order[0]] = 7;  // so that margin_change tells which tokens were taken for the two best
    other[order[1]] += 2;
    const PositionScore s = score_row(row, other, 0);
    EXPECT_EQ(s.top_reference, order[0]);
    EXPECT_EQ(s.margin, double(row[order[0]]) - double(row[order[1]]));
    EXPECT_EQ(s.margin_change, 5 - s.margin);
    EXPECT_EQ(s.top, order[0]);
  }
}

// Two tokens: p = (3/4, 1/4) against q = (1/2, 1/2).
TEST(RowScore, TwoTokensByHand) {
  const std::vector<float> p = {std::log(3.0f), 0}, q = {0, 0};
  const PositionScore s = score_row(p, q, 1);
  EXPECT_NEAR(s.kld, 0.75 * std::log(1.5) + 0.25 * std::log(0.5), 1e-7);
  EXPECT_NEAR(s.kld_reverse, 0.5 * std::log(2 / 3.0) + 0.5 * std::log(2.0), 1e-7);
  EXPECT_NEAR(s.nll, std::log(2.0), 1e-15);
  EXPECT_NEAR(s.nll_reference, std::log(4.0), 1e-7);
  EXPECT_NEAR(s.probability_change, 0.25, 1e-7);
  EXPECT_NEAR(s.margin, std::log(3.0), 1e-7);
  EXPECT_NEAR(s.margin_probability, 0.5, 1e-7);
  EXPECT_NEAR(s.margin_change, -std::log(3.0), 1e-7);
  EXPECT_EQ(s.top, 0u) << "the lowest id of equals";
  EXPECT_TRUE(s.same_top());
}

// Logits -(x - m)^2 / 2 on a fine grid are two Gaussians of unit width: KL = (m1 - m2)^2 / 2.
TEST(RowScore, TwoGaussians) {
  constexpr int kCells = 4001;
  std::vector<float> p(kCells), q(kCells);
  for (int i = 0; i < kCells; ++i) {
    const double x = -20 + 0.01 * i;
    p[i] = float(-x * x / 2);
    q[i] = float(-(x - 0.5) * (x - 0.5) / 2);
  }
  const PositionScore s = score_row(p, q, 2000);
  EXPECT_NEAR(s.kld, 0.125, 1e-6);
  EXPECT_NEAR(s.kld_reverse, 0.125, 1e-6);
  EXPECT_NEAR(s.nll_reference, 0.5 * std::log(2 * std::numbers::pi) + std::log(100.0), 1e-6);
}

TEST(RowScore, AgreesWithPlainSums) {
  for (const size_t n : {2, 3, 7, 8, 9, 31, 500, 1001}) {
    const std::vector<float> p = noise(n, 5, n), q = noise(n, 5, n + 1);
    const std::vector<double> pp = softmax(p), qq = softmax(q);
    const uint32_t next = uint32_t(n / 2);
    const PositionScore s = score_row(p, q, next);
    EXPECT_NEAR(s.kld, plain_kld(pp, qq), 1e-12 * (1 + s.kld)) << n;
    EXPECT_NEAR(s.kld_reverse, plain_kld(qq, pp), 1e-12 * (1 + s.kld_reverse)) << n;
    EXPECT_NEAR(s.nll, -std::log(qq[next]), 1e-12) << n;
    EXPECT_EQ(s.top, uint32_t(std::max_element(q.begin(), q.end()) - q.begin()));
    std::vector<float> sorted = p;
    std::sort(sorted.rbegin(), sorted.rend());
    EXPECT_EQ(s.margin, double(sorted[0]) - double(sorted[1])) << n;
    EXPECT_EQ(score_row({}, q, next).nll, s.nll) << "a reference changes nothing of the model's";
  }
}

TEST(RowScore, TheSameRowIsExactlyZero) {
  const std::vector<float> p = noise(32000, 4, 9);
  const PositionScore s = score_row(p, p, 17);
  EXPECT_EQ(s.kld, 0.0);
  EXPECT_EQ(s.kld_reverse, 0.0);
  EXPECT_EQ(s.probability_change, 0.0);
  EXPECT_EQ(s.margin_change, 0.0);
  EXPECT_EQ(s.nll, s.nll_reference);
}

TEST(RowScore, ShiftsOfAllLogitsDoNotCount) {
  const std::vector<float> p = noise(64, 1, 3);
  std::vector<float> q = p;
  for (float& x : q) x += 4;  // may round: hence not exactly zero
  EXPECT_LT(score_row(p, q, 0).kld, 1e-12);
}

TEST(RowScore, WhatIsNotFiniteIsSaid) {
  const float bad[] = {std::numeric_limits<float>::quiet_NaN(),
                       std::numeric_limits<float>::infinity(),
                       -std::numeric_limits<float>::infinity()};
  for (const float x : bad)
    for (const size_t at : {0, 1, 63}) {
      const std::vector<float> good = noise(64, 1, 3);
      std::vector<float> row = good;
      row[at] = x;
      EXPECT_FALSE(score_row(good, row, 2).finite);
      EXPECT_FALSE(score_row(row, good, 2).finite);
      EXPECT_FALSE(score_row({}, row, 2).finite);
      EXPECT_TRUE(score_row({}, good, 2).finite);
    }
}

TEST(Temperature, AgreesWithPlainSums) {
  const std::vector<float> p = noise(300, 3, 1), q = noise(300, 3, 2);
  TemperatureWork work;
  for (const double temperature : {0.2, 0.7, 1.0, 1.5}) {
    const std::vector<double> pp = softmax(p, temperature), qq = softmax(q, temperature);
    const TemperatureScore s = score_temperature(p, q, temperature, 0.95, work);
    double distance = 0;
    for (size_t i = 0; i < pp.size(); ++i) distance += std::abs(pp[i] - qq[i]) / 2;
    EXPECT_NEAR(s.total_variation, distance, 1e-12);
    EXPECT_GE(s.same_draw, s.total_variation - 1e-12) << "no coupling beats the best one";
    EXPECT_LE(s.same_draw, 1.0);
    EXPECT_NEAR(s.kld, plain_kld(pp, qq), 1e-10);
  }
}

// The nucleus of a sorted copy, against the one found by bins.
TEST(Temperature, NucleiAreThoseOfASortedRow) {
  TemperatureWork work;
  for (const double deviation : {0.0, 0.001, 1.0, 30.0}) {
    const std::vector<float> p = noise(500, deviation, 4), q = noise(500, deviation, 5);
    const auto nucleus = [](const std::vector<float>& row) {
      const std::vector<double> probabilities = softmax(row);
      std::vector<size_t> order(row.size());
      for (size_t i = 0; i < order.size(); ++i) order[i] = i;
      std::stable_sort(order.begin(), order.end(),
                       [&](size_t a, size_t b) { return row[a] > row[b]; });
      std::vector<bool> inside(row.size());
      double mass = 0;
      for (size_t i = 0; i < order.size() && mass < 0.9003; ++i) {
        inside[order[i]] = true;
        mass += probabilities[order[i]];
      }
      return inside;
    };
    const std::vector<bool> in_p = nucleus(p), in_q = nucleus(q);
    double both = 0, either = 0;
    for (size_t i = 0; i < p.size(); ++i) {
      both += in_p[i] && in_q[i];
      either += in_p[i] || in_q[i];
    }
    const TemperatureScore s = score_temperature(p, q, 1.0, 0.9003, work);
    EXPECT_NEAR(s.nucleus_overlap, both / either, 1e-12) << deviation;
  }
}

// p = (3/4, 1/4), q = (1/2, 1/2): random numbers in [1/2, 3/4) draw different tokens.
TEST(Temperature, SameDrawByHand) {
  const std::vector<float> p = {std::log(3.0f), 0}, q = {0, 0};
  TemperatureWork work;
  const TemperatureScore s = score_temperature(p, q, 1.0, 0.95, work);
  EXPECT_NEAR(s.same_draw, 0.25, 1e-7);
  EXPECT_NEAR(s.total_variation, 0.25, 1e-7);
  EXPECT_EQ(s.nucleus_overlap, 1.0);
  EXPECT_NEAR(s.nucleus_mass, 1.0, 1e-12);
}

// The error of the second-order prediction is of third order: ten times less noise, a relative
// error at least about ten times smaller.
TEST(Temperature, SecondOrderPredictionConverges) {
  const std::vector<float> p = noise(2000, 3, 6);
  TemperatureWork work;
  for (const double temperature : {0.5, 1.0, 1.5}) {
    double before = 1e9;
    for (const double size : {0.3, 0.03, 0.003}) {
      std::vector<float> q = noise(2000, size, 7);
      for (size_t i = 0; i < q.size(); ++i) q[i] += p[i];
      const TemperatureScore s = score_temperature(p, q, temperature, 0.95, work);
      const double error = std::abs(s.kld_predicted / s.kld - 1);
      EXPECT_LT(error, before / 4) << size << " at " << temperature;
      before = error;
    }
    EXPECT_LT(before, 0.01);
  }
}

TEST(Temperature, ExtremeRowsStayFinite) {
  std::vector<float> p(100, -3e4f), q(100, -3e4f);
  p[3] = 3e4f;
  q[77] = 3e4f;
  TemperatureWork work;
  for (const double temperature : {0.01, 1.0, 100.0}) {
    const TemperatureScore s = score_temperature(p, q, temperature, 0.95, work);
    EXPECT_NEAR(s.total_variation, 1.0, 1e-12);
    EXPECT_TRUE(std::isfinite(s.kld) && s.kld > 0);
    EXPECT_EQ(s.nucleus_overlap, 0.0);
    EXPECT_EQ(s.top_changed, 1.0);
  }
}

}  // namespace
}  // namespace pumice::quant
