// Which pipelines a device would need: the scheduler's own choices for synthetic models.
#include "engine/graph/fusions.h"
#include "engine/graph/taps.h"
#include "engine/model/architectures.h"
#include "engine/schedule/lower.h"
#include "tests/support/sized_model.h"
#include "tools/bench/isa.h"

namespace pumice::bench {
namespace {

/// With every precision of activations, then with every format of the cache.
struct ModelRow {
  const char* architecture;
  test::ModelSize size;
};

std::vector<ModelRow> model_rows() {
  std::vector<ModelRow> rows = {
      {"llama", {.head = 128, .type = QuantType::Q4_K}},
      {"llama", {.head = 128, .type = QuantType::Q4_K, .experts = 8}},
      {"llama", {.type = QuantType::Q8_0, .experts = 8}},
      {"qwen2", {.head = 128, .type = QuantType::Q6_K, .biases = true}},
      {"qwen3", {.head = 128, .type = QuantType::Q4_K}},
      {"gemma2", {.head = 256, .type = QuantType::Q4_K}},
      {"gemma3", {.head = 256, .type = QuantType::Q4_0}},
      {"phi3", {.embd = 768, .heads = 8, .head = 96, .type = QuantType::Q4_K}},
  };
  for (const WeightLayout& layout : weight_layouts())
    rows.push_back({"llama", {.type = layout.type}});
  return rows;
}

Result<graph::Graph> graph_of(const ModelRow& row) {
  PUMICE_TRY_ASSIGN(const auto file, test::sized_model(row.architecture, row.size).open());
  PUMICE_TRY_ASSIGN(graph::Graph unfused, model::build_graph(*file));
  return graph::fuse(std::move(unfused));
}

using Wanted = std::map<std::pair<std::string, std::vector<uint32_t>>, Dispatch>;

/// Those of steps of 1 to 64 tokens.
Result<void> add_steps(const ModelPlan& plan, Wanted& wanted) {
  for (const StepShape& shape : {StepShape{1, 1, Ending::Sample},
                                 {2, 2, Ending::Sample},
                                 {4, 4, Ending::Logits},
                                 {8, 8, Ending::Logits},
                                 {64, 1, Ending::Sample}}) {
    PUMICE_TRY_ASSIGN(const auto list, lower(plan, shape));
    for (const Dispatch& dispatch : list)
      wanted.try_emplace({dispatch.kernel, dispatch.constants}, dispatch);
  }
  return {};
}

/// Those of steps that gather statistics.
Result<void> add_gathering(const Capabilities& caps, const graph::Graph& graph, Wanted& wanted) {
  RunOptions options{.max_outputs = 8};
  options.taps.statistics = graph::Statistics::Gram;
  PUMICE_TRY_ASSIGN(graph::Graph with_taps, graph::add_taps(graph, options.taps));
  PUMICE_TRY_ASSIGN(const ModelPlan plan, plan_model(std::move(with_taps), caps, options));
  return add_steps(plan, wanted);
}

Result<void> add_model(const Capabilities& caps, const ModelRow& row, Wanted& wanted) {
  PUMICE_TRY_ASSIGN(const graph::Graph graph, graph_of(row));
  PUMICE_TRY(add_gathering(caps, graph, wanted));
  const CacheFormat formats[] = {CacheType::F16,
                                 CacheType::F32,
                                 CacheType::Q8_0,
                                 CacheType::Q4_0,
                                 {CacheType::Q8_0, CacheType::Q4_0},
                                 {CacheType::F16, CacheType::F16, true},
                                 {CacheType::Q4_0, CacheType::Q4_0, true}};
  for (const ActivationType activations :
       {ActivationType::F32, ActivationType::Q8, ActivationType::Auto})
    for (const CacheFormat& cache : formats) {
      if (activations != ActivationType::Auto && &cache != formats) continue;
      RunOptions options;
      options.activations = activations;
      options.cache = cache;
      options.max_outputs = 8;
      PUMICE_TRY_ASSIGN(const ModelPlan plan, plan_model(graph, caps, options));
      PUMICE_TRY(add_steps(plan, wanted));
    }
  return {};
}

}  // namespace

Result<std::vector<Dispatch>> picked_kernels(const Capabilities& caps) {
  Wanted wanted;
  for (const ModelRow& row : model_rows())
    if (auto added = add_model(caps, row, wanted); !added)
      return fail_in(row.architecture, std::move(added.error()));
  std::vector<Dispatch> list;
  for (auto& [key, dispatch] : wanted) list.push_back(std::move(dispatch));
  return list;
}

}  // namespace pumice::bench
