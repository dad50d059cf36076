// Rewrites around SelectOutputs.
#include "engine/graph/selection.h"

#include <algorithm>

#include "engine/graph/visit.h"

namespace pumice::graph {

bool remove_selection(Graph& graph) {
  const auto select = std::find_if(graph.nodes.begin(), graph.nodes.end(), [](const Node& node) {
    return std::holds_alternative<SelectOutputs>(node.op);
  });
  if (select == graph.nodes.end()) return false;
  const SelectOutputs removed = std::get<SelectOutputs>(select->op);
  const bool viewed = std::any_of(graph.values.begin(), graph.values.end(),
                                  [&](const Value& value) { return value.base == removed.out; });
  if (viewed || graph.values[removed.x].base != kNone || graph.logits == removed.out) return false;
  graph.nodes.erase(select);
  for (Node& node : graph.nodes)
    visit_values(
        node.op,
        [&](ValueId& id) {
          if (id == removed.out) id = removed.x;
        },
        [](ValueId) {});
  return true;
}

}  // namespace pumice::graph
