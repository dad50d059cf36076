// The builder refuses wrong shapes with words, names values by scope and shares declarations.
#include "engine/graph/builder.h"

#include <gtest/gtest.h>

#include "tests/unit/graph/toy_graph.h"

namespace pumice {
namespace {

using graph::GraphBuilder;
using graph::ValueId;

graph::WeightId matrix(GraphBuilder& b, const char* name, uint32_t columns, uint32_t rows) {
  return b.weight({name, QuantType::F32, columns, rows});
}

TEST(Builder, ToyGraphReadsAndWritesInOrder) {
  const auto graph = test::toy_graph({.layers = 1});
  ASSERT_TRUE(graph) << graph.error().text;
  EXPECT_EQ(graph->n_embd, test::kToyEmbd);
  EXPECT_EQ(graph->n_vocab, test::kToyVocab);
  EXPECT_EQ(graph->nodes.front().label, "embed");
  EXPECT_EQ(graph->nodes[2].label, "blk.0 q");
  EXPECT_EQ(graph->values[graph::outputs(graph->nodes[2])[0]].name, "blk.0.q");
  EXPECT_EQ(graph::inputs(graph->nodes[0]).size(), 0u);
  EXPECT_EQ(graph::inputs(graph->nodes[5]).size(), 3u);  // rope reads q, k, v
  EXPECT_TRUE(graph->values[graph->logits].per_output);
}

TEST(Builder, EqualDeclarationsShareAnId) {
  GraphBuilder b;
  EXPECT_EQ(matrix(b, "w", 8, 8), matrix(b, "w", 8, 8));
  EXPECT_NE(matrix(b, "w", 8, 8), b.weight({"w", QuantType::F32, 8, 8, 1, 8}));
  EXPECT_EQ(b.rope({.n_rot = 8}), b.rope({.n_rot = 8}));
  EXPECT_NE(b.rope({.n_rot = 8}), b.rope({.n_rot = 8, .freq_base = 1e6}));
}

struct Wrong {
  const char* name;
  ValueId (*build)(GraphBuilder& b, ValueId x);  ///< x is 16 wide, one column per output
  const char* words;
};

const Wrong kWrong[] = {
    {"MatMulColumns",
     [](GraphBuilder& b, ValueId x) { return b.matmul("m", x, {matrix(b, "w", 12, 8)}); },
     "m: columns of w: expected 16, found 12"},
    {"BiasLength",
     [](GraphBuilder& b, ValueId x) {
       return b.matmul("m", x, {matrix(b, "w", 16, 8), b.weight({.tensor = "b", .columns = 9})});
     },
     "m: vector b length: expected 8, found 9"},
    {"NormLength",
     [](GraphBuilder& b, ValueId x) {
       return b.rms_norm("n", x, b.weight({.tensor = "n", .columns = 8}), 1e-5f);
     },
     "n: vector n length: expected 16, found 8"},
    {"NormGroups",
     [](GraphBuilder& b, ValueId x) {
       return b.rms_norm("n", x, b.weight({.tensor = "n", .columns = 5}), 1e-5f, 5);
     },
     "n: whole groups of: expected 5, found 16"},
    {"AddWidths",
     [](GraphBuilder& b, ValueId x) {
       return b.add("a", x, b.matmul("m", x, {matrix(b, "w", 16, 8)}));
     },
     "a: rows of both operands: expected 16, found 8"},
    {"GluWidths",
     [](GraphBuilder& b, ValueId x) {
       return b.glu("g", x, b.matmul("m", x, {matrix(b, "w", 16, 8)}), graph::Activation::Silu);
     },
     "g: rows of up as of gate: expected 16, found 8"},
    {"ViewOutside", [](GraphBuilder& b, ValueId x) { return b.view("v", x, 8, 9); },
     "v: rows inside the base: expected 16, found 17"},
    {"RouteCount",
     [](GraphBuilder& b, ValueId x) {
       (void)b.route(x, 17);
       return x;
     },
     "route: experts used at most: expected 16, found 17"},
    {"SelectTwice", [](GraphBuilder& b, ValueId x) { return b.select_outputs(x); },
     "outputs: columns selected once: expected 0, found 1"},
    {"RopeWidth",
     [](GraphBuilder& b, ValueId x) {
       graph::HeadSpec heads{.n_heads = 3};
       heads.layer = b.cache_layer({.kv_heads = 1, .head_k = 8, .head_v = 8});
       return b.rope_store({x, x, x}, heads);
     },
     "rope: rows of q: expected 24, found 16"},
    {"HeadSize",
     [](GraphBuilder& b, ValueId x) {
       (void)b.cache_layer({.kv_heads = 1, .head_k = 12, .head_v = 8});
       return x;
     },
     "cache: head_k is a multiple of: expected 8, found 12"},
    {"MissingWeight", [](GraphBuilder& b, ValueId x) { return b.matmul("m", x, {}); },
     "m: columns of (missing): expected 16, found 0"},
};

class BuilderRefuses : public testing::TestWithParam<Wrong> {};

TEST_P(BuilderRefuses, WithWords) {
  GraphBuilder b;
  const ValueId x = b.select_outputs(b.embed(matrix(b, "e", 16, 8)));
  const auto graph = b.finish(GetParam().build(b, x));
  ASSERT_FALSE(graph);
  EXPECT_NE(graph.error().text.find(GetParam().words), std::string::npos) << graph.error().text;
}

INSTANTIATE_TEST_SUITE_P(Shapes, BuilderRefuses, testing::ValuesIn(kWrong),
                         [](const auto& row) { return std::string(row.param.name); });

}  // namespace
}  // namespace pumice
