// Statistics of what matrices multiply: where the sums lie and which dispatches add to them.
#pragma once

#include <array>
#include <string>
#include <vector>

#include "engine/schedule/model_plan.h"
#include "shaders/shared/push.h"

namespace pumice {

/// What a plan of a tapped graph sets: f32 activations and cache, and steps short enough for the
/// kernels' loops.
void observe_options(const graph::Graph& graph, RunOptions& options);

/// Fills taps, expert_lists and memory.statistics; nothing for a graph without taps.
[[nodiscard]] Result<void> plan_taps(ModelPlan& plan, const Capabilities& caps);

struct ObserveCall {
  std::string kernel;
  std::vector<uint32_t> constants;
  std::vector<BufferSlice> bindings;
  shared::ObservePush push;
  std::array<uint32_t, 3> groups;
  const char* part;  ///< of the label
};

[[nodiscard]] shared::ObservePush observe_push(const ModelPlan& plan, const graph::Observe& op);

/// The dispatches that add a step's columns to the sums, in any order, after the experts' lists are
/// written.
[[nodiscard]] std::vector<ObserveCall> observe_calls(const ModelPlan& plan,
                                                     const graph::Observe& op);

}  // namespace pumice
