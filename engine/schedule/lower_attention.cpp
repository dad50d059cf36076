// Rotation and the store into the cache, and attention over it.
#include <algorithm>

#include "engine/base/checked.h"
#include "engine/schedule/lowering.h"

namespace pumice {

static_assert(uint32_t(CacheType::F32) == PUMICE_CACHE_F32 &&
              uint32_t(CacheType::F16) == PUMICE_CACHE_F16 &&
              uint32_t(CacheType::Q8_0) == PUMICE_CACHE_Q8_0 &&
              uint32_t(CacheType::Q4_0) == PUMICE_CACHE_Q4_0);

namespace {

/// Where K and V lie, as both sides of the cache are told.
template <class Push>
void place_cache(Push& push, const graph::CacheLayer& layer, const CachePlan& cache,
                 const StepLayout& layout) {
  push.head_k = layer.head_k;
  push.head_v = layer.head_v;
  push.page_words = cache.page_words;
  push.v_at = cache.v_at;
  push.k_scales_at = cache.k_scales_at;
  push.v_scales_at = cache.v_scales_at;
  push.positions_at = layout.positions;
  push.sequences_at = layout.sequences;
  push.pages_at = layout.pages;
  push.page_stride = layout.page_stride;
}

}  // namespace

std::vector<uint32_t> Lowering::rope_constants(const graph::RopeStore& op,
                                               const graph::CacheLayer& layer) const {
  const CacheFormat& format = plan_.policy.cache;
  const bool in_row = format.rotate || format.k > CacheType::F16 || format.v > CacheType::F16;
  uint32_t pairs = 0;
  if (op.rope != kNone) pairs = graph_.ropes[op.rope].pairs == graph::RopePairs::Adjacent ? 1 : 2;
  return {uint32_t(format.k),
          uint32_t(format.v),
          op.q_norm != kNone ? 1u : 0u,
          op.k_norm != kNone ? 1u : 0u,
          pairs,
          format.rotate ? 1u : 0u,
          in_row ? std::max(layer.head_k, layer.head_v) : 4u,
          base_of(op.q) == base_of(op.k) && base_of(op.q) == base_of(op.v) ? 1u : 0u};
}

shared::RopePush Lowering::rope_push(const graph::RopeStore& op) const {
  const graph::CacheLayer& layer = graph_.layers[op.layer];
  const CachePlan& cache = plan_.caches[op.layer];
  const graph::RopeSpec* rope = op.rope == kNone ? nullptr : &graph_.ropes[op.rope];
  shared::RopePush push{};
  push.q_stride = stride_of(op.q);
  push.k_stride = stride_of(op.k);
  push.v_stride = stride_of(op.v);
  push.q_at = row_of(op.q);
  push.k_at = row_of(op.k);
  push.v_from = row_of(op.v);
  push.q_out_stride = stride_of(op.q_out);
  push.n_heads = op.n_heads;
  push.kv_heads = layer.kv_heads;
  place_cache(push, layer, cache, plan_.layout);
  push.n_rot = rope == nullptr ? 0 : rope->n_rot;
  push.table_stride = push.n_rot / 2;
  push.eps = op.norm_eps;
  return push;
}

Result<void> Lowering::lower_op(const graph::RopeStore& op) {
  if (store_from_here()) return {};  // by the matrices in front of it
  const graph::CacheLayer& layer = graph_.layers[op.layer];
  emit({"rope_store",
        rope_constants(op, layer),
        {slice(op.q), slice(op.k), slice(op.v), slice(op.q_out), plan_.caches[op.layer].slice,
         op.rope == kNone ? plan_.empty : plan_.ropes[op.rope], plan_.step, vector_slice(op.q_norm),
         vector_slice(op.k_norm)},
        push_words(rope_push(op)),
        {op.n_heads + 2 * layer.kv_heads, shape_.tokens, 1},
        {access(op.q, false), access(op.k, false), access(op.v, false), access(op.q_out, true),
         whole(kFirstCache + op.layer, true), whole(kStep, false)}});
  return {};
}

Result<void> Lowering::lower_op(const graph::Attention& op) {
  const graph::CacheLayer& layer = graph_.layers[op.layer];
  const CachePlan& cache = plan_.caches[op.layer];
  const bool split =
      plan_.policy.split_attention && shape_.tokens <= 8 && plan_.pages_per_sequence > 1;
  shared::AttentionPush push{};
  push.q_stride = stride_of(op.q);
  push.out_stride = stride_of(op.out);
  push.n_heads = op.n_heads;
  push.group = op.n_heads / layer.kv_heads;
  place_cache(push, layer, cache, plan_.layout);
  push.window = layer.window;
  push.splits = plan_.pages_per_sequence;
  push.columns = shape_.tokens;
  push.scale = op.scale;
  push.softcap = op.softcap;
  const CacheFormat& format = plan_.policy.cache;
  const uint32_t rotate = format.rotate ? 1 : 0;
  std::vector<uint32_t> constants{uint32_t(format.k), uint32_t(format.v), layer.head_k,
                                  layer.head_v, rotate};
  const uint32_t queries = attention_queries(
      plan_.policy, {shape_.tokens, shape_.outputs, std::max(layer.head_k, layer.head_v),
                     plan_.pages_per_sequence});
  constants.push_back(plan_.policy.lane ? queries : split ? 1 : 0);
  Feed feed = layer.head_v % 32 == 0 ? feed_from_here(op.out) : Feed{};
  if (feed.kind != FeedKind::Rows) feed = {};
  Call call{plan_.policy.lane ? "attention_lane.tex" : "attention_wide",
            constants,
            {slice(op.q), cache.slice, split ? plan_.partials : slice(op.out), plan_.step},
            {},
            {op.n_heads, div_up(shape_.tokens, queries), split ? plan_.pages_per_sequence : 1},
            {access(op.q, false), whole(kFirstCache + op.layer, false), whole(kStep, false)}};
  call.accesses.push_back(split ? whole(kPartials, true) : access(op.out, true));
  if (plan_.policy.lane) {
    const PreparedArea into = feed_area(feed, slice(op.out));
    call.constants.push_back(uint32_t(feed.kind));
    call.bindings.insert(call.bindings.end(), {into.units, into.scales});
  }
  if (feed) {
    push.feed_groups = stride_of(op.out) / 32;
    call.accesses.push_back(area_access(other_area(), true));
  }
  call.push = push_words(push);
  const uint32_t area = other_area();
  emit(std::move(call));
  take(feed, area);
  if (split)
    emit({"attention_merge",
          {rotate, rotate != 0 ? layer.head_v : 4},
          {plan_.partials, slice(op.out), plan_.step},
          push_words(push),
          {op.n_heads, shape_.tokens, 1},
          {whole(kPartials, false), access(op.out, true), whole(kStep, false)}},
         " merge");
  return {};
}

}  // namespace pumice
