// What is known of a case beside its time: bytes, operations, kernels.
#include <algorithm>
#include <bit>
#include <map>

#include "bench_model.h"
#include "engine/base/checked.h"

namespace pumice::command {
namespace {

constexpr uint32_t kTimedTokens = 16;

/// "matvec_wide.q4_k.f32" to "matvec_wide.q4_k": what it does and with which weights.
std::string family_of(const std::string& kernel) {
  const size_t type = kernel.find('.');
  return kernel.substr(0, type == std::string::npos ? type : kernel.find('.', type + 1));
}

/// Operations of one column of a matrix multiplication, experts as far as they are used.
double flops_of(const graph::Graph& graph, const graph::MatMul& op) {
  double weights = 0;
  for (const graph::WeightId id : op.weights)
    weights += double(graph.weights[id].rows) * graph.weights[id].columns;
  return 2 * weights * (op.experts_by == graph::kNone ? 1 : op.n_used);
}

/// Bytes of one position in a layer's cache.
double position_bytes(const graph::CacheLayer& layer, const CacheFormat& format) {
  return layer.kv_heads / 8.0 *
         (cache_type_bits(format.k) * layer.head_k + cache_type_bits(format.v) * layer.head_v);
}

/// Positions that a layer looks at from `length` on its own included.
double seen(const graph::CacheLayer& layer, double length) {
  return layer.window == 0 ? length : std::min(length, double(layer.window));
}

}  // namespace

double CaseWork::flops_per_byte(const BenchCase& one) const {
  const double tokens = one.prompt != 0 ? one.prompt : one.sequences;
  const double bytes = double(weight_bytes + cache_bytes) * (one.prompt != 0 ? steps : 1);
  return bytes > 0 ? flops_per_token * tokens / bytes : 0;
}

CaseWork work_of(const Engine& engine, const BenchCase& one) {
  const ModelPlan& plan = engine.plan();
  const double length = one.depth + (std::max(one.prompt, one.generated) + 1) / 2.0;
  CaseWork work;
  work.weight_bytes = engine.weight_bytes_per_step();
  work.steps = std::max(div_up(one.prompt, std::bit_floor(plan.options.max_chunk)), 1u);
  double cache = 0;
  for (const graph::CacheLayer& layer : plan.graph.layers)
    cache += position_bytes(layer, plan.policy.cache) * seen(layer, length) * one.sequences;
  work.cache_bytes = uint64_t(cache);
  for (const graph::Node& node : plan.graph.nodes) {
    if (const auto* op = std::get_if<graph::MatMul>(&node.op)) {
      const bool last_only = one.prompt != 0 && plan.graph.values[op->out].per_output;
      work.flops_per_token += flops_of(plan.graph, *op) / (last_only ? one.prompt : 1);
    } else if (const auto* attention = std::get_if<graph::Attention>(&node.op)) {
      const graph::CacheLayer& layer = plan.graph.layers[attention->layer];
      work.flops_per_token +=
          2.0 * attention->n_heads * (layer.head_k + layer.head_v) * seen(layer, length);
    }
  }
  return work;
}

Result<KernelTimes> time_kernels(ModelBench& bench, const BenchCase& one) {
  BenchCase timed = one;
  timed.generated = std::min(timed.generated, kTimedTokens);
  PUMICE_TRY(bench.warm_up(timed));
  std::map<std::string, KernelTimes::Family> families;
  KernelTimes times;
  Engine& engine = bench.engine();
  bench.after_step = [&]() -> Result<void> {
    const StepShape shape = engine.last_shape();
    PUMICE_TRY_ASSIGN(const std::vector<Dispatch> list, lower(engine.plan(), shape));
    PUMICE_TRY_ASSIGN(const std::vector<vk::Timing> timings, engine.timings(shape));
    for (size_t i = 0; i < std::min(list.size(), timings.size()); ++i) {
      KernelTimes::Family& family = families[family_of(list[i].kernel)];
      family.microseconds += timings[i].microseconds;
      family.weight_bytes += list[i].weight_bytes;
      ++family.dispatches;
      times.microseconds += timings[i].microseconds;
    }
    ++times.steps;
    return {};
  };
  Result<BenchRun> ran = bench.run(timed);
  bench.after_step = nullptr;
  if (!ran) return tl::unexpected<Error>(std::move(ran.error()));
  for (auto& [name, family] : families) {
    family.name = name;
    times.families.push_back(std::move(family));
  }
  std::stable_sort(times.families.begin(), times.families.end(),
                   [](const auto& a, const auto& b) { return a.microseconds > b.microseconds; });
  return times;
}

}  // namespace pumice::command
