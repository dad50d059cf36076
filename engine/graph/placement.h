// Where each value of a graph lies in scratch memory. Values whose lifetimes do not meet share
// bytes; the result depends on the graph and the two column counts alone.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/base/result.h"
#include "engine/graph/graph.h"

namespace pumice::graph {

inline constexpr uint64_t kPlacementAlignment = 256;  ///< bytes; covers every device's offset rule
inline constexpr uint32_t kColumnAlignment = 32;      ///< floats: one activation block

/// Floats from one column of a value to the next. Rows past the width are padding: always zero.
[[nodiscard]] constexpr uint32_t column_stride(uint32_t width) {
  return (width + kColumnAlignment - 1) / kColumnAlignment * kColumnAlignment;
}

struct ValuePlace {
  uint64_t offset = 0;  ///< bytes from the start of scratch; a view's includes its row offset
  uint64_t size = 0;    ///< bytes of storage owned; 0 for a view
  uint32_t stride = 0;  ///< floats between columns (a view has its base's)
  bool shared = false;  ///< false: nothing else ever uses these bytes, so padding stays zero
};

struct Placement {
  std::vector<ValuePlace> values;  ///< by ValueId
  uint64_t total = 0;              ///< bytes
};

/// First and last node (indices into Graph::nodes) at which a value's storage holds live data;
/// views count for their base. A value that no node touches has first > last.
struct Lifetime {
  uint32_t first = UINT32_MAX;
  uint32_t last = 0;
};

[[nodiscard]] std::vector<Lifetime> lifetimes(const Graph& graph);

/// Places every value for at most `n_tokens` columns (`n_outputs` for per-output values).
/// A value whose width is not a multiple of 32 keeps its bytes to itself: its padding must stay
/// zero. The logits live to the end of the step.
[[nodiscard]] Result<Placement> place_values(const Graph& graph, uint32_t n_tokens,
                                             uint32_t n_outputs);

}  // namespace pumice::graph
