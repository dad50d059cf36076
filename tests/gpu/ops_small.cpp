// The ops between the matrices: norms, element-wise ops, routes, the check of the logits. And
// tensors larger than a binding may really be.
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

#include "engine/session/statistics.h"
#include "shaders/shared/push.h"
#include "tests/gpu/row_graph.h"
#include "tests/rows/blocks.h"
#include "tests/rows/op_rows.h"

namespace pumice::test {
namespace {

using reference::Matrix;

constexpr CapabilityMask kNoTexel{.texel = true};
constexpr Tier kTiers[] = {{.name = "default"}, {.name = "storage buffers", .without = kNoTexel}};

void check_row(vk::Device& device, const OpRow& row, const Tier& tier) {
  const Case item = op_case(row, tier);
  ASSERT_NE(item.file, nullptr);
  auto runner = GraphRunner::create(device, *item.file, item.graph, item.tier, item.options);
  ASSERT_TRUE(runner) << item.name << ": " << runner.error().text;
  const auto wrong = check(**runner, item);
  ASSERT_TRUE(wrong) << item.name << ": " << wrong.error().text;
  EXPECT_EQ(*wrong, "") << item.name;
}

class OpsSmall : public RowTest {};

TEST_F(OpsSmall, NormsAndColumns) {
  for (const OpRow& row : small_rows())
    for (const Tier& tier : kTiers) check_row(device(), row, tier);
}

TEST_F(OpsSmall, Experts) {
  for (const OpRow& row : expert_rows()) check_row(device(), row, kTiers[0]);
}

TEST_F(OpsSmall, SelectedColumnsAreCopies) {
  graph::Graph graph;
  graph.values = {{.name = "x", .width = 72}, {.name = "out", .width = 72, .per_output = true}};
  graph.nodes = {{graph::SelectOutputs{.x = 0, .out = 1}, "select"}};
  graph.logits = 1;
  graph.n_vocab = 72;
  GgufWriter writer;
  writer.set("general.architecture", std::string("rows"));
  const auto file = open_in_memory(writer);
  ASSERT_NE(file, nullptr);
  RunOptions options;
  options.max_chunk = options.max_outputs = 8;
  auto runner = GraphRunner::create(device(), *file, graph, kTiers[0], options);
  ASSERT_TRUE(runner) << runner.error().text;
  const Matrix x = random_matrix(72, 8, 1.0f, 1);
  (*runner)->set_value(0, x);
  std::vector<reference::TokenAt> tokens;
  for (uint32_t i = 0; i < 8; ++i) tokens.push_back({0, {0, i}, i == 1 || i == 4 || i == 7});
  (*runner)->set_tokens(tokens);
  const auto ran = (*runner)->run({8, 3, Ending::Logits, false});
  ASSERT_TRUE(ran) << ran.error().text;
  const uint32_t chosen[] = {1, 4, 7};
  const auto host = (*runner)->floats((*runner)->plan().logits_host);
  const Matrix expected = reference::select_columns(x, chosen);
  for (uint32_t c = 0; c < 3; ++c)
    for (uint32_t r = 0; r < 72; ++r)
      EXPECT_EQ(host[c * graph::column_stride(72) + r], float(expected.column(c)[r]));
}

// ---- what the host believes

/// Logits that somebody else computed: an Add of x and zeros, so that they have a home.
graph::Graph logits_graph(uint32_t n_vocab) {
  graph::Graph graph;
  graph.values = {{.name = "x", .width = n_vocab, .per_output = true},
                  {.name = "zeros", .width = n_vocab, .per_output = true},
                  {.name = "logits", .width = n_vocab, .per_output = true}};
  graph.nodes = {{graph::Add{.a = 0, .b = 1, .out = 2}, "logits"}};
  graph.logits = 2;
  graph.n_vocab = n_vocab;
  return graph;
}

uint32_t mixed(uint32_t v) {
  v ^= v >> 16;
  v *= 0x7FEB352Du;
  v ^= v >> 15;
  v *= 0x846CA68Bu;
  return v ^ (v >> 16);
}

uint32_t hash_of(std::span<const double> logits) {
  uint32_t hash = 0;
  for (uint32_t i = 0; i < logits.size(); ++i)
    hash += mixed(std::bit_cast<uint32_t>(float(logits[i])) ^ mixed(i + 1));
  return hash;
}

void check_logits(vk::Device& device, const Tier& tier, uint32_t n_vocab) {
  GgufWriter writer;
  writer.set("general.architecture", std::string("rows"));
  const auto file = open_in_memory(writer);
  ASSERT_NE(file, nullptr);
  RunOptions options;
  options.max_chunk = options.max_outputs = 8;
  auto runner = GraphRunner::create(device, *file, logits_graph(n_vocab), tier, options);
  ASSERT_TRUE(runner) << runner.error().text;
  Matrix logits = random_matrix(n_vocab, 5, 10.0f, n_vocab);
  for (double& value : logits.data) value = double(float(value + 0.5));  // no negative zero
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  logits.column(1)[n_vocab - 1] = kInfinity;
  logits.column(2)[0] = -kInfinity;
  logits.column(3)[n_vocab / 2] = std::numeric_limits<double>::quiet_NaN();
  logits.column(4)[3] = 3.0e38;
  (*runner)->set_value(0, logits);
  (*runner)->set_value(1, Matrix(n_vocab, 5));
  const auto results = (*runner)->words((*runner)->plan().result);
  for (uint32_t submission = 1; submission <= 2; ++submission) {
    const auto ran = (*runner)->run({1, 5, Ending::Logits, false});
    ASSERT_TRUE(ran) << ran.error().text;
    for (uint32_t c = 0; c < 5; ++c) {
      shared::SampleResult result;
      std::memcpy(&result, &results[c * PUMICE_RESULT_WORDS], sizeof(result));
      EXPECT_EQ(result.sequence, submission);
      EXPECT_EQ(result.finite, c == 0 || c == 4 ? 1u : 0u) << "column " << c;
      if (c == 3) continue;  // a NaN has many bit patterns
      EXPECT_EQ(result.hash, hash_of(logits.column(c))) << "column " << c;
    }
  }
}

TEST_F(OpsSmall, LogitsAreHashedAndChecked) {
  for (const Tier& tier : kTiers)
    for (const uint32_t n_vocab : {37u, 1029u}) check_logits(device(), tier, n_vocab);
}

// ---- 148 MiB of embedding: more than lavapipe binds as one storage buffer

TEST_F(OpsSmall, EmbeddingBeyondTheDevicesBindings) {
  constexpr uint32_t kColumns = 256, kRows = 152'000;
  GgufWriter writer;
  writer.set("general.architecture", std::string("rows"));
  std::vector<float> rows(size_t{kColumns} * kRows);
  for (size_t i = 0; i < rows.size(); ++i) rows[i] = float(i % 65'521) - 30'000.0f;
  writer.tensor_f32("table", {kColumns, kRows}, rows);
  const auto file = open_in_memory(writer);
  ASSERT_NE(file, nullptr);
  graph::Graph graph;
  graph.weights = {{"table", QuantType::F32, kColumns, kRows}};
  graph.values = {{.name = "out", .width = kColumns}};
  graph.nodes = {{graph::Embed{.weight = 0, .out = 0, .scale = 1.0f}, "embed"}};
  RunOptions options;
  options.max_chunk = 8;
  auto runner = GraphRunner::create(device(), *file, graph, kTiers[1], options);
  ASSERT_TRUE(runner) << runner.error().text;
  const uint64_t bytes = uint64_t{kColumns} * kRows * 4;
  const uint64_t limit = device().capabilities().max_storage_range;
  EXPECT_GE((*runner)->plan().matrices.front().parts.size(), (bytes + limit - 1) / limit);
  std::vector<reference::TokenAt> tokens;
  for (const uint32_t id : {0u, 1u, 131'071u, 131'072u, 131'080u, 151'999u, 100'000u, 8u})
    tokens.push_back({id, {0, uint32_t(tokens.size())}});
  (*runner)->set_tokens(tokens);
  const auto ran = (*runner)->run({8, 0, Ending::None, false});
  ASSERT_TRUE(ran) << ran.error().text;
  const Matrix out = (*runner)->value(0, 8);
  for (uint32_t c = 0; c < 8; ++c)
    for (uint32_t r = 0; r < kColumns; ++r)
      ASSERT_EQ(out.column(c)[r], double(rows[size_t{tokens[c].id} * kColumns + r]))
          << "token " << tokens[c].id << " row " << r;
}

/// The way of sums from memory that the host does not see: pieces, the last one short.
TEST_F(OpsSmall, ReadBackThroughCopies) {
  const auto file = op_case(norm_row(64, 64, 1.0f), kTiers[0]).file;
  ASSERT_NE(file, nullptr);
  graph::Graph graph;
  for (const char* name : {"a", "b", "out"}) graph.values.push_back({.name = name, .width = 4096});
  graph.nodes = {{graph::Add{.a = 0, .b = 1, .out = 2}, "add"}};
  auto runner = GraphRunner::create(device(), *file, graph, kTiers[0], {.max_chunk = 128});
  ASSERT_TRUE(runner) << runner.error().text;
  const ModelPlan& plan = (*runner)->plan();
  const std::span<float> scratch = (*runner)->floats(plan.scratch);
  ASSERT_GT(scratch.size() * 4, 5u << 20);
  for (size_t i = 0; i < scratch.size(); ++i) scratch[i] = float(i % 16777213);
  const BufferSlice slice{plan.scratch.buffer, 4096, scratch.size() * 4 - 4096};
  std::vector<float> copied(slice.bytes / 4 - 37);
  const auto read = read_back(plan, (*runner)->buffers(), device(), slice,
                              std::as_writable_bytes(std::span(copied)), true);
  ASSERT_TRUE(read) << read.error().text;
  EXPECT_EQ(std::memcmp(copied.data(), scratch.data() + 1024, copied.size() * 4), 0);
}

}  // namespace
}  // namespace pumice::test
