// The sampler on the device: what it may pick, how often, and that the same seed picks the same.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <iostream>
#include <numeric>

#include "shaders/shared/push.h"
#include "tests/gpu/row_graph.h"
#include "tests/rows/blocks.h"

namespace pumice::test {
namespace {

using reference::Matrix;
using shared::SampleSettings;

constexpr uint32_t kVocab = 301, kColumns = 8, kRounds = 120;

/// Logits that somebody else computed, on a device that samples them.
class Sampler {
 public:
  Sampler(vk::Device& device, std::span<const double> logits, const Tier& tier = {.name = ""}) {
    GgufWriter writer;
    writer.set("general.architecture", std::string("rows"));
    const auto file = open_in_memory(writer);
    const auto n_vocab = uint32_t(logits.size());
    graph::Graph graph;
    for (const char* name : {"x", "zeros", "logits"})
      graph.values.push_back({.name = name, .width = n_vocab, .per_output = true});
    graph.nodes = {{graph::Add{.a = 0, .b = 1, .out = 2}, "logits"}};
    graph.logits = 2;
    graph.n_vocab = n_vocab;
    RunOptions options;
    options.max_chunk = options.max_sequences = options.max_outputs = kColumns;
    auto made = GraphRunner::create(device, *file, graph, tier, options);
    EXPECT_TRUE(made) << made.error().text;
    if (!made) return;
    runner_ = std::move(*made);
    Matrix all(n_vocab, kColumns);
    for (uint32_t c = 0; c < kColumns; ++c)
      std::copy(logits.begin(), logits.end(), all.column(c).begin());
    runner_->set_value(0, all);
    runner_->set_value(1, Matrix(n_vocab, kColumns));
  }

  void set(uint32_t column, const SampleSettings& settings,
           std::span<const uint32_t> history = {}) {
    const StepLayout& layout = runner_->plan().layout;
    const auto step = runner_->words(runner_->plan().step);
    std::memcpy(&step[layout.settings + column * PUMICE_SETTINGS_WORDS], &settings,
                sizeof(settings));
    std::copy(history.begin(), history.end(),
              step.begin() + layout.history + column * PUMICE_HISTORY);
  }
  [[nodiscard]] SampleSettings settings(uint32_t column) {
    SampleSettings out;
    std::memcpy(
        &out,
        &runner_->words(
            runner_->plan().step)[runner_->plan().layout.settings + column * PUMICE_SETTINGS_WORDS],
        sizeof(out));
    return out;
  }

  /// One token per column.
  [[nodiscard]] std::vector<uint32_t> draw() {
    const auto ran = runner_->run({1, kColumns, Ending::Sample, false});
    EXPECT_TRUE(ran) << ran.error().text;
    const auto words = runner_->words(runner_->plan().result);
    std::vector<uint32_t> tokens;
    for (uint32_t c = 0; c < kColumns; ++c) tokens.push_back(words[c * PUMICE_RESULT_WORDS + 2]);
    return tokens;
  }

 private:
  std::unique_ptr<GraphRunner> runner_;
};

SampleSettings plain(uint32_t seed = 1) {
  return {.temperature = 0,
          .top_k = 0,
          .top_p = 1,
          .min_p = 0,
          .repeat_penalty = 1,
          .repeat_last = 64,
          .history_length = 0,
          .seed_lo = seed,
          .seed_hi = 0,
          .counter = 0};
}

/// A few strong tokens, a long tail, none equal.
std::vector<double> peaked_logits() {
  std::vector<double> logits;
  for (uint32_t i = 0; i < kVocab; ++i)
    logits.push_back(double(float(4.0 * std::cos(0.9 * i) - 0.02 * ((i * 37) % kVocab))));
  return logits;
}

/// Exact probabilities: penalty, then top-k, top-p, min-p, then temperature.
std::vector<double> probabilities(std::vector<double> logits, const SampleSettings& settings,
                                  std::span<const uint32_t> history) {
  std::vector<uint32_t> seen(history.begin(), history.end());
  std::sort(seen.begin(), seen.end());
  seen.erase(std::unique(seen.begin(), seen.end()), seen.end());
  for (const uint32_t token : seen) {
    const double penalty = double(settings.repeat_penalty);
    logits[token] = logits[token] > 0 ? logits[token] / penalty : logits[token] * penalty;
  }
  std::vector<uint32_t> order(logits.size());
  std::iota(order.begin(), order.end(), 0u);
  std::stable_sort(order.begin(), order.end(),
                   [&](uint32_t a, uint32_t b) { return logits[a] > logits[b]; });
  if (settings.top_k != 0) order.resize(std::min<size_t>(order.size(), settings.top_k));
  const double best = logits[order.front()];
  double total = 0, mass = 0;
  for (const uint32_t token : order) total += std::exp(logits[token] - best);
  size_t keep = 0;
  while (keep < order.size() && (settings.top_p >= 1.0f || mass < double(settings.top_p) * total))
    mass += std::exp(logits[order[keep++]] - best);
  order.resize(keep);
  std::vector<double> out(logits.size());
  double sum = 0;
  for (const uint32_t token : order)
    if (std::exp(logits[token] - best) >= double(settings.min_p))
      sum += out[token] = std::exp((logits[token] - best) / double(settings.temperature));
  for (double& p : out) p /= sum;
  return out;
}

class OpsSample : public RowTest {};

TEST_F(OpsSample, GreedyTakesTheLowestOfEquals) {
  std::vector<double> logits(kVocab, -2.0);
  for (const uint32_t token : {17u, 18u, 200u, 300u}) logits[token] = 3.5;
  Sampler sampler(device(), logits);
  for (uint32_t c = 0; c < kColumns; ++c) sampler.set(c, plain());
  for (const uint32_t token : sampler.draw()) EXPECT_EQ(token, 17u);
  std::fill(logits.begin(), logits.end(), -1e30);
  Sampler flat(device(), logits);
  for (uint32_t c = 0; c < kColumns; ++c) flat.set(c, plain());
  for (const uint32_t token : flat.draw()) EXPECT_EQ(token, 0u);
}

TEST_F(OpsSample, GreedyPaysThePenalty) {
  std::vector<double> logits(kVocab, -2.0);
  logits[5] = 4.0;
  logits[9] = 3.0;
  logits[11] = 2.5;
  Sampler sampler(device(), logits);
  SampleSettings settings = plain();
  settings.repeat_penalty = 1.5f;
  const uint32_t history[] = {9, 5, 5, 9};
  settings.history_length = 4;
  for (uint32_t c = 0; c < kColumns; ++c) sampler.set(c, settings, history);
  // Once per token however often it was seen: 4 / 1.5 and 3 / 1.5 stay around 2.5.
  EXPECT_EQ(sampler.draw().front(), 5u);
  settings.repeat_penalty = 1.7f;
  for (uint32_t c = 0; c < kColumns; ++c) sampler.set(c, settings, history);
  EXPECT_EQ(sampler.draw().front(), 11u);
  settings.repeat_last = 1;  // sees only 9
  for (uint32_t c = 0; c < kColumns; ++c) sampler.set(c, settings, history);
  EXPECT_EQ(sampler.draw().front(), 5u);
}

struct DistributionRow {
  const char* name;
  float temperature;
  uint32_t top_k = 0;
  float top_p = 1, min_p = 0, penalty = 1;
};

constexpr DistributionRow kDistributions[] = {
    {"temperature 1", 1.0f},
    {"temperature 0.5", 0.5f},
    {"temperature 1.8, top-k 7", 1.8f, 7},
    {"top-p 0.6", 1.0f, 0, 0.6f},
    {"min-p 0.3, temperature 1.5", 1.5f, 0, 1, 0.3f},
    {"all of them", 1.2f, 40, 0.85f, 0.05f, 1.3f},
};

// Nothing outside the support, and every frequency within five standard deviations.
TEST_F(OpsSample, DrawsFollowTheExactDistribution) {
  const std::vector<double> logits = peaked_logits();
  Sampler sampler(device(), logits);
  for (const DistributionRow& row : kDistributions) {
    SampleSettings settings = plain();
    settings.temperature = row.temperature;
    settings.top_k = row.top_k;
    settings.top_p = row.top_p;
    settings.min_p = row.min_p;
    settings.repeat_penalty = row.penalty;
    const uint32_t history[] = {0, 7, 14, 21, 300};
    settings.history_length = row.penalty == 1.0f ? 0 : 5;
    std::vector<uint32_t> counts(kVocab);
    for (uint32_t round = 0; round < kRounds; ++round) {
      for (uint32_t c = 0; c < kColumns; ++c) {
        settings.seed_lo = 1000 + c;
        settings.counter = round;
        sampler.set(c, settings, history);
      }
      for (const uint32_t token : sampler.draw()) ++counts[std::min(token, kVocab - 1)];
    }
    const std::vector<double> expected =
        probabilities(logits, settings, std::span(history).first(settings.history_length));
    constexpr double n = kRounds * kColumns;
    for (uint32_t token = 0; token < kVocab; ++token) {
      const double p = expected[token];
      const double slack = p == 0.0 ? 0.0 : 5.0 * std::sqrt(n * p * (1 - p)) + 3.0;
      EXPECT_NEAR(counts[token], n * p, slack) << row.name << ": token " << token;
    }
  }
}

TEST_F(OpsSample, SeedsRepeatAndDiffer) {
  Sampler sampler(device(), peaked_logits());
  const auto run = [&](bool restart) {
    std::vector<std::vector<uint32_t>> drawn(kColumns);
    for (uint32_t c = 0; c < kColumns && restart; ++c) {
      SampleSettings settings = plain(c / 2);  // pairs of columns share a seed
      settings.seed_hi = 77;
      settings.temperature = 1.0f;
      sampler.set(c, settings);
    }
    for (int i = 0; i < 24; ++i) {
      const auto tokens = sampler.draw();
      for (uint32_t c = 0; c < kColumns; ++c) drawn[c].push_back(tokens[c]);
    }
    return drawn;
  };
  const auto first = run(true), more = run(false);
  EXPECT_EQ(sampler.settings(0).counter, 48u);
  EXPECT_EQ(run(true), first);
  EXPECT_NE(more, first);
  for (uint32_t c = 0; c < kColumns; c += 2) {
    EXPECT_EQ(first[c], first[c + 1]);
    EXPECT_NE(first[c], first[(c + 2) % kColumns]);
  }
}

TEST_F(OpsSample, TiersPickTheSame) {
  std::vector<std::vector<uint32_t>> picked;
  for (const bool texel : {true, false}) {
    Sampler sampler(device(), peaked_logits(), {.name = "", .without = {.texel = !texel}});
    for (uint32_t c = 0; c < kColumns; ++c) {
      SampleSettings settings = plain(c);
      settings.temperature = 0.9f;
      settings.top_p = 0.9f;
      sampler.set(c, settings);
    }
    picked.push_back(sampler.draw());
  }
  EXPECT_EQ(picked[0], picked[1]);
}

}  // namespace
}  // namespace pumice::test
