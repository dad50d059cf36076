// Walks over the values that an op reads and writes, mutable, so that rewriting a graph is one
// loop. The order is the order of `inputs` and `outputs` in graph.h.
#pragma once

#include <type_traits>
#include <variant>

#include "engine/graph/graph.h"

namespace pumice::graph {

/// Calls `read(id)` for every value the op reads and `write(id)` for every value it writes, with
/// `ValueId&` (or `const ValueId&` for a const op). Absent operands (kNone) are skipped.
template <class OpRef, class Read, class Write>
void visit_values(OpRef& op, Read&& read, Write&& write) {
  const auto reads = [&](auto&... ids) { ((ids != kNone ? (void)read(ids) : void()), ...); };
  std::visit(
      [&](auto& o) {
        using T = std::remove_cvref_t<decltype(o)>;
        if constexpr (std::is_same_v<T, Embed>) {
        } else if constexpr (std::is_same_v<T, MatMul>) {
          reads(o.x, o.residual, o.experts_by);
        } else if constexpr (std::is_same_v<T, RopeStore>) {
          reads(o.q, o.k, o.v);
        } else if constexpr (std::is_same_v<T, Attention>) {
          reads(o.q);
        } else if constexpr (std::is_same_v<T, Glu>) {
          reads(o.gate, o.up);
        } else if constexpr (std::is_same_v<T, Add>) {
          reads(o.a, o.b);
        } else if constexpr (std::is_same_v<T, Route>) {
          reads(o.logits);
        } else if constexpr (std::is_same_v<T, Combine>) {
          reads(o.x, o.route, o.residual);
        } else if constexpr (std::is_same_v<T, Observe>) {
          reads(o.x, o.experts_by);
        } else {  // RmsNorm, SelectOutputs, Softcap
          reads(o.x);
        }
        if constexpr (std::is_same_v<T, RopeStore>) {
          write(o.q_out);
        } else if constexpr (!std::is_same_v<T, Observe>) {
          write(o.out);
        }
      },
      op);
}

/// Calls `use(id)` for every weight the op reads; rope factors belong to Graph::ropes.
template <class OpRef, class Use>
void visit_weights(OpRef& op, Use&& use) {
  const auto each = [&](auto& id) {
    if (id != kNone) use(id);
  };
  std::visit(
      [&](auto& o) {
        using T = std::remove_cvref_t<decltype(o)>;
        if constexpr (std::is_same_v<T, Embed> || std::is_same_v<T, RmsNorm>) {
          each(o.weight);
        } else if constexpr (std::is_same_v<T, MatMul>) {
          for (auto& id : o.weights) each(id);
          for (auto& id : o.biases) each(id);
        } else if constexpr (std::is_same_v<T, RopeStore>) {
          each(o.q_norm);
          each(o.k_norm);
        }
      },
      op);
}

/// The value that owns the storage of `id`: itself, or the base of a view (views do not nest).
[[nodiscard]] inline ValueId storage_of(const Graph& graph, ValueId id) {
  const ValueId base = graph.values[id].base;
  return base == kNone ? id : base;
}

/// Where a value begins in the rows of its storage.
[[nodiscard]] inline uint32_t first_row(const Graph& graph, ValueId id) {
  return graph.values[id].base == kNone ? 0 : graph.values[id].offset;
}

/// Rows of one beneath the other.
[[nodiscard]] inline uint32_t rows_of(const Graph& graph, const std::vector<WeightId>& weights) {
  uint32_t rows = 0;
  for (const WeightId id : weights) rows += graph.weights[id].rows;
  return rows;
}

}  // namespace pumice::graph
