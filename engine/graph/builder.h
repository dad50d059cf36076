// Builds a graph call by call. Owns naming, widths and shape checks; knows no architecture.
// The first wrong shape is kept and returned by `finish`; calls after it are harmless.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>

#include "engine/base/result.h"
#include "engine/graph/graph.h"

namespace pumice::graph {

/// A matrix and its optional bias: out = weight * x + bias.
struct Linear {
  WeightId weight = kNone;
  WeightId bias = kNone;
};

struct Qkv {
  ValueId q = kNone, k = kNone, v = kNone;
};

/// Per-head treatment of q and k before they meet; see RopeStore.
struct HeadSpec {
  uint32_t n_heads = 0;
  uint32_t layer = 0;     ///< from cache_layer()
  uint32_t rope = kNone;  ///< from rope()
  WeightId q_norm = kNone, k_norm = kNone;
  float norm_eps = 0.0f;
};

/// Which experts a token visits: the Route's value and the count per token.
struct Experts {
  ValueId route = kNone;
  uint32_t n_used = 0;
};

class GraphBuilder {
 public:
  /// Prefix of the names and labels that follow: "blk.3", or "" at the ends.
  void scope(std::string prefix) { scope_ = std::move(prefix); }

  // ---- declarations; equal ones share an id
  WeightId weight(Weight weight);
  uint32_t rope(const RopeSpec& spec);
  uint32_t cache_layer(const CacheLayer& layer);

  // ---- ops; `name` is the value's name inside the scope and the label of the dispatch
  ValueId embed(WeightId table, float scale = 1.0f);
  /// `group` 0 normalises the whole column.
  ValueId rms_norm(std::string_view name, ValueId x, WeightId weight, float eps,
                   uint32_t group = 0);
  ValueId matmul(std::string_view name, ValueId x, Linear linear);
  /// One column per (token, slot). `x` is per slot when it came from another expert matmul.
  ValueId expert_matmul(std::string_view name, ValueId x, Linear linear, const Experts& experts,
                        bool x_per_slot);
  Qkv qkv(ValueId x, Linear q, Linear k, Linear v);
  /// Rows [offset, offset + width) of a value, without a copy.
  ValueId view(std::string_view name, ValueId base, uint32_t offset, uint32_t width);
  /// Returns the rotated q; k and v go to the cache.
  ValueId rope_store(const Qkv& qkv, const HeadSpec& heads);
  ValueId attention(ValueId q, const HeadSpec& heads, float scale, float softcap = 0.0f);
  ValueId glu(std::string_view name, ValueId gate, ValueId up, Activation activation);
  ValueId add(std::string_view name, ValueId a, ValueId b);
  Experts route(ValueId logits, uint32_t n_used, bool normalise = true, float scale = 1.0f);
  ValueId combine(ValueId x, const Experts& experts, ValueId residual);
  ValueId select_outputs(ValueId x);
  ValueId softcap(ValueId x, float cap);

  /// The graph that ends in `logits`, or the first shape error.
  [[nodiscard]] Result<Graph> finish(ValueId logits);

 private:
  [[nodiscard]] std::string named(std::string_view name) const;
  [[nodiscard]] uint32_t width(ValueId id) const;
  [[nodiscard]] bool per_output(ValueId id) const;
  ValueId value(std::string_view name, uint32_t width, bool per_output);
  /// The rows and columns of a declared weight, or zeros.
  [[nodiscard]] const Weight& shape(WeightId id) const;
  void emit(Op op, std::string_view name);
  void expect(bool holds, std::string_view op, std::string_view rule, uint64_t expected,
              uint64_t found);
  void check_linear(std::string_view name, uint32_t x_width, const Linear& linear);
  void check_vector(std::string_view name, WeightId id, uint32_t length);

  Graph graph_;
  std::string scope_;
  std::string error_;
  std::unordered_map<std::string, WeightId> weight_ids_;
};

}  // namespace pumice::graph
