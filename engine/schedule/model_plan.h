// The plan of a loaded model on one device: which buffers exist, where every weight, cache page and
// step word lies. Made once from the graph and the policy, before anything is allocated; the
// dispatch lists (lower.h) only point into it.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "engine/base/result.h"
#include "engine/graph/graph.h"
#include "engine/graph/placement.h"
#include "engine/schedule/dispatch.h"
#include "engine/schedule/policy.h"

namespace pumice {

/// Rows of a matrix that fit one binding. Tiles count per matrix, experts laid end to end.
struct MatrixPart {
  uint32_t first_tile = 0, tiles = 0;
  BufferSlice slice;
};

/// One or more weights as the device holds them: rows concatenated, or gate and up tiles in turn.
struct DeviceMatrix {
  std::vector<graph::WeightId> weights;
  bool interleaved = false;  ///< tiles alternate between weights[0] and weights[1]
  QuantType type = QuantType::F32;
  uint32_t columns = 0;  ///< weights along a row
  uint32_t groups = 0;   ///< of 32, padding included
  uint32_t tiles = 0;    ///< per expert
  uint32_t experts = 1;
  uint64_t bytes = 0;
  std::vector<MatrixPart> parts;
};

/// f32 vectors (norm weights, concatenated biases), padded with zeros to 32 elements.
struct DeviceVector {
  std::vector<graph::WeightId> weights;  ///< kNone = zeros for that range
  std::vector<uint32_t> lengths;         ///< elements of each range, per expert
  bool interleaved = false;              ///< runs of 8 in turn, as the tiles of a gate/up matrix
  uint32_t experts = 1;
  BufferSlice slice;
};

/// Word offsets inside the step buffer.
struct StepLayout {
  uint32_t tokens = 0, positions = 0, sequences = 0, outputs = 0;
  uint32_t pages = 0, page_stride = 0;  ///< row per sequence; the last row is the scrap sequence
  uint32_t settings = 0, history = 0;   ///< per sampled column
  uint32_t observed = 0;  ///< columns that count for statistics; then 1 = start from zero
  uint32_t words = 0;
};

struct CachePlan {
  BufferSlice slice;
  uint32_t page_words = 0;                    ///< of one page: K, its scales, V, its scales
  uint32_t v_at = 0;                          ///< word of V inside a page
  uint32_t k_scales_at = 0, v_scales_at = 0;  ///< words; what follows where a type has no scales
};

/// Blocks of Gram matrices that fit one binding, counted over all matrices of a tap.
struct GramPart {
  uint32_t first_tile = 0, tiles = 0;
  BufferSlice slice;  ///< f32 [tile][kGramTile][kGramTile]
};

/// Where the statistics of graph.taps[i] lie.
struct TapPlan {
  uint32_t quads = 0;  ///< of four input channels
  BufferSlice sums;    ///< f32 [matrix][high, low][4 * quads]: sum of x^2 = high + low
  BufferSlice counts;  ///< u32 [matrix]: columns that counted
  uint32_t tiles = 0;  ///< Gram blocks of one matrix: (0,0) (1,0) (1,1) (2,0) ...
  std::vector<GramPart> gram;
};

struct MemoryPlan {
  uint64_t weights = 0, vectors = 0, cache = 0, scratch = 0, tables = 0, step = 0, statistics = 0;
  [[nodiscard]] uint64_t total() const {
    return weights + vectors + cache + scratch + tables + step + statistics;
  }
};

/// Activations of one step in the form a matrix kernel reads; either slice may be empty.
struct PreparedArea {
  BufferSlice units;   ///< int8 or binary16 elements
  BufferSlice scales;  ///< vec4 per 32: scale, both scaled sums of 16, sum of squares
};

struct ModelPlan {
  graph::Graph graph;
  RunOptions options;
  Policy policy;
  graph::Placement placement;

  std::vector<BufferPlan> buffers;  ///< BufferId i of every slice is buffers[i]
  std::vector<DeviceMatrix> matrices;
  std::vector<DeviceVector> vectors;
  std::vector<CachePlan> caches;   ///< by layer
  std::vector<BufferSlice> ropes;  ///< by Graph::ropes
  BufferSlice scratch, partials;   ///< partials may be empty
  /// What matrices multiply in another form than f32. Lane kernels read one and write the other.
  std::array<PreparedArea, 2> prepared;
  BufferSlice step, result, logits_host, logit_bias, empty;
  std::vector<TapPlan> taps;  ///< by Graph::taps
  BufferSlice expert_lists;   ///< columns per expert of the tap at work
  StepLayout layout;
  uint32_t max_columns = 0;  ///< token columns, padded to what kernels write
  uint32_t max_output_columns = 0;
  uint32_t pages = 0;  ///< cache pages that sequences share
  uint32_t pages_per_sequence = 0;
  MemoryPlan memory;

  [[nodiscard]] const DeviceMatrix* find_matrix(const std::vector<graph::WeightId>& weights,
                                                bool interleaved) const;
  [[nodiscard]] const DeviceVector* find_vector(const std::vector<graph::WeightId>& weights) const;
};

/// Plans a fused graph. Fails with words where a type has no device codec or a shape no kernel.
[[nodiscard]] Result<ModelPlan> plan_model(graph::Graph graph, const Capabilities& caps,
                                           RunOptions options);

/// The tile row `tile` of a matrix of `plan`: which weight, and which of its rows come first.
struct TileSource {
  graph::WeightId weight;
  uint32_t first_row;  ///< within the weight (first_row of a row range not yet added)
  uint32_t rows;       ///< 1..8 that exist
  uint32_t expert;
};
[[nodiscard]] TileSource tile_source(const ModelPlan& plan, const DeviceMatrix& matrix,
                                     uint32_t tile);

}  // namespace pumice
