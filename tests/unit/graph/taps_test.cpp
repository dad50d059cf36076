// Which inputs are tapped, where the observing nodes stand, and that results stay the same.
#include "engine/graph/taps.h"

#include <gtest/gtest.h>

#include "engine/graph/fusions.h"
#include "tests/unit/graph/toy_graph.h"

namespace pumice {
namespace {

using graph::Graph;
using graph::Observe;
using graph::Statistics;
using graph::TapOptions;
using test::ToySpec;

Graph fused(const ToySpec& spec) {
  auto graph = test::toy_graph(spec);
  EXPECT_TRUE(graph) << graph.error().text;
  return graph ? graph::fuse(std::move(*graph)) : Graph{};
}

Graph tapped(const ToySpec& spec, const TapOptions& options) {
  auto graph = graph::add_taps(fused(spec), options);
  EXPECT_TRUE(graph) << graph.error().text;
  return graph ? std::move(*graph) : Graph{};
}

using Names = std::vector<std::vector<std::string>>;

Names tensors(const Graph& graph) {
  Names names;
  for (const graph::Tap& tap : graph.taps) names.push_back(tap.tensors);
  return names;
}

TEST(Taps, OnePerDistinctInput) {
  const Graph graph = tapped({.layers = 1}, {.statistics = Statistics::Squares, .output = true});
  EXPECT_EQ(tensors(graph), (Names{{"blk.0.q", "blk.0.k", "blk.0.v"},
                                   {"blk.0.o"},
                                   {"blk.0.gate", "blk.0.up"},
                                   {"blk.0.down"},
                                   {"out"}}));
  EXPECT_EQ(graph.taps[3].width, 40u);
  EXPECT_FALSE(graph.taps[0].gram);
  EXPECT_EQ(test::count_ops<Observe>(graph), 5u);
}

TEST(Taps, QuantTypesThatDifferStillShareTheirInput) {
  const ToySpec spec{.v = QuantType::F16, .up = QuantType::F16, .layers = 1};
  const Graph graph = tapped(spec, {.statistics = Statistics::Squares});
  EXPECT_EQ(tensors(graph), (Names{{"blk.0.q", "blk.0.k", "blk.0.v"},
                                   {"blk.0.o"},
                                   {"blk.0.gate", "blk.0.up"},
                                   {"blk.0.down"}}));
}

TEST(Taps, ExpertsApartFromTheRouter) {
  const ToySpec spec{.n_experts = 4, .n_used = 2, .layers = 1};
  const Graph graph = tapped(spec, {.statistics = Statistics::Gram});
  EXPECT_EQ(tensors(graph), (Names{{"blk.0.q", "blk.0.k", "blk.0.v"},
                                   {"blk.0.o"},
                                   {"blk.0.router"},
                                   {"blk.0.gate", "blk.0.up"},
                                   {"blk.0.down"}}));
  EXPECT_EQ(graph.taps[2].matrices, 1u);
  EXPECT_EQ(graph.taps[3].matrices, 4u);
  EXPECT_EQ(graph::gram_floats(graph.taps[3]), 4u * 64 * 64);
}

TEST(Taps, EveryObservedValueHasAColumnPerToken) {
  for (const bool output : {false, true}) {
    const Graph graph = tapped({}, {.statistics = Statistics::Squares, .output = output});
    EXPECT_EQ(test::count_ops<graph::SelectOutputs>(graph), 1u);
    for (const graph::Node& node : graph.nodes) {
      const auto* op = std::get_if<Observe>(&node.op);
      EXPECT_FALSE(op != nullptr && graph.values[op->x].per_output) << node.label;
    }
    EXPECT_TRUE(graph.values[graph.logits].per_output);
  }
}

TEST(Taps, LogitsKeepTheirBits) {
  for (const ToySpec& spec : {ToySpec{}, ToySpec{.n_experts = 4, .n_used = 2}})
    for (const bool output : {false, true})
      EXPECT_EQ(test::toy_logits(tapped(spec, {.statistics = Statistics::Gram, .output = output})),
                test::toy_logits(fused(spec)));
}

TEST(Taps, RangesAndBudgets) {
  const Graph graph = fused({.layers = 4});
  TapOptions options{.statistics = Statistics::Gram, .first_layer = 1, .end_layer = 3};
  EXPECT_EQ(tapped({.layers = 4}, options).taps.size(), 8u);
  options = {.statistics = Statistics::Gram, .output = true, .gram_budget = 2 * 4 * 64 * 64 * 4};
  const uint32_t ends[] = {2, 4, 5};
  uint32_t first = 0;
  for (const uint32_t end : ends) {
    options.first_layer = first;
    const auto layers = graph::tapped_layers(graph, options);
    ASSERT_TRUE(layers);
    EXPECT_EQ(layers->end, end);
    EXPECT_EQ(layers->layers, 5u);
    first = layers->end;
  }
  options.first_layer = 5;
  const auto none = graph::tapped_layers(graph, options);
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().code, ErrorCode::BadArgument);
}

TEST(Taps, LayerOfAName) {
  EXPECT_EQ(graph::layer_of("blk.12.ffn_up.weight"), 12u);
  for (const char* name : {"output.weight", "blk..x", "blk.1", "blk.-1.x", "blk.9999999999.x"})
    EXPECT_FALSE(graph::layer_of(name)) << name;
}

}  // namespace
}  // namespace pumice
