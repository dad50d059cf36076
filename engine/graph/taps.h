// Taps: statistics of what every matrix multiplies, as nodes of the graph. A named rewrite of a
// fused graph; the kernels that gather are chosen by the scheduler like those of any op.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "engine/base/result.h"
#include "engine/graph/graph.h"

namespace pumice::graph {

enum class Statistics : uint8_t {
  None,
  Squares,  ///< sum of x^2 per input channel
  Gram,     ///< and sum of x x^T per input
};

/// Output rows and columns of a block in which Gram matrices are computed and stored.
inline constexpr uint32_t kGramTile = 64;

struct TapOptions {
  Statistics statistics = Statistics::None;
  uint32_t first_layer = 0;
  uint32_t end_layer = UINT32_MAX;  ///< the first one that is left out again
  bool output = false;              ///< the matrix that makes the logits too (counts as a layer)
  /// Device bytes that Gram matrices may take, 0 = any. Layers that no longer fit are left out;
  /// Engine::tapped_layers says where the next pass begins. One layer is always taken.
  uint64_t gram_budget = 0;
};

/// Layers [first, end) whose inputs are tapped; end == layers when none is left for another pass.
struct TappedLayers {
  uint32_t first = 0, end = 0;
  uint32_t layers = 0;  ///< of the graph, plus one when the output matrix counts
};

/// Puts an Observe in front of the first MatMul that reads an input, for each distinct input of the
/// layers asked for: q, k and v share one, gate and up share one, experts apart from the router.
/// Steps of the result compute every layer for all their columns: the selection of output columns
/// moves behind the last matrix that may be tapped. Logits keep their bits.
///
/// BadArgument when the range holds no layer.
[[nodiscard]] Result<Graph> add_taps(Graph graph, const TapOptions& options);

/// What add_taps chooses for the same arguments.
[[nodiscard]] Result<TappedLayers> tapped_layers(const Graph& graph, const TapOptions& options);

/// N of "blk.N.name"; nothing for a tensor outside layers.
[[nodiscard]] std::optional<uint32_t> layer_of(std::string_view tensor);

/// Device floats of the Gram matrices of a tap: the blocks on and below the diagonal.
[[nodiscard]] uint64_t gram_floats(const Tap& tap);

}  // namespace pumice::graph
