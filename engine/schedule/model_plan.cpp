// Lays out a model's buffers: matrices into arenas, vectors, cache pages, scratch, step words.
#include "engine/schedule/model_plan.h"

#include <algorithm>
#include <bit>

#include "engine/base/checked.h"
#include "engine/schedule/arena.h"
#include "engine/schedule/observe.h"
#include "shaders/shared/push.h"

namespace pumice {
namespace {

using graph::kNone;
using graph::WeightId;

Result<void> add_matrix(ModelPlan& plan, ArenaAllocator& arena,
                        const std::vector<WeightId>& weights, bool interleaved) {
  if (plan.find_matrix(weights, interleaved) != nullptr) return {};
  const graph::Weight& first = plan.graph.weights[weights.front()];
  const WeightLayout* layout = find_weight_layout(first.type);
  if (layout == nullptr)
    return fail(ErrorCode::Unsupported, "tensor {} has type {}; there is no device codec for it",
                first.tensor, info(first.type).name);
  DeviceMatrix matrix;
  matrix.weights = weights;
  matrix.interleaved = interleaved;
  matrix.type = first.type;
  matrix.columns = first.columns;
  matrix.groups = row_groups(*layout, first.columns);
  matrix.experts = first.experts;
  for (const WeightId id : weights) matrix.tiles += div_up(plan.graph.weights[id].rows, kTileRows);
  const uint64_t row_bytes = tile_row_bytes(*layout, matrix.groups);
  const uint64_t all_tiles = uint64_t{matrix.tiles} * matrix.experts;
  matrix.bytes = row_bytes * all_tiles;
  uint64_t per_part = plan.policy.matrix_binding_bytes / row_bytes;
  if (interleaved || matrix.experts == 1) per_part = per_part / 2 * 2;
  if (per_part == 0 || (matrix.experts > 1 && per_part < all_tiles))
    return fail(ErrorCode::Unsupported,
                "tensor {}: {} bytes do not fit a binding of {} bytes on this device", first.tensor,
                matrix.bytes, plan.policy.matrix_binding_bytes);
  for (uint64_t tile = 0; tile < all_tiles; tile += per_part) {
    const uint64_t tiles = std::min(per_part, all_tiles - tile);
    matrix.parts.push_back({uint32_t(tile), uint32_t(tiles), arena.take(tiles * row_bytes)});
  }
  plan.matrices.push_back(std::move(matrix));
  return {};
}

void add_vector(ModelPlan& plan, ArenaAllocator& arena, std::vector<WeightId> weights,
                std::vector<uint32_t> lengths, bool interleaved, uint32_t experts) {
  if (plan.find_vector(weights) != nullptr) return;
  uint64_t elements = 0;
  for (const uint32_t length : lengths) elements += align_up(length, interleaved ? 8u : 1u);
  DeviceVector vector{std::move(weights), std::move(lengths), interleaved, experts, {}};
  vector.slice = arena.take(align_up<uint64_t>(elements * experts, 64) * 4);
  plan.vectors.push_back(std::move(vector));
}

Result<void> add_node_weights(ModelPlan& plan, const graph::Node& node, ArenaAllocator& matrices,
                              ArenaAllocator& vectors) {
  const auto length = [&](WeightId id) { return plan.graph.weights[id].columns; };
  if (const auto* op = std::get_if<graph::Embed>(&node.op))
    return add_matrix(plan, matrices, {op->weight}, false);
  if (const auto* op = std::get_if<graph::RmsNorm>(&node.op))
    add_vector(plan, vectors, {op->weight}, {length(op->weight)}, false, 1);
  if (const auto* op = std::get_if<graph::RopeStore>(&node.op)) {
    for (const WeightId id : {op->q_norm, op->k_norm})
      if (id != kNone) add_vector(plan, vectors, {id}, {length(id)}, false, 1);
  }
  if (const auto* op = std::get_if<graph::MatMul>(&node.op)) {
    const bool gate = op->gate != graph::Activation::None;
    PUMICE_TRY(add_matrix(plan, matrices, op->weights, gate));
    if (!op->biases.empty()) {
      std::vector<uint32_t> lengths;
      for (const WeightId id : op->weights) lengths.push_back(plan.graph.weights[id].rows);
      add_vector(plan, vectors, op->biases, lengths, gate,
                 plan.graph.weights[op->weights.front()].experts);
    }
  }
  return {};
}

// Words that a page holds of one side of a layer: elements, then scales, two to a word.
struct SideWords {
  uint32_t elements, scales;
};

SideWords side_words(CacheType type, uint32_t heads, uint32_t head) {
  const uint32_t rows = heads * PUMICE_PAGE;
  const bool quantised = type > CacheType::F16;
  return {rows * head >> uint32_t(type), quantised ? rows * div_up(head, 64u) : 0};
}

Result<void> check_heads(const graph::CacheLayer& layer, const CacheFormat& format) {
  struct Side {
    char letter;
    CacheType type;
    uint32_t head;
  };
  for (const Side& side : {Side{'k', format.k, layer.head_k}, Side{'v', format.v, layer.head_v}})
    if (side.type > CacheType::F16 && side.head % 32 != 0)
      return fail(ErrorCode::Unsupported,
                  "a {0} cache needs heads that divide by 32, and the {1} heads of this model have "
                  "{2} elements; use f16 for them (--kv-{1} f16)",
                  cache_type_name(side.type), side.letter, side.head);
  return {};
}

Result<void> plan_caches(ModelPlan& plan) {
  const CacheFormat& format = plan.policy.cache;
  for (const graph::CacheLayer& layer : plan.graph.layers) {
    PUMICE_TRY(check_heads(layer, format));
    CachePlan cache;
    const SideWords k = side_words(format.k, layer.kv_heads, layer.head_k);
    const SideWords v = side_words(format.v, layer.kv_heads, layer.head_v);
    cache.k_scales_at = k.elements;
    cache.v_at = cache.k_scales_at + k.scales;
    cache.v_scales_at = cache.v_at + v.elements;
    cache.page_words = cache.v_scales_at + v.scales;
    const uint64_t bytes = uint64_t{cache.page_words} * 4 * (plan.pages + 1);
    cache.slice = {uint32_t(plan.buffers.size()), 0, bytes};
    plan.buffers.push_back({"cache", bytes, BufferDomain::Device});
    plan.memory.cache += bytes;
    plan.caches.push_back(cache);
  }
  return {};
}

void plan_step(ModelPlan& plan) {
  StepLayout& layout = plan.layout;
  uint32_t at = 0;
  const auto take = [&at](uint32_t words) { return std::exchange(at, at + align_up(words, 4u)); };
  layout.tokens = take(plan.max_columns);
  layout.positions = take(plan.max_columns);
  layout.sequences = take(plan.max_columns);
  layout.outputs = take(plan.max_output_columns);
  layout.page_stride = plan.pages_per_sequence;
  layout.pages = take((plan.options.max_sequences + 1) * plan.pages_per_sequence);
  const uint32_t sampled = std::max(plan.options.max_sequences, 8u);
  layout.settings = take(sampled * PUMICE_SETTINGS_WORDS);
  layout.history = take(sampled * PUMICE_HISTORY);
  layout.observed = take(2);
  layout.words = at;
}

BufferSlice own_buffer(ModelPlan& plan, const char* name, uint64_t bytes, BufferDomain domain) {
  plan.buffers.push_back({name, bytes, domain});
  return {uint32_t(plan.buffers.size() - 1), 0, bytes};
}

// Widest column that a matrix kernel reads in another form, and what attention leaves for its
// merge.
void plan_work_areas(ModelPlan& plan) {
  uint64_t blocks = 0, partial_words = 0;
  for (const graph::Node& node : plan.graph.nodes) {
    if (const auto* op = std::get_if<graph::MatMul>(&node.op)) {
      const graph::ValuePlace& place = plan.placement.values[op->x];
      const uint32_t columns =
          plan.graph.values[op->x].per_output ? plan.max_output_columns : plan.max_columns;
      blocks = std::max<uint64_t>(blocks, uint64_t{place.stride} / 32 * columns);
    }
    if (const auto* op = std::get_if<graph::Attention>(&node.op)) {
      const uint64_t columns = std::min(plan.max_columns, 8u);
      partial_words =
          std::max<uint64_t>(partial_words, columns * op->n_heads * plan.pages_per_sequence *
                                                (plan.graph.layers[op->layer].head_v + 2));
    }
  }
  if (plan.policy.q8 || plan.policy.fp16) {
    const uint32_t unit_bytes = plan.policy.lane || plan.policy.fp16 ? 64 : 32;
    for (size_t i = 0; i < (plan.policy.lane ? 2 : 1); ++i) {
      PreparedArea& area = plan.prepared[i];
      area.units =
          own_buffer(plan, "prepared activations", blocks * unit_bytes, BufferDomain::Device);
      area.scales = own_buffer(plan, "activation scales", blocks * 16, BufferDomain::Device);
      plan.memory.scratch += area.units.bytes + area.scales.bytes;
    }
  }
  if (plan.policy.split_attention && plan.pages_per_sequence > 1) {
    plan.partials = own_buffer(plan, "attention partials", partial_words * 4, BufferDomain::Device);
    plan.memory.scratch += plan.partials.bytes;
  }
}

void plan_tables(ModelPlan& plan) {
  for (const graph::RopeSpec& rope : plan.graph.ropes) {
    const uint64_t bytes = uint64_t{rope.n_rot} * 4 * plan.options.context;
    plan.ropes.push_back(own_buffer(plan, "rope table", bytes, BufferDomain::Device));
    plan.memory.tables += bytes;
  }
}

// Values of many columns are one binding each: fewer columns per step where they would not fit.
void fit_columns(const graph::Graph& graph, uint64_t binding_bytes, RunOptions& options) {
  constexpr uint64_t kMostLogitsBytes = 64u << 20;
  uint64_t widest = 32;
  for (const graph::Value& value : graph.values)
    if (!value.per_output) widest = std::max<uint64_t>(widest, graph::column_stride(value.width));
  while (options.max_chunk > 8 && std::bit_ceil(options.max_chunk) * widest * 4 > binding_bytes)
    options.max_chunk = std::bit_ceil(options.max_chunk) / 2;
  const uint64_t row_bytes = uint64_t{graph::column_stride(graph.n_vocab)} * 4;
  const uint64_t rows =
      std::max<uint64_t>(std::min(kMostLogitsBytes, binding_bytes) / row_bytes, 1);
  options.max_outputs = uint32_t(std::min<uint64_t>(options.max_outputs, std::bit_floor(rows)));
}

Result<void> check_options(const graph::Graph& graph, RunOptions& options) {
  if (options.context == 0) options.context = std::min(graph.context_length, 4096u);
  if (options.max_chunk == 0 || options.max_sequences == 0)
    return fail(ErrorCode::BadArgument, "chunk and sequence counts must be at least 1");
  // Rope positions past the model's own range are not an error, only worse text: the caller warns.
  if (options.context > 1u << 20)
    return fail(ErrorCode::BadArgument, "context of {} tokens; the most is 1048576",
                options.context);
  options.max_chunk = std::min({options.max_chunk, options.context, 4096u});
  return {};
}

// What grows with the context is one binding per layer: a context that the device cannot bind is
// refused before anything is allocated.
Result<void> check_context(const ModelPlan& plan, const Capabilities& caps) {
  uint64_t most = std::min(caps.max_storage_range, plan.policy.arena_bytes);
  if (plan.policy.texel) most = std::min(most, caps.max_texel_elements * kUnitBytes);
  uint64_t largest = plan.partials.bytes;
  for (const CachePlan& cache : plan.caches) largest = std::max(largest, cache.slice.bytes);
  for (const BufferSlice& rope : plan.ropes) largest = std::max(largest, rope.bytes);
  if (largest <= most) return {};
  const uint64_t pages =
      plan.pages_per_sequence * most / largest;  // one page less leaves a reserve
  return fail(
      ErrorCode::OutOfMemory,
      "a context of {} tokens for {} sequences needs a binding of {} bytes, and this device "
      "binds {} at most; use a context (-c) of {} or less",
      plan.options.context, plan.options.max_sequences, largest, most,
      (pages > 1 ? pages - 1 : 1) * PUMICE_PAGE);
}

// Columns that kernels may touch for up to n: powers of two, and 8 from 5 on.
uint32_t padded_columns(uint32_t n) {
  uint32_t columns = 1;
  while (columns < n) columns *= 2;
  return columns;
}

}  // namespace

const DeviceMatrix* ModelPlan::find_matrix(const std::vector<WeightId>& weights,
                                           bool interleaved) const {
  const auto found = std::find_if(matrices.begin(), matrices.end(), [&](const DeviceMatrix& m) {
    return m.weights == weights && m.interleaved == interleaved;
  });
  return found == matrices.end() ? nullptr : &*found;
}

const DeviceVector* ModelPlan::find_vector(const std::vector<WeightId>& weights) const {
  const auto found = std::find_if(vectors.begin(), vectors.end(),
                                  [&](const DeviceVector& v) { return v.weights == weights; });
  return found == vectors.end() ? nullptr : &*found;
}

Result<ModelPlan> plan_model(graph::Graph graph, const Capabilities& caps, RunOptions options) {
  PUMICE_TRY(check_options(graph, options));
  if (!graph.taps.empty()) observe_options(graph, options);
  ModelPlan plan;
  plan.graph = std::move(graph);
  plan.policy = choose_policy(caps, options);
  fit_columns(plan.graph, caps.max_storage_range, options);
  plan.options = options;
  plan.max_columns = std::max(padded_columns(options.max_chunk), 8u);
  plan.max_output_columns = padded_columns(std::max(options.max_outputs, options.max_sequences));
  if (plan.max_output_columns > 4) plan.max_output_columns = std::max(plan.max_output_columns, 8u);
  plan.pages_per_sequence = div_up(options.context, PUMICE_PAGE);
  plan.pages = plan.pages_per_sequence * options.max_sequences;

  // The upload writes every byte of a matrix slice, its padding too; nothing binds what lies
  // between.
  ArenaAllocator matrices(
      plan.buffers, plan.policy,
      {.name = "weights", .domain = BufferDomain::Device, .fully_written = true});
  ArenaAllocator vectors(plan.buffers, plan.policy, {.name = "vectors"});
  for (const graph::Node& node : plan.graph.nodes)
    PUMICE_TRY(add_node_weights(plan, node, matrices, vectors));
  plan.logit_bias = vectors.take(align_up<uint64_t>(uint64_t{plan.graph.n_vocab} * 4, 256));
  plan.empty = vectors.take(256);
  plan.memory.weights = matrices.total();
  plan.memory.vectors = vectors.total();

  PUMICE_TRY_ASSIGN(plan.placement,
                    graph::place_values(plan.graph, plan.max_columns, plan.max_output_columns));
  plan.scratch = own_buffer(plan, "scratch", plan.placement.total, BufferDomain::Device);
  plan.memory.scratch = plan.scratch.bytes;
  plan_work_areas(plan);
  PUMICE_TRY(plan_caches(plan));
  plan_tables(plan);
  PUMICE_TRY(plan_taps(plan, caps));
  PUMICE_TRY(check_context(plan, caps));
  plan_step(plan);
  plan.step = own_buffer(plan, "step", uint64_t{plan.layout.words} * 4, BufferDomain::Upload);
  const uint64_t logits_bytes =
      uint64_t{graph::column_stride(plan.graph.n_vocab)} * 4 * plan.max_output_columns;
  plan.result = own_buffer(plan, "result", 4096 + plan.max_output_columns * PUMICE_RESULT_WORDS * 4,
                           BufferDomain::Readback);
  plan.logits_host = own_buffer(plan, "logits", logits_bytes, BufferDomain::Readback);
  plan.memory.step = plan.step.bytes + plan.result.bytes + plan.logits_host.bytes;
  return plan;
}

TileSource tile_source(const ModelPlan& plan, const DeviceMatrix& matrix, uint32_t tile) {
  TileSource source{};
  source.expert = tile / matrix.tiles;
  uint32_t local = tile % matrix.tiles;
  if (matrix.interleaved) {
    source.weight = matrix.weights[local % 2];
    local /= 2;
  } else {
    for (const WeightId id : matrix.weights) {
      source.weight = id;
      const uint32_t tiles = div_up(plan.graph.weights[id].rows, kTileRows);
      if (local < tiles) break;
      local -= tiles;
    }
  }
  source.first_row = local * kTileRows;
  source.rows = std::min(kTileRows, plan.graph.weights[source.weight].rows - source.first_row);
  return source;
}

}  // namespace pumice
