// remove_dead: nodes nobody reads, then the values and weights nothing refers to.
#include <algorithm>
#include <utility>

#include "engine/graph/fusions.h"
#include "engine/graph/visit.h"

namespace pumice::graph {
namespace {

/// Node by node from the end: live if it writes the cache or something live, or feeds statistics.
std::vector<bool> live_nodes(const Graph& graph) {
  std::vector<bool> live_node(graph.nodes.size(), false);
  std::vector<bool> live(graph.values.size(), false);
  if (graph.logits != kNone) live[storage_of(graph, graph.logits)] = true;
  for (size_t n = graph.nodes.size(); n-- > 0;) {
    const Op& op = graph.nodes[n].op;
    bool needed = std::holds_alternative<RopeStore>(op) || std::holds_alternative<Observe>(op);
    visit_values(
        op, [](ValueId) {}, [&](ValueId id) { needed |= bool(live[storage_of(graph, id)]); });
    live_node[n] = needed;
    const auto mark = [&](ValueId id) { live[storage_of(graph, id)] = true; };
    if (needed) visit_values(op, mark, mark);
  }
  return live_node;
}

/// Moves kept items to the front and returns the new index of each (kNone if dropped).
template <class T>
std::vector<uint32_t> compact(std::vector<T>& items, const std::vector<bool>& keep) {
  std::vector<uint32_t> renamed(items.size(), kNone);
  uint32_t next = 0;
  for (size_t i = 0; i < items.size(); ++i) {
    if (!keep[i]) continue;
    if (next != i) items[next] = std::move(items[i]);
    renamed[i] = next++;
  }
  items.resize(next);
  return renamed;
}

void drop_values(Graph& graph) {
  std::vector<bool> used(graph.values.size(), false);
  const auto use = [&](ValueId id) { used[id] = used[storage_of(graph, id)] = true; };
  for (const Node& node : graph.nodes) visit_values(node.op, use, use);
  if (graph.logits != kNone) use(graph.logits);
  const std::vector<uint32_t> renamed = compact(graph.values, used);
  const auto rename = [&](ValueId& id) { id = renamed[id]; };
  for (Node& node : graph.nodes) visit_values(node.op, rename, rename);
  for (Value& value : graph.values)
    if (value.base != kNone) value.base = renamed[value.base];
  if (graph.logits != kNone) graph.logits = renamed[graph.logits];
}

void drop_weights(Graph& graph) {
  std::vector<bool> used(graph.weights.size(), false);
  for (const Node& node : graph.nodes)
    visit_weights(node.op, [&](WeightId id) { used[id] = true; });
  for (const RopeSpec& rope : graph.ropes)
    if (rope.factors != kNone) used[rope.factors] = true;
  const std::vector<uint32_t> renamed = compact(graph.weights, used);
  for (Node& node : graph.nodes) visit_weights(node.op, [&](WeightId& id) { id = renamed[id]; });
  for (RopeSpec& rope : graph.ropes)
    if (rope.factors != kNone) rope.factors = renamed[rope.factors];
}

}  // namespace

Graph remove_dead(Graph graph) {
  (void)compact(graph.nodes, live_nodes(graph));
  drop_values(graph);
  drop_weights(graph);
  return graph;
}

}  // namespace pumice::graph
