// The graph: what a model computes for one batch of tokens, as plain data.
// Every value is a matrix of f32 with one column per token. Weights are named by the file's
// tensors. Model files build it op by op, fusions rewrite it, the scheduler lowers it, the
// reference interpreter in tests/reference executes it in double precision.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "loader/quant_type.h"

namespace pumice::graph {

using ValueId = uint32_t;
using WeightId = uint32_t;
inline constexpr uint32_t kNone = UINT32_MAX;

/// A column per token (or per requested output row after SelectOutputs).
struct Value {
  std::string name;         ///< for labels and errors: "blk.0.qkv"
  uint32_t width = 0;       ///< f32 elements per column
  ValueId base = kNone;     ///< set for a view: rows [offset, offset + width) of `base`
  uint32_t offset = 0;      ///< first row inside `base`
  bool per_output = false;  ///< has n_outputs columns instead of n_tokens
};

/// A tensor of the file, or a range of its rows. Vectors (norms, biases) have rows == 1.
struct Weight {
  std::string tensor;  ///< the file's tensor name
  QuantType type = QuantType::F32;
  uint32_t columns = 0;    ///< ne[0]: input width of a matrix, length of a vector
  uint32_t rows = 1;       ///< output width of a matrix (of one expert)
  uint32_t experts = 1;    ///< ne[2] of a mixture-of-experts tensor
  uint32_t first_row = 0;  ///< where in the tensor the range of rows starts (per expert)
};

enum class Activation : uint8_t { None, Silu, GeluTanh };
enum class RopePairs : uint8_t { Adjacent, Halves };  ///< (2i, 2i+1) or (i, i + n/2)

/// Everything that the table of rotation angles depends on; made on the host in double precision.
struct RopeSpec {
  uint32_t n_rot = 0;  ///< leading elements of a head that rotate (even)
  RopePairs pairs = RopePairs::Adjacent;
  double freq_base = 10000.0;
  double freq_scale = 1.0;   ///< 1 / linear scaling factor
  WeightId factors = kNone;  ///< f32[n_rot / 2]: divides the frequency of each pair
  double ext_factor = 0.0;   ///< YaRN mix; 0 = off
  double attn_factor = 1.0;  ///< multiplies cos and sin
  double beta_fast = 32.0, beta_slow = 1.0;
  uint32_t original_context = 0;
};

/// What one layer remembers.
struct CacheLayer {
  uint32_t kv_heads = 0;
  uint32_t head_k = 0, head_v = 0;  ///< elements per head, multiples of 8
  uint32_t window = 0;              ///< positions visible including one's own; 0 = all
};

// ---- ops ------------------------------------------------------------------------------------

/// out[:, t] = scale * row(weight, token[t])
struct Embed {
  WeightId weight;
  ValueId out;
  float scale = 1.0f;
};

/// Normalises each run of `group` rows (the whole column when group == width) by its root mean
/// square, then multiplies by weight[0..group).
struct RmsNorm {
  ValueId x;
  WeightId weight;
  ValueId out;
  float eps;
  uint32_t group;
};

/// out = activation(...)(concat_i(weights[i] * x + biases[i])) * scale + residual
/// With `gate` set, weights = {gate, up} of equal shape and out = gate(W0 x + b0) * (W1 x + b1).
/// With `experts_by` set, x is one column per (token, slot) when x_per_slot, else one per token;
/// out is one column per (token, slot): width = rows * n_used.
struct MatMul {
  std::vector<WeightId> weights;
  std::vector<WeightId> biases;  ///< empty, or one per weight (kNone = none)
  ValueId x;
  ValueId out;
  ValueId residual = kNone;
  Activation gate = Activation::None;
  ValueId experts_by = kNone;  ///< a Route's out
  uint32_t n_used = 0;         ///< slots per token when experts_by is set
  bool x_per_slot = false;
};

/// Per head: optional RMS norm of q and k, rotation, then K and V go into the cache at the token's
/// position. `q_out` may be scaled for attention.
struct RopeStore {
  ValueId q, k, v;
  ValueId q_out;
  WeightId q_norm = kNone, k_norm = kNone;  ///< f32[head_k]
  float norm_eps = 0.0f;
  uint32_t n_heads, layer, rope;  ///< rope indexes Graph::ropes; kNone = no rotation
};

/// softmax(softcap(scale * q k) + causal/window mask) v over the token's own sequence.
struct Attention {
  ValueId q, out;
  uint32_t n_heads, layer;
  float scale;
  float softcap = 0.0f;  ///< c * tanh(s / c); 0 = off
};

/// out = activation(gate) * up, row by row.
struct Glu {
  ValueId gate, up, out;
  Activation activation;
};

struct Add {
  ValueId a, b, out;
};

/// From router logits [n_experts] to n_used (weight, id) pairs: out has 2 * n_used rows, first the
/// weights, then the ids as exact floats. Ties pick the lower id.
struct Route {
  ValueId logits, out;
  uint32_t n_experts, n_used;
  bool normalise = true;  ///< weights sum to 1 over the chosen experts
  float scale = 1.0f;
};

/// out[:, t] = residual + sum_s weight(s) * x[:, (t, s)], slots in ascending order.
struct Combine {
  ValueId x, route, residual, out;
  uint32_t n_used;
};

/// Keeps the columns whose logits somebody asked for.
struct SelectOutputs {
  ValueId x, out;
};

/// out = cap * tanh(x / cap)
struct Softcap {
  ValueId x, out;
  float cap;
};

/// Adds what the step's tokens send through a tap to its sums; writes no value.
struct Observe {
  ValueId x;
  ValueId experts_by = kNone;  ///< a Route's out: each column counts for the experts it visits
  uint32_t n_used = 0;         ///< slots per token when experts_by is set
  bool x_per_slot = false;     ///< x holds one column per (token, slot)
  uint32_t tap;                ///< index into Graph::taps
};

using Op = std::variant<Embed, RmsNorm, MatMul, RopeStore, Attention, Glu, Add, Route, Combine,
                        SelectOutputs, Softcap, Observe>;

/// A point of the graph where statistics are gathered: one input of one or more matrices.
struct Tap {
  std::vector<std::string> tensors;  ///< that read this input, in graph order
  uint32_t width = 0;                ///< input channels
  uint32_t matrices = 1;             ///< or the number of experts
  bool gram = false;                 ///< sums of x x^T beside those of x^2
};

struct Node {
  Op op;
  std::string label;  ///< "blk.3 attention": debug label and timing row
};

struct Graph {
  std::vector<Value> values;
  std::vector<Weight> weights;
  std::vector<RopeSpec> ropes;
  std::vector<CacheLayer> layers;
  std::vector<Node> nodes;
  std::vector<Tap> taps;  ///< see taps.h
  ValueId logits = kNone;
  uint32_t n_vocab = 0, n_embd = 0, context_length = 0;
};

/// Values a node reads / writes, in a fixed order; views are reported as themselves.
[[nodiscard]] std::vector<ValueId> inputs(const Node& node);
[[nodiscard]] std::vector<ValueId> outputs(const Node& node);

}  // namespace pumice::graph
