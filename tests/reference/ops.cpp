// The ops, as loops.
#include "tests/reference/ops.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
#include <numeric>

namespace pumice::reference {
namespace {

double dot(std::span<const float> w, std::span<const double> x) {
  double sum = 0.0;
  for (size_t i = 0; i < w.size(); ++i) sum += double(w[i]) * x[i];
  return sum;
}

/// weight * x + bias for one expert (0 for plain weights), appended to `out`.
void linear(const LinearRef& l, uint32_t expert, std::span<const double> x, std::span<double> out) {
  for (uint32_t r = 0; r < l.weight->rows; ++r) {
    out[r] = dot(l.weight->row(r, expert), x);
    if (l.bias) out[r] += double(l.bias->row(0, expert)[r]);
  }
}

/// All weights on one column: concatenated, or gate and up combined.
void linear_column(std::span<const LinearRef> weights, graph::Activation gate, uint32_t expert,
                   std::span<const double> x, std::span<double> out) {
  if (gate == graph::Activation::None) {
    size_t at = 0;
    for (const LinearRef& l : weights) {
      linear(l, expert, x, out.subspan(at, l.weight->rows));
      at += l.weight->rows;
    }
    return;
  }
  std::vector<double> up(out.size());
  linear(weights[0], expert, x, out);
  linear(weights[1], expert, x, up);
  for (size_t r = 0; r < out.size(); ++r) out[r] = activate(out[r], gate) * up[r];
}

uint32_t result_rows(std::span<const LinearRef> weights, graph::Activation gate) {
  if (gate != graph::Activation::None) return weights[0].weight->rows;
  uint32_t rows = 0;
  for (const LinearRef& l : weights) rows += l.weight->rows;
  return rows;
}

void normalise(std::span<double> x, std::span<const float> weight, double eps) {
  double squares = 0.0;
  for (const double value : x) squares += value * value;
  const double scale = 1.0 / std::sqrt(squares / double(x.size()) + eps);
  for (size_t i = 0; i < x.size(); ++i) x[i] *= scale * double(weight[i]);
}

void rotate(std::span<double> head, uint32_t position, const HeadTreatment& heads) {
  const uint32_t pairs = heads.n_rot / 2;
  for (uint32_t i = 0; i < pairs; ++i) {
    const size_t at = (size_t(position) * pairs + i) * 2;
    const double cosine = heads.table[at], sine = heads.table[at + 1];
    const bool adjacent = heads.pairs == graph::RopePairs::Adjacent;
    double& first = head[adjacent ? 2 * i : i];
    double& second = head[adjacent ? 2 * i + 1 : i + pairs];
    const double x = first, y = second;
    first = x * cosine - y * sine;
    second = x * sine + y * cosine;
  }
}

/// Norm and rotation of each head of a column.
void treat(std::span<double> column, uint32_t head_size, std::span<const float> norm,
           uint32_t position, const HeadTreatment& heads) {
  for (size_t at = 0; at < column.size(); at += head_size) {
    const auto head = column.subspan(at, head_size);
    if (!norm.empty()) normalise(head, norm, heads.norm_eps);
    rotate(head, position, heads);
  }
}

void softmax(std::vector<double>& x) {
  const double top = *std::max_element(x.begin(), x.end());
  double sum = 0.0;
  for (double& value : x) sum += value = std::exp(value - top);
  for (double& value : x) value /= sum;
}

double cap(double x, double limit) {
  return limit == 0.0 ? x : limit * std::tanh(x / limit);
}

}  // namespace

void LayerCache::store(const Place& place, std::span<const double> k, std::span<const double> v) {
  auto& key_columns = keys[place.sequence];
  auto& value_columns = values[place.sequence];
  if (key_columns.size() <= place.position) {
    key_columns.resize(place.position + 1, std::vector<double>(k.size()));
    value_columns.resize(place.position + 1, std::vector<double>(v.size()));
  }
  std::vector<double>& key = key_columns[place.position];
  std::vector<double>& value = value_columns[place.position];
  key.assign(k.begin(), k.end());
  value.assign(v.begin(), v.end());
  for (uint32_t head = 0; head < shape.kv_heads; ++head) {
    if (k_codec) k_codec(std::span(key).subspan(size_t(head) * shape.head_k, shape.head_k));
    if (v_codec) v_codec(std::span(value).subspan(size_t(head) * shape.head_v, shape.head_v));
  }
}

double activate(double x, graph::Activation activation) {
  switch (activation) {
    case graph::Activation::None:
      return x;
    case graph::Activation::Silu:
      return x / (1.0 + std::exp(-x));
    case graph::Activation::GeluTanh: {
      const double inner = std::sqrt(2.0 / std::numbers::pi) * x * (1.0 + 0.044715 * x * x);
      return 0.5 * x * (1.0 + std::tanh(inner));
    }
  }
  return x;
}

Matrix embed(const Dense& table, std::span<const uint32_t> tokens, double scale) {
  Matrix out(table.columns, uint32_t(tokens.size()));
  for (uint32_t t = 0; t < out.columns; ++t) {
    const auto row = table.row(tokens[t]);
    for (uint32_t i = 0; i < out.rows; ++i) out.column(t)[i] = scale * double(row[i]);
  }
  return out;
}

Matrix rms_norm(const Matrix& x, std::span<const float> weight, double eps, uint32_t group) {
  Matrix out = x;
  for (size_t at = 0; at < out.data.size(); at += group)
    normalise(std::span(out.data).subspan(at, group), weight, eps);
  return out;
}

Matrix matmul(const Matrix& x, std::span<const LinearRef> weights, graph::Activation gate,
              const Matrix* residual) {
  Matrix out(result_rows(weights, gate), x.columns);
  for (uint32_t t = 0; t < x.columns; ++t)
    linear_column(weights, gate, 0, x.column(t), out.column(t));
  return residual ? add(out, *residual) : out;
}

Matrix expert_matmul(const Matrix& x, std::span<const LinearRef> weights, graph::Activation gate,
                     const Matrix& route, uint32_t n_used, bool x_per_slot) {
  const uint32_t rows = result_rows(weights, gate);
  const uint32_t x_rows = x_per_slot ? x.rows / n_used : x.rows;
  Matrix out(rows * n_used, x.columns);
  for (uint32_t t = 0; t < x.columns; ++t)
    for (uint32_t slot = 0; slot < n_used; ++slot) {
      const auto expert = uint32_t(route.column(t)[n_used + slot]);
      const auto in = x.column(t).subspan(x_per_slot ? size_t(slot) * x_rows : 0, x_rows);
      linear_column(weights, gate, expert, in, out.column(t).subspan(size_t(slot) * rows, rows));
    }
  return out;
}

Matrix rope_store(const Matrix& q, const Matrix& k, const Matrix& v, std::span<const Place> places,
                  const HeadTreatment& heads, LayerCache& cache) {
  Matrix q_out = q, k_out = k;
  const uint32_t head_k = cache.shape.head_k;
  for (uint32_t t = 0; t < q.columns; ++t) {
    treat(q_out.column(t), head_k, heads.q_norm, places[t].position, heads);
    treat(k_out.column(t), head_k, heads.k_norm, places[t].position, heads);
    cache.store(places[t], k_out.column(t), v.column(t));
  }
  return q_out;
}

Matrix attention(const Matrix& q, std::span<const Place> places, const LayerCache& cache,
                 uint32_t n_heads, double scale, double softcap) {
  const auto [kv_heads, head_k, head_v, window] = cache.shape;
  Matrix out(n_heads * head_v, q.columns);
  for (uint32_t t = 0; t < q.columns; ++t) {
    const uint32_t position = places[t].position;
    const uint32_t first = window != 0 && position + 1 > window ? position + 1 - window : 0;
    const auto& keys = cache.keys.at(places[t].sequence);
    const auto& values = cache.values.at(places[t].sequence);
    for (uint32_t head = 0; head < n_heads; ++head) {
      const uint32_t kv_head = head / (n_heads / kv_heads);
      std::vector<double> weights;
      for (uint32_t p = first; p <= position; ++p) {
        double score = 0.0;
        for (uint32_t i = 0; i < head_k; ++i)
          score += q.column(t)[size_t(head) * head_k + i] * keys[p][size_t(kv_head) * head_k + i];
        weights.push_back(cap(scale * score, softcap));
      }
      softmax(weights);
      const auto mixed = out.column(t).subspan(size_t(head) * head_v, head_v);
      for (uint32_t p = first; p <= position; ++p)
        for (uint32_t i = 0; i < head_v; ++i)
          mixed[i] += weights[p - first] * values[p][size_t(kv_head) * head_v + i];
    }
  }
  return out;
}

Matrix glu(const Matrix& gate, const Matrix& up, graph::Activation activation) {
  Matrix out = gate;
  for (size_t i = 0; i < out.data.size(); ++i)
    out.data[i] = activate(gate.data[i], activation) * up.data[i];
  return out;
}

Matrix add(const Matrix& a, const Matrix& b) {
  Matrix out = a;
  for (size_t i = 0; i < out.data.size(); ++i) out.data[i] += b.data[i];
  return out;
}

Matrix route(const Matrix& logits, uint32_t n_used, bool normalise, double scale) {
  Matrix out(2 * n_used, logits.columns);
  for (uint32_t t = 0; t < logits.columns; ++t) {
    std::vector<double> weights(logits.column(t).begin(), logits.column(t).end());
    softmax(weights);
    std::vector<uint32_t> order(weights.size());
    std::iota(order.begin(), order.end(), 0u);
    std::stable_sort(order.begin(), order.end(),
                     [&](uint32_t a, uint32_t b) { return weights[a] > weights[b]; });
    double sum = 0.0;
    for (uint32_t s = 0; s < n_used; ++s) sum += weights[order[s]];
    for (uint32_t s = 0; s < n_used; ++s) {
      out.column(t)[s] = weights[order[s]] / (normalise ? sum : 1.0) * scale;
      out.column(t)[n_used + s] = order[s];
    }
  }
  return out;
}

Matrix combine(const Matrix& x, const Matrix& route, const Matrix& residual, uint32_t n_used) {
  Matrix out = residual;
  for (uint32_t t = 0; t < out.columns; ++t)
    for (uint32_t slot = 0; slot < n_used; ++slot)
      for (uint32_t i = 0; i < out.rows; ++i)
        out.column(t)[i] += route.column(t)[slot] * x.column(t)[size_t(slot) * out.rows + i];
  return out;
}

Matrix select_columns(const Matrix& x, std::span<const uint32_t> columns) {
  Matrix out(x.rows, uint32_t(columns.size()));
  for (uint32_t c = 0; c < out.columns; ++c)
    std::copy_n(x.column(columns[c]).begin(), x.rows, out.column(c).begin());
  return out;
}

Matrix softcap(const Matrix& x, double limit) {
  Matrix out = x;
  for (double& value : out.data) value = cap(value, limit);
  return out;
}

namespace {

template <class A, class B>
double nmse_of(std::span<const A> actual, std::span<const B> expected) {
  if (actual.size() != expected.size()) return std::numeric_limits<double>::infinity();
  double error = 0.0, power = 0.0;
  for (size_t i = 0; i < actual.size(); ++i) {
    const double difference = double(actual[i]) - double(expected[i]);
    error += difference * difference;
    power += double(expected[i]) * double(expected[i]);
  }
  if (!std::isfinite(error) || !std::isfinite(power))
    return std::numeric_limits<double>::infinity();
  if (power == 0.0) return error == 0.0 ? 0.0 : std::numeric_limits<double>::infinity();
  return error / power;
}

}  // namespace

double nmse(std::span<const float> actual, std::span<const double> expected) {
  return nmse_of(actual, expected);
}

double nmse(std::span<const double> actual, std::span<const float> expected) {
  return nmse_of(actual, expected);
}

}  // namespace pumice::reference
