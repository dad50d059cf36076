// No two live values share a byte; padded values share with nobody; the total is worth having.
#include "engine/graph/placement.h"

#include <gtest/gtest.h>

#include "engine/graph/fusions.h"
#include "engine/graph/visit.h"
#include "tests/unit/graph/toy_graph.h"

namespace pumice {
namespace {

using graph::kNone;

void expect_no_overlap(const graph::Graph& graph, const graph::Placement& placement) {
  const auto lives = graph::lifetimes(graph);
  const graph::ValueId logits = graph::storage_of(graph, graph.logits);
  for (graph::ValueId a = 0; a < graph.values.size(); ++a) {
    const graph::ValuePlace& p = placement.values[a];
    EXPECT_LE(p.offset + p.size, placement.total);
    if (graph.values[a].base != kNone) continue;
    EXPECT_EQ(p.offset % graph::kPlacementAlignment, 0u);
    for (graph::ValueId b = a + 1; b < graph.values.size(); ++b) {
      const graph::ValuePlace& q = placement.values[b];
      const bool bytes =
          p.size && q.size && p.offset < q.offset + q.size && q.offset < p.offset + p.size;
      if (!bytes) continue;
      const bool live = lives[a].first <= lives[b].last && lives[b].first <= lives[a].last;
      EXPECT_FALSE(live) << graph.values[a].name << " and " << graph.values[b].name;
      EXPECT_TRUE(p.shared && q.shared) << graph.values[a].name << ", " << graph.values[b].name;
      EXPECT_FALSE((a == logits && lives[b].last > lives[a].first) ||
                   (b == logits && lives[a].last > lives[b].first));
    }
  }
}

TEST(Placement, LiveValuesDoNotOverlap) {
  for (const test::ToySpec& spec :
       {test::ToySpec{.layers = 4}, test::ToySpec{.n_ff = 64, .layers = 4},
        test::ToySpec{.v = QuantType::F16, .n_experts = 4, .n_used = 2, .layers = 3}}) {
    const auto graph = test::toy_graph(spec);
    ASSERT_TRUE(graph);
    const graph::Graph graphs[] = {*graph, graph::fuse(*graph)};
    for (const graph::Graph& g : graphs)
      for (const uint32_t tokens : {1u, 7u, 512u}) {
        const auto placement = graph::place_values(g, tokens, std::min(tokens, 3u));
        ASSERT_TRUE(placement);
        expect_no_overlap(g, *placement);
      }
  }
}

TEST(Placement, ScratchDoesNotGrowWithLayers) {
  const auto few = test::toy_graph({.n_ff = 64, .layers = 3});
  const auto many = test::toy_graph({.n_ff = 64, .layers = 30});
  ASSERT_TRUE(few && many);
  const auto a = graph::place_values(graph::fuse(*few), 64, 1);
  const auto b = graph::place_values(graph::fuse(*many), 64, 1);
  ASSERT_TRUE(a && b);
  EXPECT_EQ(a->total, b->total);
}

TEST(Placement, ViewsLieInTheirBase) {
  const auto graph = test::toy_graph({});
  ASSERT_TRUE(graph);
  const graph::Graph fused = graph::fuse(*graph);
  const auto placement = graph::place_values(fused, 5, 5);
  ASSERT_TRUE(placement);
  uint32_t views = 0;
  for (graph::ValueId id = 0; id < fused.values.size(); ++id) {
    const graph::Value& value = fused.values[id];
    if (value.base == kNone) continue;
    ++views;
    EXPECT_EQ(placement->values[id].size, 0u);
    EXPECT_EQ(placement->values[id].stride, placement->values[value.base].stride);
    EXPECT_EQ(placement->values[id].offset,
              placement->values[value.base].offset + value.offset * sizeof(float));
  }
  EXPECT_EQ(views, 6u);
}

TEST(Placement, StrideRoundsTheWidthUp) {
  EXPECT_EQ(graph::column_stride(1), 32u);
  EXPECT_EQ(graph::column_stride(32), 32u);
  EXPECT_EQ(graph::column_stride(172), 192u);
  const auto graph = test::toy_graph({.n_ff = 44});
  ASSERT_TRUE(graph);
  const auto placement = graph::place_values(*graph, 3, 1);
  ASSERT_TRUE(placement);
  for (graph::ValueId id = 0; id < graph->values.size(); ++id) {
    const graph::Value& value = graph->values[id];
    const uint64_t floats = graph::column_stride(value.width) * (value.per_output ? 1ull : 3ull);
    EXPECT_EQ(placement->values[id].size, (floats * 4 + 255) / 256 * 256) << value.name;
    EXPECT_EQ(placement->values[id].shared, value.width % 32 == 0) << value.name;
  }
}

TEST(Placement, SizesThatDoNotFitAreAnError) {
  graph::Graph graph;
  graph.values.push_back({.name = "huge", .width = UINT32_MAX - 64});
  graph.values.push_back({.name = "out", .width = UINT32_MAX - 64});
  graph.nodes.push_back({graph::Softcap{.x = 0, .out = 1, .cap = 1.0f}, "cap"});
  graph.logits = 1;
  const auto placement = graph::place_values(graph, UINT32_MAX, 1);
  ASSERT_FALSE(placement);
  EXPECT_EQ(placement.error().code, ErrorCode::OutOfMemory);
  EXPECT_NE(placement.error().text.find("huge"), std::string::npos);
}

}  // namespace
}  // namespace pumice
