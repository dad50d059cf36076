// Each fusion: what it merges, what it leaves alone, and that the numbers stay the same bits.
#include "engine/graph/fusions.h"

#include <gtest/gtest.h>

#include <set>

#include "engine/graph/visit.h"
#include "tests/unit/graph/toy_graph.h"

namespace pumice {
namespace {

using graph::Graph;
using graph::MatMul;
using test::count_ops;
using test::ToySpec;

Graph build(const ToySpec& spec) {
  auto graph = test::toy_graph(spec);
  EXPECT_TRUE(graph) << graph.error().text;
  return graph ? *graph : Graph{};
}

void expect_same_numbers(const Graph& before, const Graph& after) {
  const auto expected = test::toy_logits(before), actual = test::toy_logits(after);
  ASSERT_EQ(expected.size(), 7u * test::kToyVocab);
  EXPECT_EQ(expected, actual);
}

/// Every id in range, views inside their bases, every read after a write of the same storage.
void expect_valid(const Graph& graph) {
  std::set<graph::ValueId> written;
  for (const graph::Node& node : graph.nodes)
    graph::visit_values(
        node.op,
        [&](graph::ValueId id) {
          ASSERT_LT(id, graph.values.size()) << node.label;
          EXPECT_TRUE(written.contains(graph::storage_of(graph, id)))
              << node.label << " reads " << graph.values[id].name << " before it is written";
        },
        [&](graph::ValueId id) {
          ASSERT_LT(id, graph.values.size()) << node.label;
          written.insert(graph::storage_of(graph, id));
        });
  for (const graph::Value& value : graph.values)
    if (value.base != graph::kNone) {
      ASSERT_LT(value.base, graph.values.size());
      EXPECT_EQ(graph.values[value.base].base, graph::kNone);
      EXPECT_LE(value.offset + value.width, graph.values[value.base].width);
      EXPECT_EQ(value.per_output, graph.values[value.base].per_output);
    }
  for (const graph::Node& node : graph.nodes)
    graph::visit_weights(node.op, [&](graph::WeightId id) { EXPECT_LT(id, graph.weights.size()); });
}

const MatMul* find_matmul(const Graph& graph, const std::string& label) {
  for (const graph::Node& node : graph.nodes)
    if (node.label == label) return std::get_if<MatMul>(&node.op);
  return nullptr;
}

const graph::RopeStore& first_rope(const Graph& graph) {
  for (const graph::Node& node : graph.nodes)
    if (const auto* op = std::get_if<graph::RopeStore>(&node.op)) return *op;
  std::abort();
}

TEST(MergeQkv, EqualTypesBecomeOneMatMul) {
  const Graph before = build({.k_bias = true});
  const Graph after = graph::merge_qkv(before);
  expect_valid(after);
  EXPECT_EQ(count_ops<MatMul>(after), count_ops<MatMul>(before) - 4);
  const MatMul* qkv = find_matmul(after, "blk.0 qkv");
  ASSERT_NE(qkv, nullptr);
  EXPECT_EQ(qkv->weights.size(), 3u);
  ASSERT_EQ(qkv->biases.size(), 3u);
  EXPECT_EQ(qkv->biases[0], graph::kNone);
  EXPECT_NE(qkv->biases[1], graph::kNone);
  EXPECT_EQ(after.values[qkv->out].width, 64u);
  EXPECT_EQ(after.values[qkv->out].name, "blk.0.qkv");
  const graph::RopeStore& rope = first_rope(after);
  EXPECT_EQ(after.values[rope.q].base, qkv->out);
  EXPECT_EQ(after.values[rope.k].offset, 32u);
  EXPECT_EQ(after.values[rope.v].offset, 48u);
  expect_same_numbers(before, after);
}

TEST(MergeQkv, AnotherTypeWritesItsRowsOfTheSameValue) {
  const Graph before = build({.v = QuantType::F16, .k_bias = true});
  const Graph after = graph::merge_qkv(before);
  expect_valid(after);
  EXPECT_EQ(count_ops<MatMul>(after), count_ops<MatMul>(before) - 2);
  const graph::RopeStore& rope = first_rope(after);
  EXPECT_EQ(after.values[rope.q].base, after.values[rope.v].base);
  const MatMul* qk = find_matmul(after, "blk.0 qkv");
  ASSERT_NE(qk, nullptr);
  EXPECT_EQ(qk->weights.size(), 2u);
  EXPECT_EQ(after.values[qk->out].width, 48u);
  EXPECT_EQ(after.values[qk->out].base, after.values[rope.q].base);
  expect_same_numbers(before, after);
}

TEST(MergeQkv, EqualTypesThatAreNotNeighboursMoveTogether) {
  const Graph before = build({.k = QuantType::F16});
  const Graph after = graph::merge_qkv(before);
  expect_valid(after);
  const graph::RopeStore& rope = first_rope(after);
  EXPECT_EQ(after.values[rope.q].offset, 0u);
  EXPECT_EQ(after.values[rope.v].offset, 32u);
  EXPECT_EQ(after.values[rope.k].offset, 48u);
  expect_same_numbers(before, after);
}

TEST(MergeGateUp, TwinsBecomeOneMatMulWithAGate) {
  const Graph before = build({});
  const Graph after = graph::merge_gate_up(before);
  expect_valid(after);
  EXPECT_EQ(count_ops<graph::Glu>(after), 0u);
  EXPECT_EQ(count_ops<MatMul>(after), count_ops<MatMul>(before) - 2);
  const MatMul* glu = find_matmul(after, "blk.0 ffn_glu");
  ASSERT_NE(glu, nullptr);
  EXPECT_EQ(glu->gate, graph::Activation::Silu);
  EXPECT_EQ(after.values[glu->out].width, 40u);
  EXPECT_EQ(after.values.size(), before.values.size() - 4);
  expect_same_numbers(before, after);
}

TEST(MergeGateUp, ExpertsToo) {
  const Graph before = build({.n_experts = 4, .n_used = 2});
  const Graph after = graph::merge_gate_up(before);
  expect_valid(after);
  EXPECT_EQ(count_ops<graph::Glu>(after), 0u);
  const MatMul* glu = find_matmul(after, "blk.1 glu");
  ASSERT_NE(glu, nullptr);
  EXPECT_NE(glu->experts_by, graph::kNone);
  EXPECT_EQ(after.values[glu->out].width, 80u);
  expect_same_numbers(before, after);
}

TEST(MergeGateUp, LeavesOtherTypesAndOddRowsAlone) {
  for (const ToySpec& spec : {ToySpec{.up = QuantType::F16}, ToySpec{.n_ff = 44}}) {
    const Graph before = build(spec);
    EXPECT_EQ(count_ops<graph::Glu>(graph::merge_gate_up(before)), 2u);
  }
}

TEST(FoldResidual, AddsDisappear) {
  const Graph before = build({});
  const Graph after = graph::fold_residual(before);
  expect_valid(after);
  EXPECT_EQ(count_ops<graph::Add>(before), 4u);
  EXPECT_EQ(count_ops<graph::Add>(after), 0u);
  const MatMul* out = find_matmul(after, "blk.0 attn_out");
  ASSERT_NE(out, nullptr);
  EXPECT_EQ(after.values[out->residual].name, "embed");
  expect_same_numbers(before, after);
}

TEST(FoldResidual, NotWhenTheProductIsReadTwice) {
  graph::GraphBuilder b;
  const auto x = b.select_outputs(b.embed(b.weight({"e", QuantType::F32, 8, 8})));
  const auto product = b.matmul("m", x, {b.weight({"w", QuantType::F32, 8, 8})});
  const auto once = b.add("once", product, x);
  auto graph = b.finish(b.add("twice", once, product));
  ASSERT_TRUE(graph);
  EXPECT_EQ(count_ops<graph::Add>(graph::fold_residual(*graph)), 2u);
}

TEST(RemoveDead, DropsUnreadNodesButKeepsCacheWrites) {
  graph::GraphBuilder b;
  const auto x = b.embed(b.weight({"e", QuantType::F32, 8, 16}));
  const auto unread = b.rms_norm("unread", x, b.weight({.tensor = "n", .columns = 8}), 1e-5f);
  (void)b.softcap(unread, 3.0f);
  graph::HeadSpec heads{.n_heads = 1};
  heads.layer = b.cache_layer({.kv_heads = 1, .head_k = 8, .head_v = 8});
  (void)b.rope_store({x, x, x}, heads);
  auto graph = b.finish(b.select_outputs(x));
  ASSERT_TRUE(graph) << graph.error().text;
  const Graph after = graph::remove_dead(*graph);
  expect_valid(after);
  EXPECT_EQ(after.nodes.size(), 3u);
  EXPECT_EQ(count_ops<graph::RopeStore>(after), 1u);
  EXPECT_EQ(after.weights.size(), 1u);
  EXPECT_EQ(after.values.size(), 3u);
  EXPECT_EQ(after.values[after.logits].name, "outputs");
}

TEST(Fuse, AllTogetherKeepTheNumbers) {
  for (const ToySpec& spec :
       {ToySpec{}, ToySpec{.v = QuantType::F16}, ToySpec{.n_experts = 5, .n_used = 3}}) {
    const Graph before = build(spec);
    const Graph after = graph::fuse(before);
    expect_valid(after);
    EXPECT_LT(after.nodes.size(), before.nodes.size());
    expect_same_numbers(before, after);
  }
}

TEST(Fuse, EightDispatchesForADenseLayer) {
  const Graph one = graph::fuse(build({.layers = 1})), two = graph::fuse(build({.layers = 2}));
  EXPECT_EQ(two.nodes.size() - one.nodes.size(), 8u);
}

}  // namespace
}  // namespace pumice
