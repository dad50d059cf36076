// Finds the distinct inputs of matrices, then inserts nodes and moves the selection of columns.
#include "engine/graph/taps.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "engine/base/checked.h"
#include "engine/graph/fusions.h"
#include "engine/graph/selection.h"
#include "engine/graph/visit.h"

namespace pumice::graph {
namespace {

/// An input and the node in front of which it is observed.
struct Input {
  Observe observe;
  Tap tap;
  uint32_t layer = 0;
  size_t node = 0;
};

/// What a matrix reads, for all columns of a step.
ValueId whole_input(const Graph& graph, const MatMul& op) {
  for (const Node& node : graph.nodes)
    if (const auto* select = std::get_if<SelectOutputs>(&node.op);
        select != nullptr && select->out == op.x)
      return select->x;
  return op.x;
}

bool same_input(const Observe& seen, ValueId x, const MatMul& op) {
  return seen.x == x && seen.experts_by == op.experts_by && seen.n_used == op.n_used &&
         seen.x_per_slot == op.x_per_slot;
}

void add_tensors(const Graph& graph, const MatMul& op, Tap& tap) {
  for (const WeightId id : op.weights) {
    const std::string& name = graph.weights[id].tensor;
    if (std::find(tap.tensors.begin(), tap.tensors.end(), name) == tap.tensors.end())
      tap.tensors.push_back(name);
  }
}

uint32_t layer_count(const Graph& graph) {
  uint32_t layers = 0;
  for (const Weight& weight : graph.weights)
    if (const auto layer = layer_of(weight.tensor)) layers = std::max(layers, *layer + 1);
  return layers;
}

/// All distinct inputs in graph order; the output matrix is of the layer after the last.
std::vector<Input> matrix_inputs(const Graph& graph, const TapOptions& options) {
  const uint32_t layers = layer_count(graph);
  std::vector<Input> found;
  for (size_t node = 0; node < graph.nodes.size(); ++node) {
    const MatMul* op = std::get_if<MatMul>(&graph.nodes[node].op);
    if (op == nullptr) continue;
    const ValueId x = whole_input(graph, *op);
    const auto seen = std::find_if(found.begin(), found.end(), [&](const Input& input) {
      return same_input(input.observe, x, *op);
    });
    if (seen != found.end()) {
      add_tensors(graph, *op, seen->tap);
      continue;
    }
    const Weight& weight = graph.weights[op->weights.front()];
    Input input;
    input.observe = {x, op->experts_by, op->n_used, op->x_per_slot, 0};
    input.tap = {{}, weight.columns, weight.experts, options.statistics == Statistics::Gram};
    input.layer = layer_of(weight.tensor).value_or(layers);
    input.node = node;
    add_tensors(graph, *op, input.tap);
    found.push_back(std::move(input));
  }
  return found;
}

bool chosen(const Input& input, const TappedLayers& range) {
  return input.layer >= range.first && input.layer < range.end;
}

Result<TappedLayers> choose_layers(const Graph& graph, const std::vector<Input>& inputs,
                                   const TapOptions& options) {
  const uint32_t layers = layer_count(graph);
  TappedLayers range{options.first_layer, 0, layers + (options.output ? 1 : 0)};
  range.end = std::min(options.end_layer, range.layers);
  if (range.first >= range.end)
    return fail(ErrorCode::BadArgument,
                "statistics of layers {} to {}: the model has layers 0 to {}", options.first_layer,
                int64_t{options.end_layer} - 1, int64_t{layers} - 1);
  if (options.statistics != Statistics::Gram || options.gram_budget == 0) return range;
  uint64_t bytes = 0;
  for (uint32_t layer = range.first; layer < range.end; ++layer) {
    for (const Input& input : inputs)
      if (input.layer == layer) bytes += gram_floats(input.tap) * sizeof(float);
    if (bytes > options.gram_budget && layer > range.first) {
      range.end = layer;
      break;
    }
  }
  return range;
}

/// Puts `select` in front of `node`, which then reads the selected columns instead of `from`.
void select_before(Graph& graph, size_t node, ValueId from) {
  Value selected = graph.values[from];
  selected.name += "_selected";
  selected.per_output = true;
  graph.values.push_back(std::move(selected));
  const ValueId out = ValueId(graph.values.size() - 1);
  visit_values(
      graph.nodes[node].op,
      [&](ValueId& id) {
        if (id == from) id = out;
      },
      [](ValueId) {});
  graph.nodes.insert(graph.nodes.begin() + ptrdiff_t(node),
                     {SelectOutputs{.x = from, .out = out}, "select outputs"});
}

/// Moves the selection of output columns behind all layers: in front of the last norm, or of the
/// output matrix when that is tapped as well.
void select_late(Graph& graph, bool output) {
  if (!remove_selection(graph)) return;

  // The last matrix, and the norm in front of it where there is one.
  size_t last = graph.nodes.size() - 1;
  while (last > 0 && !std::holds_alternative<MatMul>(graph.nodes[last].op)) --last;
  const MatMul* matrix = std::get_if<MatMul>(&graph.nodes[last].op);
  if (matrix == nullptr) return;
  ValueId from = matrix->x;
  if (!output && last > 0)
    if (const RmsNorm* norm = std::get_if<RmsNorm>(&graph.nodes[last - 1].op);
        norm != nullptr && norm->out == from) {
      --last;
      from = norm->x;
    }
  for (size_t node = 0; node < last; ++node)
    for (const ValueId id : outputs(graph.nodes[node]))
      graph.values[id].per_output = graph.values[storage_of(graph, id)].per_output = false;
  select_before(graph, last, from);
}

}  // namespace

std::optional<uint32_t> layer_of(std::string_view tensor) {
  constexpr std::string_view kPrefix = "blk.";
  if (!tensor.starts_with(kPrefix)) return {};
  tensor.remove_prefix(kPrefix.size());
  constexpr uint32_t kMost = 1u << 20;
  uint32_t layer = 0;
  const auto [rest, error] = std::from_chars(tensor.data(), tensor.data() + tensor.size(), layer);
  if (error != std::errc() || rest == tensor.data() + tensor.size() || *rest != '.' ||
      layer > kMost)
    return {};
  return layer;
}

uint64_t gram_floats(const Tap& tap) {
  if (!tap.gram) return 0;
  const uint64_t blocks = div_up(tap.width, kGramTile);
  return blocks * (blocks + 1) / 2 * kGramTile * kGramTile * tap.matrices;
}

Result<TappedLayers> tapped_layers(const Graph& graph, const TapOptions& options) {
  return choose_layers(graph, matrix_inputs(graph, options), options);
}

Result<Graph> add_taps(Graph graph, const TapOptions& options) {
  if (options.statistics == Statistics::None) return graph;
  PUMICE_TRY_ASSIGN(const TappedLayers range, tapped_layers(graph, options));
  select_late(graph, options.output);
  const std::vector<Input> inputs = matrix_inputs(graph, options);
  std::vector<Node> nodes;
  auto next = inputs.begin();
  for (size_t node = 0; node < graph.nodes.size(); ++node) {
    for (; next != inputs.end() && next->node == node; ++next) {
      if (!chosen(*next, range)) continue;
      Observe observe = next->observe;
      observe.tap = uint32_t(graph.taps.size());
      nodes.push_back({observe, graph.nodes[node].label + " input"});
      graph.taps.push_back(next->tap);
    }
    nodes.push_back(std::move(graph.nodes[node]));
  }
  graph.nodes = std::move(nodes);
  return remove_dead(std::move(graph));
}

}  // namespace pumice::graph
