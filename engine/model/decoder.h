// The vocabulary in which architectures are written: blocks of a decoder-only transformer as
// calls. Differences between models are which calls they make and with which arguments.
#pragma once

#include <cstdint>
#include <string_view>

#include "engine/graph/builder.h"
#include "engine/model/config.h"
#include "engine/model/tensors.h"

namespace pumice::model {

/// How one layer attends.
struct AttentionStyle {
  graph::RopePairs pairs = graph::RopePairs::Halves;
  double rope_base = 0.0;   ///< 0 = the file's
  bool rope_scaled = true;  ///< apply the file's context stretching
  uint32_t window = 0;      ///< 0 = all positions
};

class Decoder {
 public:
  Decoder(const Config& config, const TensorMap& tensors, uint32_t context)
      : config_(config), tensors_(tensors), context_(context) {}

  [[nodiscard]] const Config& config() const { return config_; }
  [[nodiscard]] bool has(Role role, uint32_t layer = 0) const {
    return tensors_.find(role, layer) != nullptr;
  }
  /// Names of the values that follow begin with "blk.N".
  void begin_layer(uint32_t layer);

  graph::ValueId embed(float scale = 1.0f);
  graph::ValueId norm(std::string_view name, graph::ValueId x, Role role);
  /// q, k, v (fused or not), per-head norms where the file has them, rotation, cache, attention
  /// and the output projection.
  graph::ValueId attention(graph::ValueId x, const AttentionStyle& style);
  /// down(activation(gate x) * up x); gate and up may be one tensor.
  graph::ValueId feed_forward(graph::ValueId x, graph::Activation activation);
  /// residual + the experts that a softmax router chooses, weights renormalised.
  graph::ValueId experts(graph::ValueId x, graph::ValueId residual, graph::Activation activation);
  graph::ValueId add(std::string_view name, graph::ValueId a, graph::ValueId b);
  /// In the last layer, keeps the columns whose logits are asked for; elsewhere returns `x`.
  graph::ValueId outputs_if_last(graph::ValueId x);
  /// Final norm, output matrix (or the embedding's) and the final softcap where there is one.
  void finish(graph::ValueId x);

  [[nodiscard]] Result<graph::Graph> take();

 private:
  graph::Linear linear(Role role, uint32_t layer);
  graph::WeightId weight(Role role, uint32_t layer);
  graph::RopeSpec rope(const AttentionStyle& style);
  graph::Qkv project(graph::ValueId x);

  const Config& config_;
  const TensorMap& tensors_;
  uint32_t context_;
  uint32_t layer_ = 0;
  graph::GraphBuilder builder_;
  graph::ValueId logits_ = graph::kNone;
};

}  // namespace pumice::model
