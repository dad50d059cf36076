// Plans of synthetic models on invented devices.
#pragma once

#include <gtest/gtest.h>

#include "engine/graph/fusions.h"
#include "engine/graph/taps.h"
#include "engine/model/architectures.h"
#include "engine/schedule/lower.h"
#include "tests/support/sized_model.h"
#include "tests/unit/schedule/devices.h"

namespace pumice::test {

inline Result<ModelPlan> plan_of(const SyntheticModel& model, const Capabilities& caps,
                                 const RunOptions& options = {}) {
  PUMICE_TRY_ASSIGN(const auto file, model.open());
  PUMICE_TRY_ASSIGN(graph::Graph unfused, model::build_graph(*file, {options.context}));
  PUMICE_TRY_ASSIGN(graph::Graph graph,
                    graph::add_taps(graph::fuse(std::move(unfused)), options.taps));
  return plan_model(std::move(graph), caps, options);
}

/// Every architecture, dense and with experts, with and without biases.
inline std::vector<SyntheticModel> models() {
  std::vector<SyntheticModel> all;
  for (const char* arch : {"llama", "qwen2", "qwen3", "gemma2", "gemma3", "phi3"})
    all.push_back(sized_model(arch, {.type = QuantType::Q4_K}));
  all.push_back(sized_model("qwen2", {.type = QuantType::Q8_0, .biases = true}));
  all.push_back(sized_model("llama", {.type = QuantType::Q4_0, .experts = 4}));
  all.push_back(sized_model("llama", {.type = QuantType::F16}));
  // q and k as one matrix, v as another that writes into the same value.
  SyntheticModel mixed = sized_model("llama", {.type = QuantType::Q4_K});
  for (const char* name : {"blk.0.attn_v.weight", "blk.1.attn_v.weight"})
    mixed.tensor(name, {256, 128}, QuantType::Q6_K);
  all.push_back(mixed);
  return all;
}

}  // namespace pumice::test
