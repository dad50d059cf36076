// Executes a graph on the CPU in double precision on dequantised weights: the oracle of every model
// test. Owns the weights, the tables of rotation and the memory of what each sequence has seen.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/base/result.h"
#include "engine/graph/graph.h"
#include "loader/gguf.h"
#include "tests/reference/ops.h"

namespace pumice::reference {

/// All weights of a graph, decoded, by WeightId. Row ranges are cut out.
[[nodiscard]] Result<std::vector<Dense>> decode_weights(const GgufFile& file,
                                                        const graph::Graph& graph);

/// One token of a step. Positions of a sequence ascend by one from 0 over all steps.
struct TokenAt {
  uint32_t id = 0;
  Place place;
  bool output = true;  ///< its logits are wanted
};

class Interpreter {
 public:
  /// `weights` by WeightId, shaped as the graph says.
  Interpreter(graph::Graph graph, std::vector<Dense> weights);
  [[nodiscard]] static Result<Interpreter> load(const GgufFile& file, graph::Graph graph);

  /// Runs a batch; one column of logits per token with `output`, in order.
  [[nodiscard]] Result<Matrix> step(std::span<const TokenAt> tokens);

  /// Forgets everything, runs `tokens` as one sequence from position 0 and returns the logits of
  /// tokens [first_output, n).
  [[nodiscard]] Result<Matrix> logits(std::span<const uint32_t> tokens, uint32_t first_output = 0);

  void reset();
  /// From now on the cache holds K and V as a format leaves them (exact doubles at first).
  void set_cache_format(const CacheFormat& format);

  // ---- node by node, for tests of single ops
  /// Sets what Embed, RopeStore, Attention and SelectOutputs read, and clears all values.
  void begin(std::span<const TokenAt> tokens);
  void run_node(const graph::Node& node);
  [[nodiscard]] Matrix value(graph::ValueId id) const;  ///< as the last node left it
  void set_value(graph::ValueId id, const Matrix& value);

  [[nodiscard]] const graph::Graph& graph() const { return graph_; }
  [[nodiscard]] const std::vector<Dense>& weights() const { return weights_; }
  [[nodiscard]] const LayerCache& cache(uint32_t layer) const { return caches_[layer]; }
  [[nodiscard]] LayerCache& cache(uint32_t layer) { return caches_[layer]; }

 private:
  [[nodiscard]] std::span<const float> vector(graph::WeightId id) const;
  [[nodiscard]] std::span<const float> table(uint32_t rope);
  Matrix run(const graph::Embed& op);
  Matrix run(const graph::RmsNorm& op);
  Matrix run(const graph::MatMul& op);
  Matrix run(const graph::RopeStore& op);
  Matrix run(const graph::Attention& op);
  Matrix run(const graph::Glu& op);
  Matrix run(const graph::Add& op);
  Matrix run(const graph::Route& op);
  Matrix run(const graph::Combine& op);
  Matrix run(const graph::SelectOutputs& op);
  Matrix run(const graph::Softcap& op);

  graph::Graph graph_;
  std::vector<Dense> weights_;
  std::vector<Matrix> values_;  ///< by ValueId; views have none
  std::vector<LayerCache> caches_;
  HeadCodec k_codec_, v_codec_;
  std::vector<std::vector<float>> tables_;  ///< per rope, grown as positions need
  std::vector<uint32_t> ids_, output_columns_;
  std::vector<Place> places_;
};

}  // namespace pumice::reference
