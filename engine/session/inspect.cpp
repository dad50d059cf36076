// The plan without the device.
#include "engine/session/inspect.h"

#include "engine/graph/fusions.h"
#include "engine/model/architectures.h"
#include "engine/schedule/model_plan.h"
#include "engine/vk/device.h"

namespace pumice {
namespace {

Result<ModelNeeds> needs_of(const graph::Graph& graph, const Capabilities& caps,
                            const RunOptions& options) {
  PUMICE_TRY_ASSIGN(const ModelPlan plan, plan_model(graph, caps, options));
  const MemoryPlan& memory = plan.memory;
  ModelNeeds needs;
  needs.context = plan.options.context;
  needs.weights = memory.weights + memory.vectors;
  needs.cache = memory.cache;
  needs.scratch = memory.scratch + memory.tables + memory.step + memory.statistics;
  needs.staging = caps.unified_memory ? 0 : vk::kStagingBytes;
  return needs;
}

Result<graph::Graph> graph_of(const GgufFile& file, const RunOptions& options) {
  PUMICE_TRY_ASSIGN(graph::Graph graph, model::build_graph(file, {options.context}));
  return graph::fuse(std::move(graph));
}

/// A device with everything that costs memory: copies through staging, 16-bit tiles, split
/// attention, wide alignment.
Capabilities generous_gpu() {
  Capabilities caps;
  caps.device_name = "any device";
  caps.subgroup_size = caps.min_subgroup_size = caps.max_subgroup_size = 32;
  caps.subgroup_basic = caps.subgroup_shuffle = true;
  caps.fp16 = caps.storage16 = caps.int8 = caps.dot8 = true;
  caps.max_workgroup_invocations = 1024;
  caps.max_workgroup_size = {1024, 1024, 64};
  caps.max_workgroup_count = {65535, 65535, 65535};
  caps.max_storage_range = UINT32_MAX;
  caps.max_texel_elements = uint64_t{1} << 27;
  caps.max_allocation = uint64_t{4} << 30;
  return caps;
}

/// A software driver with kernels of a row per lane: the other layout of weights.
Capabilities generous_cpu() {
  Capabilities caps = generous_gpu();
  caps.subgroup_size = caps.min_subgroup_size = caps.max_subgroup_size = 8;
  caps.is_cpu = true;
  return caps;
}

}  // namespace

Result<ModelNeeds> inspect_model(const GgufFile& file, const Capabilities& caps,
                                 const RunOptions& options) {
  PUMICE_TRY_ASSIGN(const graph::Graph graph, graph_of(file, options));
  return needs_of(graph, caps, options);
}

Result<ModelNeeds> inspect_model(const GgufFile& file, const RunOptions& options) {
  PUMICE_TRY_ASSIGN(const graph::Graph graph, graph_of(file, options));
  PUMICE_TRY_ASSIGN(ModelNeeds most, needs_of(graph, generous_gpu(), options));
  const auto other = needs_of(graph, generous_cpu(), options);
  if (other && other->total() > most.total()) most = *other;
  return most;
}

}  // namespace pumice
