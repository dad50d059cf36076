// What a node reads and writes, as lists.
#include "engine/graph/graph.h"

#include "engine/graph/visit.h"

namespace pumice::graph {

std::vector<ValueId> inputs(const Node& node) {
  std::vector<ValueId> ids;
  visit_values(
      node.op, [&](ValueId id) { ids.push_back(id); }, [](ValueId) {});
  return ids;
}

std::vector<ValueId> outputs(const Node& node) {
  std::vector<ValueId> ids;
  visit_values(
      node.op, [](ValueId) {}, [&](ValueId id) { ids.push_back(id); });
  return ids;
}

}  // namespace pumice::graph
