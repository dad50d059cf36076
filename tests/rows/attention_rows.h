// Rotation, the cache and attention: heads of every shape.
#pragma once

#include <span>

#include "tests/rows/case.h"

namespace pumice::test {

struct AttentionRow {
  const char* name;
  uint32_t heads, kv_heads, head_k, head_v;
  uint32_t n_rot;  ///< 0 = no rotation
  graph::RopePairs pairs = graph::RopePairs::Adjacent;
  bool norms = false, views = false;  ///< views: q, k, v are rows of one value
  uint32_t window = 0;
  float softcap = 0;
  bool factors = false;  ///< rope factors per pair
};

[[nodiscard]] std::span<const AttentionRow> attention_rows();

/// The values of a row's graph: rotation reads q, k and v, attention writes out.
namespace attention {
enum : graph::ValueId { kQ, kK, kV, kQOut, kOut, kAll };
}

[[nodiscard]] graph::Graph attention_graph(const AttentionRow& row);
[[nodiscard]] std::shared_ptr<const GgufFile> attention_weights(const AttentionRow& row);
/// q, k and v of `tokens` columns, the same for a token however it is batched.
[[nodiscard]] std::vector<reference::Matrix> attention_inputs(const graph::Graph& graph,
                                                              uint32_t tokens);

/// Rotation and attention of the first 32 positions; timed as `columns` tokens at `depth`.
[[nodiscard]] Case attention_case(const AttentionRow& row, const Tier& tier, uint32_t depth,
                                  uint32_t columns);

}  // namespace pumice::test
