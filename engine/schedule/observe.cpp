// One slice of sums and counts per tap, Gram blocks in as many bindings as they need.
#include "engine/schedule/observe.h"

#include <algorithm>

#include "engine/base/checked.h"
#include "engine/schedule/arena.h"

namespace pumice {
namespace {

using graph::kGramTile;
using graph::kNone;

static_assert(kGramTile == PUMICE_GRAM_TILE);

constexpr uint64_t kTileBytes = uint64_t{kGramTile} * kGramTile * sizeof(float);
constexpr uint32_t kMostTiles = 32768;  ///< workgroups along x that every device has
constexpr uint32_t kLaneColumns = 8;    ///< WIDE of kernel/observe_gram_lane.glsl

uint32_t list_stride(const ModelPlan& plan) {
  return align_up(PUMICE_LIST_HEAD + plan.max_columns, 4u);
}

BufferSlice slice_of(const ModelPlan& plan, graph::ValueId id) {
  const graph::ValuePlace& place = plan.placement.values[id];
  return {plan.scratch.buffer, place.offset, place.size};
}

void plan_gram(TapPlan& tap, uint32_t matrices, ArenaAllocator& arena, uint64_t binding_bytes) {
  const uint64_t all = uint64_t{tap.tiles} * matrices;
  const uint64_t most = std::min<uint64_t>(binding_bytes / kTileBytes, kMostTiles);
  for (uint64_t first = 0; first < all; first += most) {
    const uint64_t tiles = std::min(most, all - first);
    tap.gram.push_back({uint32_t(first), uint32_t(tiles), arena.take(tiles * kTileBytes)});
  }
}

}  // namespace

// Software drivers end an invocation's loops after 65535 turns, and the lists of experts are made
// by one invocation each.
void observe_options(const graph::Graph& graph, RunOptions& options) {
  constexpr uint32_t kMostTurns = 32768;
  options.activations = ActivationType::F32;
  options.cache = CacheType::F32;
  uint32_t slots = 1;
  for (const graph::Node& node : graph.nodes)
    if (const auto* op = std::get_if<graph::Observe>(&node.op)) slots = std::max(slots, op->n_used);
  while (options.max_chunk > 8 && uint64_t{options.max_chunk} * slots > kMostTurns)
    options.max_chunk /= 2;
}

Result<void> plan_taps(ModelPlan& plan, const Capabilities& caps) {
  if (plan.graph.taps.empty()) return {};
  // A step writes every word, the first one without reading it.
  ArenaAllocator arena(
      plan.buffers, plan.policy,
      {.name = "statistics", .domain = BufferDomain::Device, .fully_written = true});
  const uint64_t binding_bytes = std::min(caps.max_storage_range, plan.policy.arena_bytes);
  uint32_t experts = 0;
  for (const graph::Tap& tap : plan.graph.taps) {
    TapPlan place;
    place.quads = div_up(tap.width, 4u);
    place.sums = arena.take(uint64_t{place.quads} * 2 * 16 * tap.matrices);
    place.counts = arena.take(align_up<uint64_t>(uint64_t{tap.matrices} * 4, 16));
    if (place.sums.bytes > binding_bytes)
      return fail(ErrorCode::Unsupported,
                  "statistics of {}: {} bytes do not fit a binding of {} bytes on this device",
                  tap.tensors.front(), place.sums.bytes, binding_bytes);
    if (tap.gram) {
      const uint32_t blocks = div_up(tap.width, kGramTile);
      place.tiles = blocks * (blocks + 1) / 2;
      plan_gram(place, tap.matrices, arena, binding_bytes);
    }
    experts = std::max(experts, tap.matrices);
    plan.taps.push_back(std::move(place));
  }
  plan.expert_lists = arena.take(uint64_t{experts} * list_stride(plan) * 4);
  plan.memory.statistics = arena.total();
  return {};
}

shared::ObservePush observe_push(const ModelPlan& plan, const graph::Observe& op) {
  const graph::Tap& tap = plan.graph.taps[op.tap];
  shared::ObservePush push{};
  push.width = tap.width;
  push.x_stride = plan.placement.values[op.x].stride;
  push.x_slot_stride = op.x_per_slot ? tap.width : 0;
  push.n_used = std::max(op.n_used, 1u);
  push.matrices = tap.matrices;
  push.route_stride = op.experts_by == kNone ? 0 : plan.placement.values[op.experts_by].stride;
  push.list_stride = list_stride(plan);
  push.observed_at = plan.layout.observed;
  push.tiles = plan.taps[op.tap].tiles;
  return push;
}

std::vector<ObserveCall> observe_calls(const ModelPlan& plan, const graph::Observe& op) {
  const graph::Tap& tap = plan.graph.taps[op.tap];
  const TapPlan& place = plan.taps[op.tap];
  const bool experts = op.experts_by != kNone;
  const std::vector<uint32_t> constants{experts ? 1u : 0u};
  const BufferSlice x = slice_of(plan, op.x);
  const BufferSlice lists = experts ? plan.expert_lists : plan.empty;
  std::vector<ObserveCall> calls;
  calls.push_back({plan.policy.texel ? "observe_squares.tex" : "observe_squares",
                   constants,
                   {x, place.sums, plan.step, lists, place.counts},
                   observe_push(plan, op),
                   {div_up(place.quads, 64u), tap.matrices, 1},
                   " squares"});
  for (const GramPart& part : place.gram) {
    ObserveCall call{plan.policy.lane ? "observe_gram_lane.tex" : "observe_gram",
                     constants,
                     {x, part.slice, plan.step, lists},
                     observe_push(plan, op),
                     {part.tiles, 1, 1},
                     " gram"};
    call.push.first_tile = part.first_tile;
    if (plan.policy.lane) call.groups[1] = 2 * kGramTile / kLaneColumns;
    calls.push_back(std::move(call));
  }
  return calls;
}

}  // namespace pumice
