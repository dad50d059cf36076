// Matrix kernels and embedding rows: every codec with a device layout on every tier of kernels,
// against products of its dequantised weights in double precision.
#include <algorithm>
#include <array>
#include <iostream>

#include "loader/codec.h"
#include "tests/gpu/row_graph.h"
#include "tests/rows/blocks.h"
#include "tests/rows/matrix_rows.h"

namespace pumice::test {
namespace {

using graph::Activation;
using reference::Matrix;

constexpr CapabilityMask kNoTexel{.texel = true};

enum : graph::ValueId { kX, kOut };

/// The first matrix kernel of a list.
std::string matrix_kernel(const std::vector<std::string>& kernels) {
  const auto found = std::find_if(kernels.begin(), kernels.end(),
                                  [](const std::string& name) { return name.starts_with("mat"); });
  return found == kernels.end() ? "none" : *found;
}

void check_row(vk::Device& device, const std::shared_ptr<const GgufFile>& file,
               const MatrixTier& tier, const MatrixRow& row) {
  const Case item = matrix_case(row, tier, file);
  auto runner = GraphRunner::create(device, *file, item.graph, item.tier, item.options);
  ASSERT_TRUE(runner) << item.name << ": " << runner.error().text;
  const auto kernels = (*runner)->kernels(item.shape);
  ASSERT_TRUE(kernels) << kernels.error().text;
  EXPECT_TRUE(matrix_kernel(*kernels).starts_with(tier.kernel) &&
              matrix_kernel(*kernels).ends_with(tier.suffix))
      << item.name << " ran " << matrix_kernel(*kernels);
  const auto wrong = check(**runner, item);
  ASSERT_TRUE(wrong) << item.name << ": " << wrong.error().text;
  EXPECT_EQ(*wrong, "") << item.name;
}

class OpsMatrix : public RowTest {
 protected:
  static void run_tier(const MatrixTier& tier) {
    if (!is_runnable(tier, device().capabilities())) {
      std::cout << tier.tier.name << ": not on this driver\n";
      return;
    }
    for (const WeightLayout& layout : weight_layouts()) {
      if (is_int8(tier) && !layout.has_int8_path) continue;
      release_pipelines();
      const auto file = matrix_weights(layout.type, row_lengths(layout), epilogues());
      ASSERT_NE(file, nullptr);
      for (const Epilogue& epilogue : epilogues()) {
        if (is_tile(tier) != (epilogue.columns == 37)) continue;
        // Tiles compile slowly: their gate for one type of each kind.
        if (is_tile(tier) && epilogue.gate != Activation::None && layout.type != QuantType::Q4_K &&
            layout.type != QuantType::F16)
          continue;
        for (const uint32_t length : row_lengths(layout))
          check_row(device(), file, tier, {layout.type, length, epilogue});
      }
    }
  }
};

TEST_F(OpsMatrix, LaneF32) {
  run_tier(matrix_tiers()[0]);
}
TEST_F(OpsMatrix, LaneInt8) {
  run_tier(matrix_tiers()[1]);
}
TEST_F(OpsMatrix, WideF32) {
  run_tier(matrix_tiers()[2]);
}
TEST_F(OpsMatrix, WideInt8) {
  run_tier(matrix_tiers()[3]);
}
TEST_F(OpsMatrix, WideDot) {
  run_tier(matrix_tiers()[4]);
}
TEST_F(OpsMatrix, TileF32) {
  run_tier(matrix_tiers()[5]);
}
TEST_F(OpsMatrix, TileF16) {
  run_tier(matrix_tiers()[6]);
}

// Many columns on the kernels that take eight at a time.
TEST_F(OpsMatrix, ManyColumns) {
  for (const MatrixTier& tier : matrix_tiers()) {
    if (!is_runnable(tier, device().capabilities())) continue;
    const WeightLayout& layout = *find_weight_layout(QuantType::Q4_K);
    const auto file = matrix_weights(layout.type, row_lengths(layout), epilogues());
    ASSERT_NE(file, nullptr);
    for (const Epilogue& epilogue : epilogues())
      if (epilogue.columns == 37) check_row(device(), file, tier, {layout.type, 1280, epilogue});
  }
}

// A norm whose only reader is a matrix writes the form that the matrix reads, and nothing else.
TEST_F(OpsMatrix, NormThenMatrix) {
  constexpr uint32_t kWidth = 768, kRows = 52;
  GgufWriter writer;
  writer.set("general.architecture", std::string("rows"));
  add_random(writer, "w", QuantType::Q5_K, {kWidth, kRows});
  add_random(writer, "norm", QuantType::F32, {kWidth});
  const auto file = open_in_memory(writer);
  ASSERT_NE(file, nullptr);
  graph::Graph graph;
  graph.values = {{.name = "x", .width = kWidth, .per_output = true},
                  {.name = "out", .width = kRows, .per_output = true},
                  {.name = "norm", .width = kWidth, .per_output = true}};
  graph.weights = {{"w", QuantType::Q5_K, kWidth, kRows}, {"norm", QuantType::F32, kWidth}};
  graph.nodes = {
      {graph::RmsNorm{.x = kX, .weight = 1, .out = 2, .eps = 1e-5f, .group = kWidth}, "norm"},
      {graph::MatMul{.weights = {0}, .x = 2, .out = kOut}, "row"}};
  graph.logits = kOut;
  graph.n_vocab = kRows;
  for (const MatrixTier& tier : matrix_tiers()) {
    if (!is_runnable(tier, device().capabilities())) continue;
    const uint32_t columns = is_tile(tier) ? 21 : 3;
    RunOptions options;
    options.max_chunk = 8;
    options.max_outputs = columns;
    auto runner = GraphRunner::create(device(), *file, graph, tier.tier, options);
    ASSERT_TRUE(runner) << tier.tier.name << ": " << runner.error().text;
    auto interpreter = reference::Interpreter::load(*file, graph);
    ASSERT_TRUE(interpreter) << interpreter.error().text;
    const Matrix x = random_matrix(kWidth, columns, 20.0f, 4);
    (*runner)->set_value(kX, x);
    interpreter->set_value(kX, x);
    for (const graph::Node& node : graph.nodes) interpreter->run_node(node);
    const auto ran = (*runner)->run({1, columns, Ending::Logits, false});
    ASSERT_TRUE(ran) << tier.tier.name << ": " << ran.error().text;
    expect_close(std::string("norm then matrix, ") + tier.tier.name,
                 (*runner)->value(kOut, columns), interpreter->value(kOut), tolerance_of(tier));
  }
}

// ---- matrices behind one another

enum : graph::ValueId { kResidual = 2, kSum, kNormed, kActivated };
constexpr uint32_t kNarrow = 256, kWide = 512, kEndRows = 52;

/// sum = A x + residual; activated = SiLU(G n) * (U n) of n = norm(sum); out = D activated: lane
/// kernels leave each product as the next one reads it.
graph::Graph chain_graph(QuantType type) {
  graph::Graph graph;
  graph.values = {{.name = "x", .width = kNarrow, .per_output = true},
                  {.name = "out", .width = kEndRows, .per_output = true},
                  {.name = "residual", .width = kWide, .per_output = true},
                  {.name = "sum", .width = kWide, .per_output = true},
                  {.name = "normed", .width = kWide, .per_output = true},
                  {.name = "activated", .width = kNarrow, .per_output = true}};
  graph.weights = {{"a", type, kNarrow, kWide},
                   {"norm", QuantType::F32, kWide},
                   {"gate", type, kWide, kNarrow},
                   {"up", type, kWide, kNarrow},
                   {"down", type, kNarrow, kEndRows}};
  graph.nodes = {
      {graph::MatMul{.weights = {0}, .x = kX, .out = kSum, .residual = kResidual}, "a"},
      {graph::RmsNorm{.x = kSum, .weight = 1, .out = kNormed, .eps = 1e-5f, .group = kWide},
       "norm"},
      {graph::MatMul{.weights = {2, 3}, .x = kNormed, .out = kActivated, .gate = Activation::Silu},
       "gate"},
      {graph::MatMul{.weights = {4}, .x = kActivated, .out = kOut}, "down"}};
  graph.logits = kOut;
  graph.n_vocab = kEndRows;
  return graph;
}

std::shared_ptr<const GgufFile> chain_weights(const graph::Graph& graph) {
  GgufWriter writer;
  writer.set("general.architecture", std::string("rows"));
  for (const graph::Weight& weight : graph.weights) {
    if (weight.rows > 1)
      add_random(writer, weight.tensor, weight.type, {weight.columns, weight.rows});
    else
      add_random(writer, weight.tensor, weight.type, {weight.columns});
  }
  return open_in_memory(writer);
}

Matrix first_columns(const Matrix& all, uint32_t count) {
  Matrix out(all.rows, count);
  std::copy_n(all.data.begin(), out.data.size(), out.data.begin());
  return out;
}

void check_chain(vk::Device& device, const MatrixTier& tier, QuantType type) {
  const std::string name = fmt::format("chain, {}, {}", info(type).name, tier.tier.name);
  const graph::Graph graph = chain_graph(type);
  const auto file = chain_weights(graph);
  ASSERT_NE(file, nullptr);
  RunOptions options;
  options.max_chunk = options.max_outputs = 8;
  auto runner = GraphRunner::create(device, *file, graph, tier.tier, options);
  ASSERT_TRUE(runner) << name << ": " << runner.error().text;
  auto interpreter = reference::Interpreter::load(*file, graph);
  ASSERT_TRUE(interpreter) << interpreter.error().text;
  const Matrix x = random_matrix(kNarrow, 8, 1.5f, 5), residual = random_matrix(kWide, 8, 4.0f, 6);
  interpreter->set_value(kX, x);
  interpreter->set_value(kResidual, residual);
  for (const graph::Node& node : graph.nodes) interpreter->run_node(node);
  const Matrix expected = interpreter->value(kOut);

  std::vector<Matrix> results;
  for (const uint32_t columns : {1u, 8u}) {
    (*runner)->set_value(kX, first_columns(x, columns));
    (*runner)->set_value(kResidual, first_columns(residual, columns));
    const auto ran = (*runner)->run({1, columns, Ending::Logits, false});
    ASSERT_TRUE(ran) << name << ": " << ran.error().text;
    results.push_back((*runner)->value(kOut, columns));
    expect_close(name, results.back(), first_columns(expected, columns),
                 is_int8(tier) ? kInt8Chain : kExactOp);
  }
  EXPECT_EQ(results[0].data, first_columns(results[1], 1).data)
      << name << ": bits depend on how many columns there are";
}

TEST_F(OpsMatrix, ChainOfMatrices) {
  for (const MatrixTier& tier : matrix_tiers()) {
    if (is_tile(tier) || !is_runnable(tier, device().capabilities())) continue;
    for (const WeightLayout& layout : weight_layouts()) {
      if (!is_int8(tier) && layout.type != QuantType::Q4_K && layout.type != QuantType::F16)
        continue;
      if (is_int8(tier) && !layout.has_int8_path) continue;
      if (is_swiftshader() && layout.type != QuantType::Q4_K) continue;  // it has no lane kernels
      release_pipelines();
      check_chain(device(), tier, layout.type);
    }
  }
}

// ---- experts

constexpr uint32_t kExperts = 5, kUsed = 2, kExpertRows = 40, kExpertColumns = 512;

graph::Graph expert_graph(QuantType type, bool per_slot) {
  graph::Graph graph;
  graph.weights = {{"gate", type, kExpertColumns, kExpertRows, kExperts},
                   {"up", type, kExpertColumns, kExpertRows, kExperts}};
  const uint32_t x_width = kExpertColumns * (per_slot ? kUsed : 1);
  graph.values = {{.name = "x", .width = x_width, .per_output = true},
                  {.name = "out", .width = kExpertRows * kUsed, .per_output = true},
                  {.name = "route", .width = 2 * kUsed, .per_output = true}};
  graph::MatMul op{.weights = {0}, .x = kX, .out = kOut};
  if (!per_slot) {
    op.weights = {0, 1};
    op.gate = Activation::Silu;
  }
  op.experts_by = 2;
  op.n_used = kUsed;
  op.x_per_slot = per_slot;
  graph.nodes = {{op, "experts"}};
  graph.logits = kOut;
  graph.n_vocab = kExpertRows * kUsed;
  return graph;
}

void check_experts(vk::Device& device, const GgufFile& file, const MatrixTier& tier, QuantType type,
                   bool per_slot, uint32_t columns) {
  const graph::Graph graph = expert_graph(type, per_slot);
  const std::string name = std::string("experts, ") + std::string(info(type).name) + ", " +
                           tier.tier.name + (per_slot ? ", per slot" : ", gate");
  RunOptions options;
  options.max_chunk = 8;
  options.max_outputs = columns;
  auto runner = GraphRunner::create(device, file, graph, tier.tier, options);
  ASSERT_TRUE(runner) << name << ": " << runner.error().text;
  auto interpreter = reference::Interpreter::load(file, graph);
  ASSERT_TRUE(interpreter) << interpreter.error().text;
  const Matrix x = random_matrix(graph.values[kX].width, columns, 1.5f, 3);
  Matrix route(2 * kUsed, columns);
  for (uint32_t c = 0; c < columns; ++c)
    for (uint32_t slot = 0; slot < kUsed; ++slot) {
      route.column(c)[slot] = 0.5;
      route.column(c)[kUsed + slot] = (c * 2 + slot * 3 + 4) % kExperts;
    }
  for (const auto& [id, value] : {std::pair<graph::ValueId, const Matrix&>{kX, x}, {2, route}}) {
    interpreter->set_value(id, value);
    (*runner)->set_value(id, value);
  }
  interpreter->run_node(graph.nodes.front());
  const auto ran = (*runner)->run({1, columns, Ending::Logits, false});
  ASSERT_TRUE(ran) << name << ": " << ran.error().text;
  expect_close(name, (*runner)->value(kOut, columns), interpreter->value(kOut), tolerance_of(tier));
}

TEST_F(OpsMatrix, Experts) {
  for (const QuantType type :
       {QuantType::F32, QuantType::Q8_0, QuantType::Q4_K, QuantType::Q6_K, QuantType::MXFP4}) {
    GgufWriter writer;
    writer.set("general.architecture", std::string("rows"));
    for (const char* name : {"gate", "up"})
      add_random(writer, name, type, {kExpertColumns, kExpertRows, kExperts});
    const auto file = open_in_memory(writer);
    for (const MatrixTier& tier : matrix_tiers()) {
      const bool int8 = tier.tier.activations == ActivationType::Q8;
      if (is_tile(tier) || !is_runnable(tier, device().capabilities()) ||
          (int8 && !find_weight_layout(type)->has_int8_path))
        continue;
      for (const bool per_slot : {false, true})
        for (const uint32_t columns : {1u, 3u})
          check_experts(device(), *file, tier, type, per_slot, columns);
    }
  }
}

// ---- embedding rows, and matrices cut into several bindings

/// The table is cut when a binding holds less than it.
void check_embed(vk::Device& device, QuantType type, const Tier& tier, size_t parts) {
  const uint32_t columns = info(type).block_weights == 1 ? 72 : 512, rows = 52;
  const std::string name = "embed, " + std::string(info(type).name) + ", " + tier.name;
  GgufWriter writer;
  writer.set("general.architecture", std::string("rows"));
  add_random(writer, "table", type, {columns, rows});
  const auto file = open_in_memory(writer);
  graph::Graph graph;
  graph.weights = {{"table", type, columns, rows}};
  graph.values = {{.name = "out", .width = columns}};
  graph.nodes = {{graph::Embed{.weight = 0, .out = 0, .scale = 1.75f}, "embed"}};
  RunOptions options;
  options.max_chunk = 8;
  auto runner = GraphRunner::create(device, *file, graph, tier, options);
  ASSERT_TRUE(runner) << name << ": " << runner.error().text;
  EXPECT_GE((*runner)->plan().matrices.front().parts.size(), parts) << name;
  auto interpreter = reference::Interpreter::load(*file, graph);
  ASSERT_TRUE(interpreter) << interpreter.error().text;
  std::vector<reference::TokenAt> tokens;
  for (const uint32_t id : {0u, 51u, 7u, 8u, 31u, 32u, 15u, 48u})
    tokens.push_back({id, {0, uint32_t(tokens.size())}});
  (*runner)->set_tokens(tokens);
  const auto ran = (*runner)->run({8, 0, Ending::None, false});
  ASSERT_TRUE(ran) << name << ": " << ran.error().text;
  interpreter->begin(tokens);
  interpreter->run_node(graph.nodes.front());
  expect_close(name, (*runner)->value(0, 8), interpreter->value(0), kExactOp);
}

TEST_F(OpsMatrix, Embed) {
  for (const WeightLayout& layout : weight_layouts()) {
    check_embed(device(), layout.type, {.name = "default"}, 1);
    if (is_runnable(matrix_tiers()[0], device().capabilities()))
      check_embed(device(), layout.type, {.name = "storage buffers", .without = kNoTexel}, 1);
  }
}

TEST_F(OpsMatrix, TensorsLargerThanABinding) {
  const Tier small{.name = "small bindings", .without = kNoTexel, .max_storage_range = 16384};
  check_embed(device(), QuantType::Q8_0, small, 2);
  check_embed(device(), QuantType::F32,
              {.name = "smaller still", .without = kNoTexel, .max_storage_range = 8192}, 2);
  for (const Epilogue& epilogue : epilogues())
    for (const size_t index : {2, 3, 5}) {
      MatrixTier cut = matrix_tiers()[index];
      if (is_tile(cut) != (epilogue.columns == 37)) continue;
      // Below the matrix, above the columns.
      const QuantType type = is_tile(cut) ? QuantType::F32 : QuantType::Q8_0;
      cut.tier.max_storage_range = is_tile(cut) ? 100'000 : 16'384;
      const auto file = matrix_weights(type, row_lengths(*find_weight_layout(type)), epilogues());
      ASSERT_NE(file, nullptr);
      check_row(device(), file, cut, {type, 384, epilogue});
    }
}

}  // namespace
}  // namespace pumice::test
