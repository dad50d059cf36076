// The form of graph that lets matrices store what they make.
#include "engine/schedule/qkv_store.h"

#include <algorithm>

#include "engine/graph/visit.h"
#include "engine/schedule/weight_layout.h"

namespace pumice {
namespace {

using graph::kNone;
using graph::ValueId;

/// The RopeStore that follows nodes[at] with nothing but matrix products before it.
std::optional<size_t> find_rope(const graph::Graph& graph, size_t at) {
  while (at < graph.nodes.size() && std::holds_alternative<graph::MatMul>(graph.nodes[at].op)) ++at;
  if (at == graph.nodes.size() || !std::holds_alternative<graph::RopeStore>(graph.nodes[at].op))
    return std::nullopt;
  return at;
}

/// Neighbours in a tile are the pair that is rotated, a tile is within a head, and the cache takes
/// values as they are.
bool is_storable(const graph::Graph& graph, const graph::RopeStore& op, const CacheFormat& cache) {
  const graph::CacheLayer& layer = graph.layers[op.layer];
  if (cache.rotate || cache.k > CacheType::F16 || cache.v > CacheType::F16) return false;
  if (op.q_norm != kNone || op.k_norm != kNone) return false;
  if (layer.head_k % kTileRows != 0 || layer.head_v % kTileRows != 0) return false;
  if (op.rope == kNone) return true;
  const graph::RopeSpec& rope = graph.ropes[op.rope];
  return rope.pairs == graph::RopePairs::Adjacent && rope.n_rot % 4 == 0;  // whole texels of angles
}

/// Whether nodes[reader] alone reads the storage of a value.
bool is_only_reader(const graph::Graph& graph, size_t reader, ValueId storage) {
  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    const std::vector<ValueId> read = graph::inputs(graph.nodes[i]);
    if (i != reader && std::any_of(read.begin(), read.end(), [&](ValueId id) {
          return graph::storage_of(graph, id) == storage;
        }))
      return false;
  }
  return true;
}

/// What a matrix makes of the three, which must lie in its rows in their order and fill them.
std::optional<QkvStore> part_of(const graph::Graph& graph, const graph::MatMul& matrix,
                                const graph::RopeStore& op) {
  if (matrix.gate != graph::Activation::None || matrix.experts_by != kNone ||
      matrix.residual != kNone)
    return std::nullopt;
  const uint32_t first = graph::first_row(graph, matrix.out),
                 last = first + graph::rows_of(graph, matrix.weights);
  const ValueId values[] = {op.q, op.k, op.v};
  uint32_t rows[3] = {}, end = first;
  for (size_t i = 0; i < 3; ++i) {
    const uint32_t at = graph::first_row(graph, values[i]);
    if (graph::storage_of(graph, values[i]) != graph::storage_of(graph, matrix.out) || at < first ||
        at >= last)
      continue;
    if (at != end) return std::nullopt;
    rows[i] = graph.values[values[i]].width;
    end += rows[i];
  }
  if (end != last) return std::nullopt;
  return QkvStore{&op, rows[0], rows[1]};
}

}  // namespace

std::optional<QkvStore> qkv_store_of(const graph::Graph& graph, size_t at, const CacheFormat& cache,
                                     const XFormatOf& format_of) {
  const std::optional<size_t> rope = find_rope(graph, at);
  if (!rope) return std::nullopt;
  const auto& op = std::get<graph::RopeStore>(graph.nodes[*rope].op);
  if (!is_storable(graph, op, cache)) return std::nullopt;

  // All read one x: it lies prepared when the first of them overwrites what lay where q_out does.
  ValueId x = kNone;
  std::optional<QkvStore> own;
  if (at == *rope) own = QkvStore{&op};
  uint32_t made = 0;
  for (size_t i = *rope; i-- > 0;) {
    const auto* matrix = std::get_if<graph::MatMul>(&graph.nodes[i].op);
    const std::optional<QkvStore> part =
        matrix == nullptr ? std::nullopt : part_of(graph, *matrix, op);
    if (!part) break;
    if (x != kNone && matrix->x != x) return std::nullopt;
    x = matrix->x;
    if (format_of(*matrix) != XFormat::Pairs ||
        !is_only_reader(graph, *rope, graph::storage_of(graph, matrix->out)))
      return std::nullopt;
    made += graph::rows_of(graph, matrix->weights);
    if (i == at) own = part;
  }
  uint32_t wanted = 0;
  for (const ValueId id : {op.q, op.k, op.v}) wanted += graph.values[id].width;
  if (made != wanted) return std::nullopt;
  return own;
}

}  // namespace pumice
