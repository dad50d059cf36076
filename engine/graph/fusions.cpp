// Pattern matching over the node list: producers and use counts, then a rewrite per match.
#include "engine/graph/fusions.h"

#include <algorithm>
#include <utility>

#include "engine/graph/visit.h"

namespace pumice::graph {
namespace {

constexpr uint32_t kRowMultiple = 8;  ///< merged weights start at whole groups of rows

/// Who writes and how many read each value; `views` counts views of it.
struct Uses {
  std::vector<uint32_t> producer;  ///< node index, or kNone
  std::vector<uint32_t> readers, views;

  explicit Uses(const Graph& graph)
      : producer(graph.values.size(), kNone),
        readers(graph.values.size(), 0),
        views(graph.values.size(), 0) {
    for (uint32_t n = 0; n < graph.nodes.size(); ++n)
      visit_values(
          graph.nodes[n].op, [&](ValueId id) { ++readers[id]; },
          [&](ValueId id) { producer[id] = n; });
    for (const Value& value : graph.values)
      if (value.base != kNone) ++views[value.base];
    if (graph.logits != kNone) ++readers[graph.logits];
  }
};

/// The MatMul that writes all of `id`, if it is a plain one: one weight, nothing fused into it.
MatMul* plain_matmul(Graph& graph, const Uses& uses, ValueId id) {
  const uint32_t node = uses.producer[id];
  if (node == kNone || graph.values[id].base != kNone || uses.views[id] != 0) return nullptr;
  MatMul* op = std::get_if<MatMul>(&graph.nodes[node].op);
  if (!op || op->weights.size() != 1 || op->residual != kNone || op->gate != Activation::None)
    return nullptr;
  return op;
}

WeightId bias_of(const MatMul& op) {
  return op.biases.empty() ? kNone : op.biases[0];
}

/// Drops a list in which no weight has a bias.
std::vector<WeightId> biases_of(std::vector<WeightId> ids) {
  if (std::all_of(ids.begin(), ids.end(), [](WeightId id) { return id == kNone; })) ids.clear();
  return ids;
}

/// "blk.0.q" -> "blk.0.qkv"
std::string sibling_name(const std::string& name, std::string_view last) {
  const size_t dot = name.rfind('.');
  return (dot == std::string::npos ? std::string() : name.substr(0, dot + 1)) + std::string(last);
}

void erase_nodes(Graph& graph, const std::vector<bool>& dead) {
  size_t kept = 0;
  for (size_t n = 0; n < graph.nodes.size(); ++n)
    if (!dead[n]) {
      if (kept != n) graph.nodes[kept] = std::move(graph.nodes[n]);
      ++kept;
    }
  graph.nodes.resize(kept);
}

/// One of q, k, v on its way into the merged value.
struct Part {
  ValueId value;
  uint32_t node;
  QuantType type;
};

/// The parts that can merge: plain MatMuls of the same x, in q, k, v order, equal types together.
std::vector<Part> mergeable_parts(Graph& graph, const Uses& uses, const RopeStore& op) {
  std::vector<Part> parts;
  ValueId x = kNone;
  for (const ValueId id : {op.q, op.k, op.v}) {
    const MatMul* matmul = plain_matmul(graph, uses, id);
    if (!matmul || matmul->experts_by != kNone) continue;
    const Weight& weight = graph.weights[matmul->weights[0]];
    if (weight.rows % kRowMultiple != 0 || (x != kNone && matmul->x != x)) continue;
    x = matmul->x;
    const auto same = std::find_if(parts.rbegin(), parts.rend(),
                                   [&](const Part& p) { return p.type == weight.type; });
    parts.insert(same.base() == parts.begin() ? parts.end() : same.base(),
                 {id, uses.producer[id], weight.type});
  }
  return parts;
}

/// Makes parts [first, last) one node: the first part's, reading all weights and writing a view.
void merge_parts(Graph& graph, std::vector<Part>::const_iterator first,
                 std::vector<Part>::const_iterator last, std::vector<bool>& dead) {
  if (last - first == 1) return;
  MatMul merged = std::get<MatMul>(graph.nodes[first->node].op);
  std::vector<WeightId> biases;
  merged.weights.clear();
  Value out{.name = sibling_name(graph.values[first->value].name, "qkv_part"),
            .base = graph.values[first->value].base,
            .offset = graph.values[first->value].offset,
            .per_output = graph.values[first->value].per_output};
  uint32_t node = first->node;
  for (auto part = first; part != last; ++part) {
    const MatMul& one = std::get<MatMul>(graph.nodes[part->node].op);
    merged.weights.push_back(one.weights[0]);
    biases.push_back(bias_of(one));
    out.width += graph.values[part->value].width;
    node = std::min(node, part->node);
    dead[part->node] = true;
  }
  merged.biases = biases_of(std::move(biases));
  dead[node] = false;
  if (out.width == graph.values[out.base].width) {
    merged.out = out.base;
  } else {
    graph.values.push_back(std::move(out));
    merged.out = ValueId(graph.values.size() - 1);
  }
  const std::string label = graph.nodes[node].label;
  graph.nodes[node] = {std::move(merged), label.substr(0, label.rfind(' ') + 1) + "qkv"};
}

/// Lays the parts of one attention into one new value; the others stay as they are.
void merge_one_qkv(Graph& graph, const Uses& uses, const RopeStore& op, std::vector<bool>& dead) {
  const std::vector<Part> parts = mergeable_parts(graph, uses, op);
  if (parts.size() < 2) return;
  Value all{.name = sibling_name(graph.values[parts[0].value].name, "qkv"),
            .per_output = graph.values[parts[0].value].per_output};
  const ValueId base = ValueId(graph.values.size());
  for (const Part& part : parts) {
    graph.values[part.value].base = base;
    graph.values[part.value].offset = all.width;
    all.width += graph.values[part.value].width;
  }
  graph.values.push_back(std::move(all));
  for (auto first = parts.begin(); first != parts.end();) {
    const auto last =
        std::find_if(first, parts.end(), [&](const Part& p) { return p.type != first->type; });
    merge_parts(graph, first, last, dead);
    first = last;
  }
}

/// gate and up must do the same thing to the same value with weights of one shape.
bool twins(const Graph& graph, const MatMul& gate, const MatMul& up) {
  const Weight& g = graph.weights[gate.weights[0]];
  const Weight& u = graph.weights[up.weights[0]];
  return gate.x == up.x && gate.experts_by == up.experts_by && gate.n_used == up.n_used &&
         gate.x_per_slot == up.x_per_slot && g.type == u.type && g.columns == u.columns &&
         g.rows == u.rows && g.experts == u.experts && g.rows % kRowMultiple == 0;
}

}  // namespace

Graph merge_qkv(Graph graph) {
  const Uses uses(graph);
  std::vector<bool> dead(graph.nodes.size(), false);
  for (size_t n = 0; n < graph.nodes.size(); ++n)
    if (const RopeStore* op = std::get_if<RopeStore>(&graph.nodes[n].op)) {
      const RopeStore copy = *op;
      merge_one_qkv(graph, uses, copy, dead);
    }
  erase_nodes(graph, dead);
  return graph;
}

Graph merge_gate_up(Graph graph) {
  const Uses uses(graph);
  std::vector<bool> dead(graph.nodes.size(), false);
  for (Node& node : graph.nodes) {
    const Glu* glu = std::get_if<Glu>(&node.op);
    if (!glu || glu->gate == glu->up || glu->activation == Activation::None) continue;
    const MatMul* gate = plain_matmul(graph, uses, glu->gate);
    const MatMul* up = plain_matmul(graph, uses, glu->up);
    if (!gate || !up || uses.readers[glu->gate] != 1 || uses.readers[glu->up] != 1) continue;
    if (!twins(graph, *gate, *up)) continue;
    MatMul merged = *gate;
    merged.weights = {gate->weights[0], up->weights[0]};
    merged.biases = biases_of({bias_of(*gate), bias_of(*up)});
    merged.gate = glu->activation;
    merged.out = glu->out;
    dead[uses.producer[glu->gate]] = dead[uses.producer[glu->up]] = true;
    node.op = std::move(merged);
  }
  erase_nodes(graph, dead);
  return remove_dead(std::move(graph));
}

Graph fold_residual(Graph graph) {
  const Uses uses(graph);
  std::vector<bool> dead(graph.nodes.size(), false);
  for (Node& node : graph.nodes) {
    const Add* add = std::get_if<Add>(&node.op);
    if (!add || add->a == add->b) continue;
    for (const auto& [product, other] : {std::pair{add->b, add->a}, std::pair{add->a, add->b}}) {
      const MatMul* matmul = plain_matmul(graph, uses, product);
      if (!matmul || matmul->experts_by != kNone || uses.readers[product] != 1) continue;
      MatMul merged = *matmul;
      merged.residual = other;
      merged.out = add->out;
      dead[uses.producer[product]] = true;
      node = {std::move(merged), graph.nodes[uses.producer[product]].label};
      break;
    }
  }
  erase_nodes(graph, dead);
  return remove_dead(std::move(graph));
}

Graph fuse(Graph graph) {
  return remove_dead(fold_residual(merge_gate_up(merge_qkv(std::move(graph)))));
}

}  // namespace pumice::graph
