// Matrix products, and the dispatches that bring their input into the form they read.
#include "engine/base/checked.h"
#include "engine/schedule/lowering.h"

namespace pumice {

MatrixKernel Lowering::kernel_for(const graph::MatMul& op) const {
  const bool gate = op.gate != graph::Activation::None;
  const bool experts = op.experts_by != kNone;
  const DeviceMatrix& matrix = *plan_.find_matrix(op.weights, gate);
  const uint32_t columns = columns_of(op.x) * (experts ? op.n_used : 1);
  return choose_matrix_kernel(plan_.policy,
                              {matrix.type, matrix.tiles, matrix.groups, columns, gate, experts});
}

shared::PreparePush Lowering::prepare_push(ValueId x) const {
  shared::PreparePush push{};
  push.width = width_of(x);
  push.x_stride = stride_of(x);
  push.group = width_of(x);
  push.groups32 = stride_of(x) / 32;
  return push;
}

Result<void> Lowering::lower_op(const graph::RmsNorm& op) {
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
        {slice(op.x), vector_slice(op.weight), slice(op.out), work_area ? into.units : plan_.empty,
         work_area ? into.scales : plan_.empty},
        push_words(push),
        {width_of(op.x) / op.group, columns_of(op.x), 1},
        {access(op.x, false), work_area ? area_access(area, true) : access(op.out, true)}});
  if (work_area) prepared_ = {op.out, format, area, format == XFormat::Pairs ? &op : nullptr};
  return {};
}

void Lowering::prepare(ValueId x, XFormat format) {
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

Result<void> Lowering::lower_op(const graph::MatMul& op) {
  const bool gate = op.gate != graph::Activation::None;
  const bool experts = op.experts_by != kNone;
  const DeviceMatrix& matrix = *plan_.find_matrix(op.weights, gate);
  const uint32_t columns = columns_of(op.x) * (experts ? op.n_used : 1);
  const MatrixKernel kernel = kernel_for(op);
  prepare(op.x, kernel.x_format);

  const uint32_t rows =
      gate ? graph_.weights[op.weights.front()].rows : graph::rows_of(graph_, op.weights);
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

Lowering::Call Lowering::matrix_call(const graph::MatMul& op, const MatrixPart& part,
                                     const shared::MatPush& push, const MatrixKernel& kernel,
                                     const Feed& feed) const {
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

uint32_t Lowering::add_feed(Call& call, const Feed& feed, const MatrixKernel& kernel, bool gate,
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

std::optional<QkvStore> Lowering::store_from_here() const {
  if (!plan_.policy.lane || shape_.tokens != 1) return std::nullopt;
  return qkv_store_of(graph_, node_, plan_.policy.cache, format_of_);
}

void Lowering::store_qkv(Call& call, shared::MatPush push, const QkvStore& store) const {
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

PreparedArea Lowering::feed_area(const Feed& feed, const BufferSlice& out) const {
  return feed ? plan_.prepared[other_area()] : PreparedArea{out, out};
}

}  // namespace pumice
