// One dispatch or a few per graph node: bindings, push constants, group counts, barriers.
#include "engine/schedule/lower.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstring>

#include "engine/base/checked.h"
#include "engine/graph/selection.h"
#include "engine/schedule/feed.h"
#include "engine/schedule/hazards.h"
#include "engine/schedule/observe.h"
#include "engine/schedule/qkv_store.h"
#include "shaders/shared/push.h"

namespace pumice {
namespace {

using graph::kNone;
using graph::ValueId;
using graph::WeightId;

static_assert(uint32_t(CacheType::F32) == PUMICE_CACHE_F32 &&
              uint32_t(CacheType::F16) == PUMICE_CACHE_F16 &&
              uint32_t(CacheType::Q8_0) == PUMICE_CACHE_Q8_0 &&
              uint32_t(CacheType::Q4_0) == PUMICE_CACHE_Q4_0);

enum Space : uint32_t {
  kScratch,
  kPrepared,
  kPreparedOther,
  kPartials,
  kStep,
  kResult,
  kHostLogits,
  kExpertLists,
  kFirstCache
};

template <class Push>
std::vector<uint32_t> push_words(const Push& push) {
  static_assert(sizeof(Push) % 4 == 0);
  std::vector<uint32_t> words(sizeof(Push) / 4);
  std::memcpy(words.data(), &push, sizeof(Push));
  return words;
}

class Lowering {
 public:
  Lowering(const ModelPlan& plan, const graph::Graph& graph, const StepShape& shape)
      : plan_(plan),
        graph_(graph),
        shape_(shape),
        format_of_([this](const graph::MatMul& op) { return kernel_for(op).x_format; }) {}

  Result<std::vector<Dispatch>> run() {
    for (node_ = 0; node_ < graph_.nodes.size(); ++node_) {
      const graph::Node& node = graph_.nodes[node_];
      if (shape_.ending == Ending::None && is_per_output(node)) continue;
      label_ = node.label;
      PUMICE_TRY(std::visit([this](const auto& op) { return lower_op(op); }, node.op));
    }
    finish();
    return std::move(list_);
  }

 private:
  // ---- values

  [[nodiscard]] bool is_per_output(const graph::Node& node) const {
    const std::vector<ValueId> written = graph::outputs(node);
    return !written.empty() && graph_.values[written.front()].per_output;
  }
  [[nodiscard]] ValueId base_of(ValueId id) const {
    const ValueId base = graph_.values[id].base;
    return base == kNone ? id : base;
  }
  [[nodiscard]] uint32_t row_of(ValueId id) const {
    return graph_.values[id].base == kNone ? 0 : graph_.values[id].offset;
  }
  [[nodiscard]] uint32_t stride_of(ValueId id) const {
    return plan_.placement.values[base_of(id)].stride;
  }
  [[nodiscard]] uint32_t width_of(ValueId id) const { return graph_.values[id].width; }
  [[nodiscard]] uint32_t columns_of(ValueId id) const {
    return graph_.values[id].per_output ? shape_.outputs : shape_.tokens;
  }
  /// The storage of a value (of its base for a view), all columns.
  [[nodiscard]] BufferSlice slice(ValueId id) const {
    const graph::ValuePlace& place = plan_.placement.values[base_of(id)];
    return {plan_.scratch.buffer, place.offset, place.size};
  }
  [[nodiscard]] Access access(ValueId id, bool write) const {
    const BufferSlice where = slice(id);
    return {kScratch,    where.offset, where.offset + where.bytes,
            base_of(id), row_of(id),   row_of(id) + width_of(id),
            write};
  }
  static Access whole(uint32_t space, bool write) {
    return {space, 0, UINT64_MAX, UINT32_MAX, 0, UINT32_MAX, write};
  }

  [[nodiscard]] BufferSlice vector_slice(WeightId id) const {
    return id == kNone ? plan_.empty : plan_.find_vector({id})->slice;
  }

  // ---- emission

  struct Call {
    std::string kernel;
    std::vector<uint32_t> constants;
    std::vector<BufferSlice> bindings;
    std::vector<uint32_t> push;
    std::array<uint32_t, 3> groups{1, 1, 1};
    std::vector<Access> accesses;
    uint64_t weight_bytes = 0;
  };

  void emit(Call call, const char* part = "") {
    Dispatch dispatch;
    dispatch.kernel = std::move(call.kernel);
    dispatch.constants = std::move(call.constants);
    dispatch.bindings = std::move(call.bindings);
    dispatch.push = std::move(call.push);
    dispatch.groups = call.groups;
    dispatch.barrier = hazards_.needs_barrier(call.accesses);
    dispatch.label = label_ + part;
    dispatch.weight_bytes = call.weight_bytes;
    list_.push_back(std::move(dispatch));
    for (const Access& access : call.accesses)
      if (access.write && access.space == kScratch && access.base == prepared_.value)
        prepared_ = {};
  }

  [[nodiscard]] std::string texel(const char* kernel) const {
    return std::string(kernel) + (plan_.policy.texel ? ".tex" : "");
  }

  // ---- ops

  Result<void> lower_op(const graph::Embed& op) {
    const DeviceMatrix& matrix = *plan_.find_matrix({op.weight}, false);
    const uint32_t rows = graph_.weights[op.weight].rows;
    for (const MatrixPart& part : matrix.parts) {
      const uint32_t first_row = part.first_tile * kTileRows;
      shared::EmbedPush push{};
      push.groups = matrix.groups;
      push.first_row = first_row;
      push.rows = std::min(rows - first_row, part.tiles * kTileRows);
      push.y_stride = stride_of(op.out);
      push.tokens_at = plan_.layout.tokens;
      push.scale = op.scale;
      emit({texel(("embed." + std::string(info(matrix.type).name)).c_str()),
            {},
            {part.slice, plan_.step, slice(op.out)},
            push_words(push),
            {div_up(matrix.groups, 32u), shape_.tokens, 1},
            {whole(kStep, false), access(op.out, true)}});
    }
    return {};
  }

  [[nodiscard]] MatrixKernel kernel_for(const graph::MatMul& op) const {
    const bool gate = op.gate != graph::Activation::None;
    const bool experts = op.experts_by != kNone;
    const DeviceMatrix& matrix = *plan_.find_matrix(op.weights, gate);
    const uint32_t columns = columns_of(op.x) * (experts ? op.n_used : 1);
    return choose_matrix_kernel(plan_.policy,
                                {matrix.type, matrix.tiles, matrix.groups, columns, gate, experts});
  }

  // ---- activations in the form that matrix kernels read

  /// The value that lies in a work area, if any.
  struct Prepared {
    ValueId value = kNone;
    XFormat format = XFormat::F32;
    uint32_t area = 0;
    const graph::RmsNorm* norm = nullptr;  ///< whose division by the RMS is left to the reader
  };
  static Access area_access(uint32_t area, bool write) { return whole(kPrepared + area, write); }
  [[nodiscard]] uint32_t other_area() const { return plan_.policy.lane ? 1 - prepared_.area : 0; }

  [[nodiscard]] XFormat format_for_readers(ValueId id) const {
    return common_format(graph_, id, format_of_);
  }
  [[nodiscard]] Feed feed_from_here(ValueId out) const {
    return plan_.policy.lane ? feed_of(graph_, node_, out, format_of_) : Feed{};
  }
  void take(const Feed& feed, uint32_t area) {
    if (feed) prepared_ = {feed.value, XFormat::Pairs, area, feed.norm};
  }

  shared::PreparePush prepare_push(ValueId x) const {
    shared::PreparePush push{};
    push.width = width_of(x);
    push.x_stride = stride_of(x);
    push.group = width_of(x);
    push.groups32 = stride_of(x) / 32;
    return push;
  }

  Result<void> lower_op(const graph::RmsNorm& op) {
    if (prepared_.value == op.out) return {};  // by who wrote x
    shared::PreparePush push = prepare_push(op.x);
    push.group = op.group;
    push.eps = op.eps;
    push.y_stride = stride_of(op.out);
    const XFormat format = op.group == width_of(op.x) ? format_for_readers(op.out) : XFormat::F32;
    const bool work_area = format != XFormat::F32;
    const uint32_t area = other_area();
    const PreparedArea& into = plan_.prepared[area];
    emit({texel("prepare"),
          {1, uint32_t(format)},
          {slice(op.x), vector_slice(op.weight), slice(op.out),
           work_area ? into.units : plan_.empty, work_area ? into.scales : plan_.empty},
          push_words(push),
          {width_of(op.x) / op.group, columns_of(op.x), 1},
          {access(op.x, false), work_area ? area_access(area, true) : access(op.out, true)}});
    if (work_area) prepared_ = {op.out, format, area, format == XFormat::Pairs ? &op : nullptr};
    return {};
  }

  /// Brings x into the work area in the form a kernel reads, unless it is there already.
  void prepare(ValueId x, XFormat format) {
    if (format == XFormat::F32 || (prepared_.value == x && prepared_.format == format)) return;
    const uint32_t area = other_area();
    emit({texel("prepare"),
          {0, uint32_t(format)},
          {slice(x), plan_.empty, plan_.empty, plan_.prepared[area].units,
           plan_.prepared[area].scales},
          push_words(prepare_push(x)),
          {1, columns_of(x), 1},
          {access(x, false), area_access(area, true)}},
         format == XFormat::Half ? " to binary16" : " quantise");
    prepared_ = {x, format, area, nullptr};
  }

  Result<void> lower_op(const graph::MatMul& op) {
    const bool gate = op.gate != graph::Activation::None;
    const bool experts = op.experts_by != kNone;
    const DeviceMatrix& matrix = *plan_.find_matrix(op.weights, gate);
    const uint32_t columns = columns_of(op.x) * (experts ? op.n_used : 1);
    const MatrixKernel kernel = kernel_for(op);
    prepare(op.x, kernel.x_format);

    const uint32_t rows = gate ? graph_.weights[op.weights.front()].rows : matrix_rows(op.weights);
    // Four runs of a row must stay below the 65,535 turns after which lavapipe leaves loops.
    constexpr uint32_t kMaxGroups = 7'000;
    const bool whole_matrix =
        matrix.parts.size() == 1 && !experts && rows % 32 == 0 && matrix.groups <= kMaxGroups;
    const Feed feed =
        kernel.x_format == XFormat::Pairs && whole_matrix ? feed_from_here(op.out) : Feed{};
    const std::optional<QkvStore> store = store_from_here();
    const graph::RmsNorm* norm = kernel.x_format == XFormat::F32 ? nullptr : prepared_.norm;
    const uint32_t area = other_area();
    for (const MatrixPart& part : matrix.parts) {
      shared::MatPush push{};
      push.groups = matrix.groups;
      push.tiles = experts ? matrix.tiles : part.tiles;
      push.first_row = part.first_tile * kTileRows / (gate ? 2 : 1);
      push.rows = rows;
      push.columns = columns;
      push.x_stride = stride_of(op.x);
      push.y_stride = stride_of(op.out);
      push.y_at = row_of(op.out);
      push.residual_stride = op.residual == kNone ? 0 : stride_of(op.residual);
      push.expert_tiles = matrix.tiles;
      push.n_used = std::max(op.n_used, 1u);
      push.x_per_slot = op.x_per_slot ? 1 : 0;
      push.route_stride = experts ? stride_of(op.experts_by) : 0;
      push.x_slot_stride = matrix.columns;
      push.y_slot_stride = rows;
      if (norm != nullptr) {
        push.x_width = norm->group;
        push.x_eps = norm->eps;
      }
      if (feed) push.feed_groups = stride_of(feed.value) / 32;
      Call call = matrix_call(op, part, push, kernel, feed);
      if (store) store_qkv(call, push, *store);
      emit(std::move(call));
    }
    take(feed, area);
    return {};
  }

  [[nodiscard]] uint32_t matrix_rows(const std::vector<WeightId>& weights) const {
    uint32_t rows = 0;
    for (const WeightId id : weights) rows += graph_.weights[id].rows;
    return rows;
  }

  Call matrix_call(const graph::MatMul& op, const MatrixPart& part, const shared::MatPush& push,
                   const MatrixKernel& kernel, const Feed& feed) const {
    const bool prepared = kernel.x_format != XFormat::F32;
    const PreparedArea& x_area = plan_.prepared[prepared_.area];
    const DeviceVector* bias = op.biases.empty() ? nullptr : plan_.find_vector(op.biases);
    Call call;
    call.kernel = kernel.module;
    call.constants = {bias != nullptr ? 1u : 0u, op.residual != kNone ? 1u : 0u, uint32_t(op.gate),
                      op.experts_by != kNone ? graph_.weights[op.weights.front()].experts : 0};
    if (!kernel.tiled) call.constants.insert(call.constants.end(), {kernel.cols, kernel.tiles});
    call.bindings = {part.slice,
                     prepared ? x_area.units : slice(op.x),
                     slice(op.out),
                     bias != nullptr ? bias->slice : plan_.empty,
                     op.residual != kNone ? slice(op.residual) : plan_.empty,
                     op.experts_by != kNone ? slice(op.experts_by) : plan_.empty};
    if (prepared) call.bindings.push_back(x_area.scales);
    call.push = push_words(push);
    uint32_t runs = 1;
    if (kernel.x_format == XFormat::Pairs)
      runs = add_feed(call, feed, kernel, op.gate != graph::Activation::None, push.x_width != 0);
    call.groups = kernel.tiled ? std::array{div_up(push.tiles, 8u), div_up(push.columns, 64u), 1u}
                               : std::array{div_up(push.tiles, kernel.tiles * runs),
                                            div_up(push.columns, kernel.cols), 1u};
    call.accesses.push_back(prepared ? area_access(prepared_.area, false) : access(op.x, false));
    call.accesses.push_back(access(op.out, true));
    for (const ValueId id : {op.residual, op.experts_by})
      if (id != kNone) call.accesses.push_back(access(id, false));
    const uint64_t read = op.experts_by == kNone ? part.tiles : uint64_t{push.tiles} * op.n_used;
    call.weight_bytes = read * (part.slice.bytes / part.tiles);
    return call;
  }

  /// What an int8 lane kernel has beyond the others; returns the groups of tiles of a workgroup.
  uint32_t add_feed(Call& call, const Feed& feed, const MatrixKernel& kernel, bool gate,
                    bool x_norm) const {
    const uint32_t runs = feed ? 32 / kTileRows / (kernel.tiles / (gate ? 2 : 1)) : 1;
    call.constants.insert(call.constants.end(), {runs, x_norm ? 1u : 0u, uint32_t(feed.kind)});
    const PreparedArea into = feed_area(feed, call.bindings[2]);
    call.bindings.insert(call.bindings.end(),
                         {into.units, into.scales,
                          feed.norm != nullptr ? vector_slice(feed.norm->weight) : plan_.empty});
    if (feed) call.accesses.push_back(area_access(other_area(), true));
    return runs;
  }

  [[nodiscard]] std::optional<QkvStore> store_from_here() const {
    if (!plan_.policy.lane || shape_.tokens != 1) return std::nullopt;
    return qkv_store_of(graph_, node_, plan_.policy.cache, format_of_);
  }

  /// Turns the call of a matrix that makes rows of q, k and v into one that stores them as such.
  void store_qkv(Call& call, shared::MatPush push, const QkvStore& store) const {
    const graph::RopeStore& op = *store.op;
    const shared::RopePush rope = rope_push(op);
    push.y_at = row_of(op.q_out);
    push.y_stride = rope.q_out_stride;
    push.q_rows = store.q_rows;
    push.k_rows = store.k_rows;
    push.n_rot = rope.n_rot;
    push.page_words = rope.page_words;
    push.v_at = rope.v_at;
    push.positions_at = rope.positions_at;
    push.sequences_at = rope.sequences_at;
    push.pages_at = rope.pages_at;
    push.page_stride = rope.page_stride;
    call.push = push_words(push);
    const CacheFormat& format = plan_.policy.cache;
    call.constants.insert(call.constants.end(), {1 + uint32_t(format.k) + 2 * uint32_t(format.v),
                                                 rope.head_k, rope.head_v});
    call.bindings[2] = slice(op.q_out);
    call.bindings[5] = plan_.step;
    call.bindings[7] = plan_.caches[op.layer].slice;
    call.bindings[8] = slice(op.q_out);
    if (op.rope != kNone) call.bindings[9] = plan_.ropes[op.rope];
    call.accesses = {area_access(prepared_.area, false), access(op.q_out, true),
                     whole(kFirstCache + op.layer, true), whole(kStep, false)};
  }

  /// What a kernel binds for its feed. Without one it binds what it writes anyway: the bindings are
  /// declared as written, and barriers are judged by what is declared.
  [[nodiscard]] PreparedArea feed_area(const Feed& feed, const BufferSlice& out) const {
    return feed ? plan_.prepared[other_area()] : PreparedArea{out, out};
  }

  [[nodiscard]] std::vector<uint32_t> rope_constants(const graph::RopeStore& op,
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

  [[nodiscard]] shared::RopePush rope_push(const graph::RopeStore& op) const {
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
    push.head_k = layer.head_k;
    push.head_v = layer.head_v;
    push.n_rot = rope == nullptr ? 0 : rope->n_rot;
    push.table_stride = push.n_rot / 2;
    push.page_words = cache.page_words;
    push.v_at = cache.v_at;
    push.k_scales_at = cache.k_scales_at;
    push.v_scales_at = cache.v_scales_at;
    push.positions_at = plan_.layout.positions;
    push.sequences_at = plan_.layout.sequences;
    push.pages_at = plan_.layout.pages;
    push.page_stride = plan_.layout.page_stride;
    push.eps = op.norm_eps;
    return push;
  }

  Result<void> lower_op(const graph::RopeStore& op) {
    if (store_from_here()) return {};  // by the matrices in front of it
    const graph::CacheLayer& layer = graph_.layers[op.layer];
    emit({"rope_store",
          rope_constants(op, layer),
          {slice(op.q), slice(op.k), slice(op.v), slice(op.q_out), plan_.caches[op.layer].slice,
           op.rope == kNone ? plan_.empty : plan_.ropes[op.rope], plan_.step,
           vector_slice(op.q_norm), vector_slice(op.k_norm)},
          push_words(rope_push(op)),
          {op.n_heads + 2 * layer.kv_heads, shape_.tokens, 1},
          {access(op.q, false), access(op.k, false), access(op.v, false), access(op.q_out, true),
           whole(kFirstCache + op.layer, true), whole(kStep, false)}});
    return {};
  }

  Result<void> lower_op(const graph::Attention& op) {
    const graph::CacheLayer& layer = graph_.layers[op.layer];
    const CachePlan& cache = plan_.caches[op.layer];
    const bool split =
        plan_.policy.split_attention && shape_.tokens <= 8 && plan_.pages_per_sequence > 1;
    shared::AttentionPush push{};
    push.q_stride = stride_of(op.q);
    push.out_stride = stride_of(op.out);
    push.n_heads = op.n_heads;
    push.group = op.n_heads / layer.kv_heads;
    push.head_k = layer.head_k;
    push.head_v = layer.head_v;
    push.page_words = cache.page_words;
    push.v_at = cache.v_at;
    push.k_scales_at = cache.k_scales_at;
    push.v_scales_at = cache.v_scales_at;
    push.positions_at = plan_.layout.positions;
    push.sequences_at = plan_.layout.sequences;
    push.pages_at = plan_.layout.pages;
    push.page_stride = plan_.layout.page_stride;
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

  // ---- element-wise ops

  Result<void> columns(uint32_t op, ValueId a, ValueId b, ValueId out, float scale = 1.0f,
                       uint32_t at = 0) {
    shared::ColumnPush push{};
    push.width = width_of(out);
    push.a_stride = stride_of(a);
    push.b_stride = b == kNone ? 0 : stride_of(b);
    push.y_stride = stride_of(out);
    push.a_at = row_of(a);
    push.b_at = b == kNone ? 0 : row_of(b);
    push.scale = scale;
    push.at = at;
    std::vector<Access> accesses{access(a, false), access(out, true), whole(kStep, false)};
    if (b != kNone) accesses.push_back(access(b, false));
    emit({"columns",
          {op},
          {slice(a), b == kNone ? plan_.empty : slice(b), slice(out), plan_.step},
          push_words(push),
          {div_up(push.width, 64u), columns_of(out), 1},
          accesses});
    return {};
  }
  Result<void> lower_op(const graph::Glu& op) {
    return columns(op.activation == graph::Activation::Silu ? 1 : 2, op.gate, op.up, op.out);
  }
  Result<void> lower_op(const graph::Add& op) { return columns(0, op.a, op.b, op.out); }
  Result<void> lower_op(const graph::Softcap& op) {
    return columns(3, op.x, kNone, op.out, op.cap);
  }
  Result<void> lower_op(const graph::SelectOutputs& op) {
    return columns(4, op.x, kNone, op.out, 1.0f, plan_.layout.outputs);
  }

  Result<void> lower_op(const graph::Route& op) {
    shared::RoutePush push{op.n_experts,           op.n_used,
                           stride_of(op.logits),   stride_of(op.out),
                           op.normalise ? 1u : 0u, op.scale};
    emit({"route",
          {},
          {slice(op.logits), slice(op.out)},
          push_words(push),
          {columns_of(op.logits), 1, 1},
          {access(op.logits, false), access(op.out, true)}});
    return {};
  }

  Result<void> lower_op(const graph::Combine& op) {
    const bool residual = op.residual != kNone;
    shared::CombinePush push{width_of(op.out),
                             op.n_used,
                             stride_of(op.x),
                             stride_of(op.route),
                             residual ? stride_of(op.residual) : 0,
                             stride_of(op.out)};
    std::vector<Access> accesses{access(op.x, false), access(op.route, false),
                                 access(op.out, true)};
    if (residual) accesses.push_back(access(op.residual, false));
    emit(
        {"combine",
         {residual ? 1u : 0u},
         {slice(op.x), slice(op.route), residual ? slice(op.residual) : plan_.empty, slice(op.out)},
         push_words(push),
         {div_up(push.width, 64u), columns_of(op.out), 1},
         accesses});
    return {};
  }

  /// Each writes sums of its own, which nothing else of a step touches.
  Result<void> lower_op(const graph::Observe& op) {
    std::vector<Access> accesses{access(op.x, false), whole(kStep, false)};
    if (op.experts_by != kNone) {
      accesses.push_back(access(op.experts_by, false));
      emit({.kernel = "observe_route",
            .bindings = {slice(op.experts_by), plan_.expert_lists, plan_.step},
            .push = push_words(observe_push(plan_, op)),
            .groups = {div_up(graph_.taps[op.tap].matrices, 32u), 1, 1},
            .accesses = {access(op.experts_by, false), whole(kStep, false),
                         whole(kExpertLists, true)}},
           " route");
      accesses.push_back(whole(kExpertLists, false));
    }
    for (const ObserveCall& call : observe_calls(plan_, op))
      emit({.kernel = call.kernel,
            .constants = call.constants,
            .bindings = call.bindings,
            .push = push_words(call.push),
            .groups = call.groups,
            .accesses = accesses},
           call.part);
    return {};
  }

  // ---- the end of a step

  void finish() {
    if (shape_.ending == Ending::None) return;
    const ValueId logits = graph_.logits;
    shared::SamplePush push{};
    push.n_vocab = graph_.n_vocab;
    push.logits_stride = stride_of(logits);
    push.settings_at = plan_.layout.settings;
    push.history_at = plan_.layout.history;
    push.history_stride = PUMICE_HISTORY;
    push.tokens_at = plan_.layout.tokens;
    push.positions_at = plan_.layout.positions;
    push.bias_words = graph_.n_vocab;
    push.advance = shape_.advance ? 1 : 0;
    label_ = "check logits";
    const bool sample = shape_.ending == Ending::Sample;
    emit({texel("check_logits"),
          {sample ? 1u : 0u},
          {slice(logits), plan_.result, slice(logits), plan_.step},
          push_words(push),
          {shape_.outputs, 1, 1},
          {access(logits, true), whole(kResult, true), whole(kStep, false)}});
    if (sample) {
      label_ = "sample";
      emit({texel("sample"),
            {},
            {slice(logits), plan_.result, plan_.step, plan_.logit_bias},
            push_words(push),
            {shape_.outputs, 1, 1},
            {access(logits, false), whole(kResult, true), whole(kStep, true)}});
      return;
    }
    label_ = "copy logits";
    shared::ColumnPush copy{};
    copy.width = width_of(logits);
    copy.a_stride = copy.y_stride = stride_of(logits);
    emit({"columns",
          {5},
          {slice(logits), plan_.empty, plan_.logits_host, plan_.step},
          push_words(copy),
          {div_up(copy.width, 64u), shape_.outputs, 1},
          {access(logits, false), whole(kHostLogits, true)}});
  }

  const ModelPlan& plan_;
  const graph::Graph& graph_;
  StepShape shape_;
  XFormatOf format_of_;
  std::vector<Dispatch> list_;
  HazardTracker hazards_;
  std::string label_;
  size_t node_ = 0;  ///< being lowered
  Prepared prepared_;
};

}  // namespace

Result<std::vector<Dispatch>> lower(const ModelPlan& plan, const StepShape& shape) {
  if (shape.tokens == 0 || shape.tokens > plan.max_columns || !std::has_single_bit(shape.tokens))
    return fail(ErrorCode::BadArgument, "a step of {} columns; the plan has {}", shape.tokens,
                plan.max_columns);
  if (shape.ending != Ending::None && shape.outputs > plan.max_output_columns)
    return fail(ErrorCode::BadArgument, "{} logits rows; the plan has {}", shape.outputs,
                plan.max_output_columns);
  if (shape.tokens != 1 || shape.outputs != 1 || shape.ending == Ending::None)
    return Lowering(plan, plan.graph, shape).run();
  graph::Graph graph = plan.graph;  // all columns have an output: there is nothing to select
  graph::remove_selection(graph);
  return Lowering(plan, graph, shape).run();
}

}  // namespace pumice
