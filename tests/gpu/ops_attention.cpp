// Rotation, the cache and attention: every position of sequences that cross pages and windows, on
// every tier, against the double-precision reference.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <iostream>
#include <limits>

#include "tests/gpu/cache_pages.h"
#include "tests/gpu/row_graph.h"
#include "tests/rows/attention_rows.h"
#include "tests/rows/blocks.h"

namespace pumice::test {
namespace {

using namespace attention;
using graph::RopePairs;
using reference::Matrix;

Matrix columns_of(const Matrix& all, uint32_t first, uint32_t count) {
  Matrix out(all.rows, count);
  std::copy_n(all.data.begin() + ptrdiff_t(first) * all.rows, size_t(count) * all.rows,
              out.data.begin());
  return out;
}

void append(Matrix& all, const Matrix& more) {
  all.rows = more.rows;
  all.columns += more.columns;
  all.data.insert(all.data.end(), more.data.begin(), more.data.end());
}

struct Outputs {
  Matrix q_out, out;
};

/// Runs columns [first, last) of the places in steps of `chunk`.
Result<Outputs> on_device(GraphRunner& runner, const std::vector<Matrix>& inputs,
                          std::span<const reference::TokenAt> tokens, uint32_t chunk,
                          uint32_t first = 0) {
  Outputs all;
  for (uint32_t at = first; at < tokens.size(); at += chunk) {
    const uint32_t count = std::min<uint32_t>(chunk, uint32_t(tokens.size()) - at);
    runner.set_tokens(tokens.subspan(at, count));
    for (const graph::ValueId id : {kQ, kK, kV})
      runner.set_value(id, columns_of(inputs[id], at, count));
    PUMICE_TRY(runner.run({chunk, 0, Ending::None, false}));
    append(all.q_out, runner.value(kQOut, count));
    append(all.out, runner.value(kOut, count));
  }
  return all;
}

Outputs on_reference(reference::Interpreter& interpreter, const std::vector<Matrix>& inputs,
                     std::span<const reference::TokenAt> tokens) {
  interpreter.begin(tokens);
  for (const graph::ValueId id : {kQ, kK, kV}) interpreter.set_value(id, inputs[id]);
  for (const graph::Node& node : interpreter.graph().nodes) interpreter.run_node(node);
  return {interpreter.value(kQOut), interpreter.value(kOut)};
}

/// Two sequences, interleaved: one of 300 tokens over a page, one of 20.
std::vector<reference::TokenAt> interleaved() {
  std::vector<reference::TokenAt> tokens;
  for (uint32_t i = 0; i < 300; ++i) {
    tokens.push_back({0, {0, i}});
    if (i < 20) tokens.push_back({0, {1, i}});
  }
  return tokens;
}

constexpr CapabilityMask kNoTexel{.texel = true};
constexpr Tier kTiers[] = {
    {.name = "default"},
    {.name = "storage buffers", .without = kNoTexel},
    {.name = "as a GPU", .without = kNoTexel, .gpu = true},
};

class OpsAttention : public RowTest {};

/// A row on the device and in the reference, and what both are fed.
struct Bench {
  std::unique_ptr<GraphRunner> runner;
  reference::Interpreter interpreter;
  std::vector<reference::TokenAt> tokens;
  std::vector<Matrix> inputs;
};

Result<Bench> bench_of(vk::Device& device, const AttentionRow& row, const Tier& tier) {
  const auto file = attention_weights(row);
  if (!file) return fail(ErrorCode::BadFile, "the row has no weights");
  const graph::Graph graph = attention_graph(row);
  RunOptions options;
  options.max_chunk = 64;
  options.max_sequences = 2;
  PUMICE_TRY_ASSIGN(auto runner, GraphRunner::create(device, *file, graph, tier, options));
  PUMICE_TRY_ASSIGN(auto interpreter, reference::Interpreter::load(*file, graph));
  std::vector<reference::TokenAt> tokens = interleaved();
  std::vector<Matrix> inputs = attention_inputs(graph, uint32_t(tokens.size()));
  return Bench{std::move(runner), std::move(interpreter), std::move(tokens), std::move(inputs)};
}

void check_row(vk::Device& device, const AttentionRow& row, Tier tier, CacheType cache,
               uint32_t chunk) {
  tier.cache = cache;
  const std::string name = std::string(row.name) + ", " + tier.name +
                           (cache == CacheType::F32 ? ", f32" : ", f16") + ", steps of " +
                           std::to_string(chunk);
  auto bench = bench_of(device, row, tier);
  ASSERT_TRUE(bench) << name << ": " << bench.error().text;
  const auto actual = on_device(*bench->runner, bench->inputs, bench->tokens, chunk);
  ASSERT_TRUE(actual) << name << ": " << actual.error().text;
  const Outputs expected = on_reference(bench->interpreter, bench->inputs, bench->tokens);
  expect_close(name + ": q", actual->q_out, expected.q_out, kExactOp);
  expect_close(name, actual->out, expected.out, cache == CacheType::F32 ? kExactOp : kHalfOp);
}

TEST_F(OpsAttention, EveryPositionInChunks) {
  for (const AttentionRow& row : attention_rows())
    for (const Tier& tier : kTiers) {
      if (&tier == &kTiers[1] && !choose_policy(device().capabilities(), {}).lane) continue;
      for (const CacheType cache : {CacheType::F32, CacheType::F16})
        check_row(device(), row, tier, cache, &tier == &kTiers[2] ? 8 : 64);
    }
}

TEST_F(OpsAttention, TokenByToken) {
  for (const Tier& tier : kTiers) check_row(device(), attention_rows()[1], tier, CacheType::F16, 1);
}

// Pages apart and merged, or folded by one workgroup: the same operations, so the same bits.
TEST_F(OpsAttention, SplitEqualsUnsplitBitForBit) {
  std::vector<std::pair<AttentionRow, CacheFormat>> rows;
  for (const AttentionRow& row : attention_rows()) rows.emplace_back(row, CacheType::F32);
  rows.emplace_back(attention_rows()[0], CacheFormat(CacheType::Q4_0, CacheType::Q8_0, true));
  for (const auto& [row, format] : rows) {
    const auto file = attention_weights(row);
    ASSERT_NE(file, nullptr);
    const graph::Graph graph = attention_graph(row);
    const auto tokens = interleaved();
    const auto inputs = attention_inputs(graph, uint32_t(tokens.size()));
    std::vector<Matrix> results;
    for (Tier tier : {kTiers[1], kTiers[2]}) {
      tier.cache = format;
      RunOptions options;
      options.context = 800;
      options.max_chunk = 8;
      options.max_sequences = 2;
      auto runner = GraphRunner::create(device(), *file, graph, tier, options);
      ASSERT_TRUE(runner) << row.name << ": " << runner.error().text;
      const auto kernels = (*runner)->kernels({8, 0, Ending::None, false});
      ASSERT_TRUE(kernels) << kernels.error().text;
      EXPECT_EQ(std::count(kernels->begin(), kernels->end(), "attention_merge"), tier.gpu ? 1 : 0);
      const auto outputs = on_device(**runner, inputs, tokens, 8);
      ASSERT_TRUE(outputs) << row.name << ": " << outputs.error().text;
      results.push_back(outputs->out);
    }
    EXPECT_EQ(results[0].data, results[1].data) << row.name;
  }
}

// One query's bits do not depend on the step it came in.
void expect_bits_of_chunks(vk::Device& device, const AttentionRow& row, const Tier& tier) {
  const auto file = attention_weights(row);
  ASSERT_NE(file, nullptr);
  const graph::Graph graph = attention_graph(row);
  const auto tokens = interleaved();
  const auto inputs = attention_inputs(graph, uint32_t(tokens.size()));
  std::vector<Matrix> results;
  for (const uint32_t chunk : {1u, 4u, 64u}) {
    RunOptions options;
    options.max_chunk = 64;
    options.max_sequences = 2;
    auto runner = GraphRunner::create(device, *file, graph, tier, options);
    ASSERT_TRUE(runner) << runner.error().text;
    const auto outputs = on_device(**runner, inputs, tokens, chunk);
    ASSERT_TRUE(outputs) << outputs.error().text;
    results.push_back(outputs->out);
  }
  EXPECT_EQ(results[0].data, results[1].data) << row.name << ", " << tier.name;
  EXPECT_EQ(results[0].data, results[2].data) << row.name << ", " << tier.name;
}

TEST_F(OpsAttention, BitsDoNotDependOnChunks) {
  for (Tier tier : kTiers) {
    if (is_swiftshader() && !tier.gpu && tier.without.texel) continue;  // the same as the first
    expect_bits_of_chunks(device(), attention_rows()[2], tier);
    tier.cache = {CacheType::Q4_0, CacheType::Q8_0, true};
    expect_bits_of_chunks(device(), attention_rows()[0], tier);
  }
}

// What one runner makes of the first columns, in steps of `chunk`.
Matrix out_of(GraphRunner& runner, const std::vector<Matrix>& inputs,
              std::span<const reference::TokenAt> tokens, uint32_t chunk) {
  const auto outputs = on_device(runner, inputs, tokens, chunk);
  EXPECT_TRUE(outputs) << outputs.error().text;
  return outputs ? outputs->out : Matrix();
}

/// V of every token of a sequence is infinite: what touches it shows.
std::vector<Matrix> with_bad_values(const Bench& bench, uint32_t sequence) {
  std::vector<Matrix> inputs = bench.inputs;
  Matrix& v = inputs[kV];
  for (uint32_t c = 0; c < v.columns; ++c) {
    if (bench.tokens[c].place.sequence != sequence) continue;
    std::ranges::fill(v.column(c), std::numeric_limits<double>::infinity());
  }
  return inputs;
}

// Neighbours share a workgroup in prompts: what is not finite must not get from one to the other.
TEST_F(OpsAttention, BadNumbersStayInTheirSequence) {
  for (Tier tier : kTiers) {
    tier.cache = CacheType::F32;
    const uint32_t chunk = tier.gpu ? 8 : 64;
    auto bench = bench_of(device(), attention_rows()[0], tier);
    ASSERT_TRUE(bench) << bench.error().text;
    const Matrix good = out_of(*bench->runner, bench->inputs, bench->tokens, chunk);
    const Matrix mixed = out_of(*bench->runner, with_bad_values(*bench, 1), bench->tokens, chunk);
    ASSERT_EQ(good.data.size(), mixed.data.size());
    for (uint32_t c = 0; c < good.columns; ++c) {
      if (bench->tokens[c].place.sequence == 1) continue;
      ASSERT_TRUE(std::ranges::equal(good.column(c), mixed.column(c)))
          << tier.name << ", column " << c;
    }
  }
}

// A rewound sequence, or one whose pages were another's, has something else behind its last token.
TEST_F(OpsAttention, WhatLiesBehindTheLastTokenIsNotRead) {
  constexpr size_t kColumns = 50;
  const std::pair<CacheType, CacheType> kTypes[] = {{CacheType::F32, CacheType::F32},
                                                    {CacheType::Q8_0, CacheType::Q4_0}};
  for (Tier tier : kTiers)
    for (const auto& [k, v] : kTypes) {
      tier.cache = CacheFormat(k, v, false);
      const uint32_t chunk = tier.gpu ? 8 : 64;
      auto bench = bench_of(device(), attention_rows()[0], tier);
      ASSERT_TRUE(bench) << bench.error().text;
      const auto first = std::span<const reference::TokenAt>(bench->tokens).first(kColumns);
      const Matrix fresh = out_of(*bench->runner, bench->inputs, first, chunk);
      out_of(*bench->runner, with_bad_values(*bench, 0), bench->tokens, chunk);
      EXPECT_EQ(fresh.data, out_of(*bench->runner, bench->inputs, first, chunk).data) << tier.name;
    }
}

// ---- types of the cache

struct CacheRow {
  AttentionRow row;
  std::vector<CacheFormat> formats;
};

constexpr CacheType kF32 = CacheType::F32, kF16 = CacheType::F16, kQ8 = CacheType::Q8_0,
                    kQ4 = CacheType::Q4_0;

std::vector<CacheRow> cache_rows() {
  return {
      {{"head of 64, window over a page", 4, 2, 64, 64, 64, RopePairs::Halves, false, false, 270},
       {{kQ8, kQ4}, {kQ4, kF16, true}, kQ8, kQ4, {kF16, kQ8}, {kF32, kF32, true}}},
      {{"heads of 96 and 32, norms, views, softcap", 4, 1, 96, 32, 24, RopePairs::Adjacent, true,
        true, 40, 20.0f},
       {{kQ4, kQ8, true}}},
      {{"heads of 80 and 48", 2, 2, 80, 48, 40, RopePairs::Halves}, {{kF16, kF32, true}}},
      {{"head of 256", 2, 1, 256, 256, 0, RopePairs::Halves, true},
       {{kQ4, kQ4, true}, {kQ8, kF32}}},
  };
}

void rotate_heads(std::span<double> heads, uint32_t width) {
  for (size_t at = 0; at < heads.size(); at += width) reference::hadamard(heads.subspan(at, width));
}

/// How far what is stored may lie from what the reference stores: it decides ties of rounding, and
/// between scales of q4_0 that are nearly as good, in its own way.
constexpr double kStoredLimit[] = {1e-12, 1e-9, 1e-6, 1e-4};

/// No block of 32 loses more than with the usual scale, which takes the largest element to -8.
void expect_good_scales(std::span<const double> exact, std::span<const double> stored) {
  for (size_t at = 0; at < exact.size(); at += 32) {
    std::vector<double> block(exact.begin() + ptrdiff_t(at), exact.begin() + ptrdiff_t(at) + 32);
    double lost = 0;
    for (size_t i = 0; i < 32; ++i)
      lost += (block[i] - stored[at + i]) * (block[i] - stored[at + i]);
    const double extreme = *std::max_element(
        block.begin(), block.end(), [](double a, double b) { return std::abs(a) < std::abs(b); });
    EXPECT_LE(lost, 1.001 * reference::round_q4(block, reference::rounded_scale(extreme / -8.0)));
  }
}

/// Reads one side of the device's cache, compares it with the reference's (exact so far), and puts
/// it in its place.
void take_over(const std::string& name, GraphRunner& runner, reference::LayerCache& cache,
               CacheSide side) {
  const CacheFormat& format = runner.plan().policy.cache;
  const bool is_k = side == CacheSide::K;
  const CacheType type = is_k ? format.k : format.v;
  const uint32_t width = is_k ? cache.shape.head_k : cache.shape.head_v;
  double error = 0, power = 0;
  for (auto& [sequence, columns] : is_k ? cache.keys : cache.values)
    for (uint32_t position = 0; position < columns.size(); ++position) {
      std::vector<double>& column = columns[position];
      std::vector<double> stored = stored_heads(runner, side, {sequence, position});
      ASSERT_EQ(stored.size(), column.size());
      std::vector<double> turned = column;
      if (format.rotate) rotate_heads(turned, width);
      if (type == CacheType::Q4_0) expect_good_scales(turned, stored);
      const reference::HeadCodec codec = reference::head_codec(type, false);
      for (size_t at = 0; at < turned.size(); at += width)
        codec(std::span(turned).subspan(at, width));
      for (size_t i = 0; i < turned.size(); ++i) {
        error += (stored[i] - turned[i]) * (stored[i] - turned[i]);
        power += turned[i] * turned[i];
      }
      if (format.rotate) rotate_heads(stored, width);
      column = stored;
    }
  EXPECT_LE(error, kStoredLimit[uint32_t(type)] * power)
      << name << (is_k ? ": K" : ": V") << ", NMSE " << error / power;
}

void check_cache_row(vk::Device& device, const AttentionRow& row, Tier tier,
                     const CacheFormat& format, uint32_t chunk) {
  tier.cache = format;
  const std::string name = std::string(row.name) + ", " + tier.name + ", " + describe(format);
  auto bench = bench_of(device, row, tier);
  ASSERT_TRUE(bench) << name << ": " << bench.error().text;
  auto actual = on_device(*bench->runner, bench->inputs, bench->tokens, chunk);
  ASSERT_TRUE(actual) << name << ": " << actual.error().text;

  reference::Interpreter& interpreter = bench->interpreter;
  interpreter.begin(bench->tokens);
  for (const graph::ValueId id : {kQ, kK, kV}) interpreter.set_value(id, bench->inputs[id]);
  interpreter.run_node(interpreter.graph().nodes[0]);
  for (const CacheSide side : {CacheSide::K, CacheSide::V})
    take_over(name, *bench->runner, interpreter.cache(0), side);
  interpreter.run_node(interpreter.graph().nodes[1]);
  if (format.rotate) rotate_heads(actual->q_out.data, row.head_k);
  expect_close(name + ": q", actual->q_out, interpreter.value(kQOut), kExactOp);
  expect_close(name, actual->out, interpreter.value(kOut), kExactOp);
}

// What is stored is what the type says, and what is read is what was stored. Pages folded by one
// workgroup of a GPU's kernel are compared with pages apart above, so a driver that takes seconds
// for a pipeline runs the latter alone, and two formats of a row.
TEST_F(OpsAttention, CacheTypes) {
  for (const CacheRow& row : cache_rows())
    for (const CacheFormat& format : row.formats) {
      if (is_swiftshader() && &format - row.formats.data() >= 2) break;
      if (!is_swiftshader()) check_cache_row(device(), row.row, kTiers[0], format, 64);
      check_cache_row(device(), row.row, kTiers[2], format, 8);
    }
}

}  // namespace
}  // namespace pumice::test
