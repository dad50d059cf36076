// Whether the matrices that make q, k and v can themselves rotate them and store K and V, so that
// no dispatch is spent on it.
#pragma once

#include <cstddef>
#include <optional>

#include "engine/graph/graph.h"
#include "engine/schedule/feed.h"
#include "engine/schedule/policy.h"

namespace pumice {

/// What one matrix of a RopeStore's q, k and v makes: rows of q, then of k, then of v.
struct QkvStore {
  const graph::RopeStore* op = nullptr;
  uint32_t q_rows = 0, k_rows = 0;
};

/// For nodes[at], a matrix product or a RopeStore: its part where kernel/matvec_lane.glsl does the
/// work of the RopeStore, for one column. Nothing where any matrix of q, k and v cannot.
[[nodiscard]] std::optional<QkvStore> qkv_store_of(const graph::Graph& graph, size_t at,
                                                   const CacheFormat& cache,
                                                   const XFormatOf& format_of);

}  // namespace pumice
