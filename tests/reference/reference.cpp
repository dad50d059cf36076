// Operands in, op called, result stored; views are copied in and out.
#include "tests/reference/reference.h"

#include <algorithm>
#include <type_traits>
#include <utility>
#include <variant>

#include "engine/graph/rope_table.h"
#include "loader/codec.h"

namespace pumice::reference {

using graph::kNone;

Result<std::vector<Dense>> decode_weights(const GgufFile& file, const graph::Graph& graph) {
  std::vector<Dense> all;
  for (const graph::Weight& weight : graph.weights) {
    const TensorInfo* tensor = file.find_tensor(weight.tensor);
    if (!tensor) return fail(ErrorCode::NotFound, "no tensor {}", weight.tensor);
    Dense dense{weight.columns, weight.rows, weight.experts, {}};
    dense.data.resize(size_t(weight.columns) * weight.rows * weight.experts);
    for (uint32_t expert = 0; expert < weight.experts; ++expert)
      decode_rows(*tensor, expert * tensor->shape[1] + weight.first_row, weight.rows,
                  dense.data.data() + size_t(expert) * weight.rows * weight.columns);
    all.push_back(std::move(dense));
  }
  return all;
}

Interpreter::Interpreter(graph::Graph graph, std::vector<Dense> weights)
    : graph_(std::move(graph)), weights_(std::move(weights)) {
  reset();
}

Result<Interpreter> Interpreter::load(const GgufFile& file, graph::Graph graph) {
  PUMICE_TRY_ASSIGN(std::vector<Dense> weights, decode_weights(file, graph));
  return Interpreter(std::move(graph), std::move(weights));
}

void Interpreter::reset() {
  values_.assign(graph_.values.size(), {});
  tables_.resize(graph_.ropes.size());
  caches_.clear();
  for (const graph::CacheLayer& layer : graph_.layers)
    caches_.push_back({layer, k_codec_, v_codec_, {}, {}});
}

void Interpreter::set_cache_format(const CacheFormat& format) {
  k_codec_ = head_codec(format.k, format.rotate);
  v_codec_ = head_codec(format.v, format.rotate);
  reset();
}

void Interpreter::begin(std::span<const TokenAt> tokens) {
  values_.assign(graph_.values.size(), {});
  ids_.clear();
  places_.clear();
  output_columns_.clear();
  for (const TokenAt& token : tokens) {
    if (token.output) output_columns_.push_back(uint32_t(ids_.size()));
    ids_.push_back(token.id);
    places_.push_back(token.place);
  }
}

Result<Matrix> Interpreter::step(std::span<const TokenAt> tokens) {
  for (const TokenAt& token : tokens)
    if (token.id >= graph_.n_vocab)
      return fail(ErrorCode::BadArgument, "token {} is outside the vocabulary of {}", token.id,
                  graph_.n_vocab);
  begin(tokens);
  for (const graph::Node& node : graph_.nodes) run_node(node);
  return value(graph_.logits);
}

Result<Matrix> Interpreter::logits(std::span<const uint32_t> tokens, uint32_t first_output) {
  reset();
  std::vector<TokenAt> batch;
  for (uint32_t i = 0; i < tokens.size(); ++i)
    batch.push_back({tokens[i], {0, i}, i >= first_output});
  return step(batch);
}

Matrix Interpreter::value(graph::ValueId id) const {
  const graph::Value& v = graph_.values[id];
  if (v.base == kNone) return values_[id];
  const Matrix& base = values_[v.base];
  Matrix out(v.width, base.columns);
  for (uint32_t c = 0; c < out.columns; ++c)
    std::copy_n(base.column(c).begin() + v.offset, v.width, out.column(c).begin());
  return out;
}

void Interpreter::set_value(graph::ValueId id, const Matrix& value) {
  const graph::Value& v = graph_.values[id];
  if (v.base == kNone) {
    values_[id] = value;
    return;
  }
  Matrix& base = values_[v.base];
  if (base.data.empty()) base = Matrix(graph_.values[v.base].width, value.columns);
  for (uint32_t c = 0; c < value.columns; ++c)
    std::copy_n(value.column(c).begin(), v.width, base.column(c).begin() + v.offset);
}

void Interpreter::run_node(const graph::Node& node) {
  std::visit(
      [&](const auto& op) {
        using T = std::remove_cvref_t<decltype(op)>;
        if constexpr (std::is_same_v<T, graph::RopeStore>)
          set_value(op.q_out, run(op));
        else if constexpr (!std::is_same_v<T, graph::Observe>)  // tests sum values themselves
          set_value(op.out, run(op));
      },
      node.op);
}

std::span<const float> Interpreter::vector(graph::WeightId id) const {
  return id == kNone ? std::span<const float>() : std::span<const float>(weights_[id].data);
}

std::span<const float> Interpreter::table(uint32_t rope) {
  const graph::RopeSpec& spec = graph_.ropes[rope];
  uint32_t needed = 1;
  for (const Place& place : places_) needed = std::max(needed, place.position + 1);
  if (tables_[rope].size() < size_t(needed) * spec.n_rot)
    tables_[rope] = graph::rope_table(spec, vector(spec.factors), needed);
  return tables_[rope];
}

Matrix Interpreter::run(const graph::Embed& op) {
  return embed(weights_[op.weight], ids_, op.scale);
}

Matrix Interpreter::run(const graph::RmsNorm& op) {
  return rms_norm(value(op.x), vector(op.weight), op.eps, op.group);
}

Matrix Interpreter::run(const graph::MatMul& op) {
  std::vector<LinearRef> refs;
  for (size_t i = 0; i < op.weights.size(); ++i) {
    const bool has_bias = i < op.biases.size() && op.biases[i] != kNone;
    refs.push_back({&weights_[op.weights[i]], has_bias ? &weights_[op.biases[i]] : nullptr});
  }
  if (op.experts_by != kNone)
    return expert_matmul(value(op.x), refs, op.gate, value(op.experts_by), op.n_used,
                         op.x_per_slot);
  const Matrix residual = op.residual == kNone ? Matrix() : value(op.residual);
  return matmul(value(op.x), refs, op.gate, op.residual == kNone ? nullptr : &residual);
}

Matrix Interpreter::run(const graph::RopeStore& op) {
  HeadTreatment heads{.q_norm = vector(op.q_norm), .k_norm = vector(op.k_norm)};
  heads.norm_eps = op.norm_eps;
  heads.n_heads = op.n_heads;
  if (op.rope != kNone) {
    heads.n_rot = graph_.ropes[op.rope].n_rot;
    heads.pairs = graph_.ropes[op.rope].pairs;
    heads.table = table(op.rope);
  }
  return rope_store(value(op.q), value(op.k), value(op.v), places_, heads, caches_[op.layer]);
}

Matrix Interpreter::run(const graph::Attention& op) {
  return attention(value(op.q), places_, caches_[op.layer], op.n_heads, op.scale, op.softcap);
}

Matrix Interpreter::run(const graph::Glu& op) {
  return glu(value(op.gate), value(op.up), op.activation);
}

Matrix Interpreter::run(const graph::Add& op) {
  return add(value(op.a), value(op.b));
}

Matrix Interpreter::run(const graph::Route& op) {
  return route(value(op.logits), op.n_used, op.normalise, op.scale);
}

Matrix Interpreter::run(const graph::Combine& op) {
  return combine(value(op.x), value(op.route), value(op.residual), op.n_used);
}

Matrix Interpreter::run(const graph::SelectOutputs& op) {
  return select_columns(value(op.x), output_columns_);
}

Matrix Interpreter::run(const graph::Softcap& op) {
  return softcap(value(op.x), op.cap);
}

}  // namespace pumice::reference
