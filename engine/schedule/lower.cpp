// One dispatch or a few per graph node: bindings, push constants, group counts, barriers.
#include "engine/schedule/lower.h"

#include <algorithm>
#include <bit>

#include "engine/base/checked.h"
#include "engine/graph/selection.h"
#include "engine/schedule/lowering.h"
#include "engine/schedule/observe.h"

namespace pumice {

Result<std::vector<Dispatch>> Lowering::run() {
  for (node_ = 0; node_ < graph_.nodes.size(); ++node_) {
    const graph::Node& node = graph_.nodes[node_];
    if (shape_.ending == Ending::None && is_per_output(node)) continue;
    label_ = node.label;
    PUMICE_TRY(std::visit([this](const auto& op) { return lower_op(op); }, node.op));
  }
  finish();
  return std::move(list_);
}

void Lowering::emit(Call call, const char* part) {
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
    if (access.write && access.space == kScratch && access.base == prepared_.value) prepared_ = {};
}

std::string Lowering::texel(const char* kernel) const {
  return std::string(kernel) + (plan_.policy.texel ? ".tex" : "");
}

Result<void> Lowering::lower_op(const graph::Embed& op) {
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

Result<void> Lowering::columns(uint32_t op, ValueId a, ValueId b, ValueId out, float scale,
                               uint32_t at) {
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

Result<void> Lowering::lower_op(const graph::Glu& op) {
  return columns(op.activation == graph::Activation::Silu ? 1 : 2, op.gate, op.up, op.out);
}

Result<void> Lowering::lower_op(const graph::Add& op) {
  return columns(0, op.a, op.b, op.out);
}

Result<void> Lowering::lower_op(const graph::Softcap& op) {
  return columns(3, op.x, kNone, op.out, op.cap);
}

Result<void> Lowering::lower_op(const graph::SelectOutputs& op) {
  return columns(4, op.x, kNone, op.out, 1.0f, plan_.layout.outputs);
}

Result<void> Lowering::lower_op(const graph::Route& op) {
  shared::RoutePush push{op.n_experts,           op.n_used, stride_of(op.logits), stride_of(op.out),
                         op.normalise ? 1u : 0u, op.scale};
  emit({"route",
        {},
        {slice(op.logits), slice(op.out)},
        push_words(push),
        {columns_of(op.logits), 1, 1},
        {access(op.logits, false), access(op.out, true)}});
  return {};
}

Result<void> Lowering::lower_op(const graph::Combine& op) {
  const bool residual = op.residual != kNone;
  shared::CombinePush push{width_of(op.out),
                           op.n_used,
                           stride_of(op.x),
                           stride_of(op.route),
                           residual ? stride_of(op.residual) : 0,
                           stride_of(op.out)};
  std::vector<Access> accesses{access(op.x, false), access(op.route, false), access(op.out, true)};
  if (residual) accesses.push_back(access(op.residual, false));
  emit({"combine",
        {residual ? 1u : 0u},
        {slice(op.x), slice(op.route), residual ? slice(op.residual) : plan_.empty, slice(op.out)},
        push_words(push),
        {div_up(push.width, 64u), columns_of(op.out), 1},
        accesses});
  return {};
}

Result<void> Lowering::lower_op(const graph::Observe& op) {
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

void Lowering::finish() {
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
