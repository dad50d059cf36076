// The reference beside the device.
#include "tests/rows/case.h"

#include <algorithm>

#include "engine/graph/visit.h"

namespace pumice::test {
namespace {

using reference::Matrix;

/// Which of `all` columns are compared: evenly spread, the last among them.
std::vector<uint32_t> some_columns(uint32_t all, double share) {
  const auto wanted = uint32_t(std::clamp(double(all) * share, 1.0, double(all)));
  std::vector<uint32_t> columns;
  for (uint32_t i = 1; i <= wanted; ++i)
    columns.push_back(uint32_t(uint64_t{all} * i / wanted) - 1);
  return columns;
}

}  // namespace

graph::Graph replicated(const graph::Graph& graph, uint32_t copies) {
  graph::Graph out = graph;
  for (uint32_t copy = 1; copy < copies; ++copy) {
    const auto first_weight = graph::WeightId(out.weights.size());
    const auto first_layer = uint32_t(out.layers.size());
    out.weights.insert(out.weights.end(), graph.weights.begin(), graph.weights.end());
    out.layers.insert(out.layers.end(), graph.layers.begin(), graph.layers.end());
    for (graph::Node node : graph.nodes) {
      graph::visit_weights(node.op, [&](graph::WeightId& id) { id += first_weight; });
      if (auto* store = std::get_if<graph::RopeStore>(&node.op)) store->layer += first_layer;
      if (auto* attention = std::get_if<graph::Attention>(&node.op))
        attention->layer += first_layer;
      out.nodes.push_back(std::move(node));
    }
  }
  return out;
}

void set_inputs(GraphRunner& runner, const Case& row) {
  if (!row.tokens.empty()) runner.set_tokens(row.tokens);
  for (const auto& [id, value] : row.inputs) runner.set_value(id, value);
}

Result<std::string> check(GraphRunner& runner, const Case& row, double most) {
  PUMICE_TRY_ASSIGN(auto interpreter, reference::Interpreter::load(*row.file, row.graph));
  set_inputs(runner, row);
  PUMICE_TRY(runner.run(row.shape));
  // Tokens of a sequence depend on each other; columns of other ops do not.
  const bool all = !row.tokens.empty() || row.operations / 2 <= most;
  const auto columns = some_columns(row.columns, all ? 1.0 : most / (row.operations / 2));
  const auto chosen = [&](const Matrix& value) {
    return columns.size() == value.columns ? value : reference::select_columns(value, columns);
  };
  if (!row.tokens.empty()) interpreter.begin(row.tokens);
  for (const auto& [id, value] : row.inputs) interpreter.set_value(id, chosen(value));
  for (const graph::Node& node : row.graph.nodes) interpreter.run_node(node);
  const Matrix actual = runner.value(row.out, row.columns);
  if (actual.columns != row.columns) return std::string("its values could not be read back");
  return broken_bound(chosen(actual), interpreter.value(row.out), row.tolerance);
}

}  // namespace pumice::test
