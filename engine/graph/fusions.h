// Named rewrites of a graph, each from a graph to an equal one with fewer dispatches. The
// results are equal to the last bit in the reference interpreter.
#pragma once

#include "engine/graph/graph.h"

namespace pumice::graph {

/// q, k and v of one attention that are plain MatMuls of the same value become rows of one value.
/// Those of equal quant type become one MatMul with several weights; the others write into their
/// rows of it. q, k and v themselves become views. Weights need rows % 8 == 0.
[[nodiscard]] Graph merge_qkv(Graph graph);

/// gate and up MatMuls of equal type and shape (experts too) and their Glu become one MatMul with
/// `gate` set. Weights need rows % 8 == 0.
[[nodiscard]] Graph merge_gate_up(Graph graph);

/// An Add after a MatMul becomes its residual.
[[nodiscard]] Graph fold_residual(Graph graph);

/// Drops nodes whose results nobody reads (cache writes and taps are kept), then values and weights that
/// nothing refers to.
[[nodiscard]] Graph remove_dead(Graph graph);

/// All of the above, in that order.
[[nodiscard]] Graph fuse(Graph graph);

}  // namespace pumice::graph
