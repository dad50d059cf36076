// Every op of engine/graph/graph.h on matrices of doubles, one plain function each. These are the
// definition of what kernels must compute; written to be read, not to be fast.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <vector>

#include "engine/graph/graph.h"
#include "tests/reference/cache_codec.h"

namespace pumice::reference {

/// One column per token, columns contiguous, no padding.
struct Matrix {
  uint32_t rows = 0, columns = 0;
  std::vector<double> data;

  Matrix() = default;
  Matrix(uint32_t n_rows, uint32_t n_columns)
      : rows(n_rows), columns(n_columns), data(size_t(n_rows) * n_columns, 0.0) {}

  [[nodiscard]] std::span<double> column(uint32_t c) {
    return std::span(data).subspan(size_t(c) * rows, rows);
  }
  [[nodiscard]] std::span<const double> column(uint32_t c) const {
    return std::span(data).subspan(size_t(c) * rows, rows);
  }
};

/// A dequantised weight: [expert][row][column].
struct Dense {
  uint32_t columns = 0, rows = 1, experts = 1;
  std::vector<float> data;

  [[nodiscard]] std::span<const float> row(uint32_t r, uint32_t expert = 0) const {
    return std::span(data).subspan((size_t(expert) * rows + r) * columns, columns);
  }
};

/// Which sequence a column belongs to and where in it the token stands.
struct Place {
  uint32_t sequence = 0, position = 0;
};

/// Keys and values of one layer: per sequence, one column per position, each head as its codec
/// leaves it.
struct LayerCache {
  graph::CacheLayer shape;
  HeadCodec k_codec, v_codec;
  std::map<uint32_t, std::vector<std::vector<double>>> keys, values;

  void store(const Place& place, std::span<const double> k, std::span<const double> v);
};

[[nodiscard]] Matrix embed(const Dense& table, std::span<const uint32_t> tokens, double scale);

[[nodiscard]] Matrix rms_norm(const Matrix& x, std::span<const float> weight, double eps,
                              uint32_t group);

/// A matrix with its bias; `bias` is null or holds one value per row (one row per expert).
struct LinearRef {
  const Dense* weight = nullptr;
  const Dense* bias = nullptr;
};

/// Concatenates weights[i] * x + bias[i]; with `gate` set, {gate, up} are combined instead.
/// `residual` may be null.
[[nodiscard]] Matrix matmul(const Matrix& x, std::span<const LinearRef> weights,
                            graph::Activation gate, const Matrix* residual);

/// The same for the experts that `route` names: one result per (token, slot).
[[nodiscard]] Matrix expert_matmul(const Matrix& x, std::span<const LinearRef> weights,
                                   graph::Activation gate, const Matrix& route, uint32_t n_used,
                                   bool x_per_slot);

/// How q and k are treated before they meet.
struct HeadTreatment {
  std::span<const float> q_norm, k_norm;  ///< empty = none
  double norm_eps = 0.0;
  uint32_t n_heads = 0;
  uint32_t n_rot = 0;  ///< 0 = no rotation
  graph::RopePairs pairs = graph::RopePairs::Adjacent;
  std::span<const float> table;  ///< graph::rope_table, long enough for every position
};

/// Returns the rotated q; k and v go into the cache.
[[nodiscard]] Matrix rope_store(const Matrix& q, const Matrix& k, const Matrix& v,
                                std::span<const Place> places, const HeadTreatment& heads,
                                LayerCache& cache);

[[nodiscard]] Matrix attention(const Matrix& q, std::span<const Place> places,
                               const LayerCache& cache, uint32_t n_heads, double scale,
                               double softcap);

[[nodiscard]] Matrix glu(const Matrix& gate, const Matrix& up, graph::Activation activation);
[[nodiscard]] Matrix add(const Matrix& a, const Matrix& b);
[[nodiscard]] Matrix route(const Matrix& logits, uint32_t n_used, bool normalise, double scale);
[[nodiscard]] Matrix combine(const Matrix& x, const Matrix& route, const Matrix& residual,
                             uint32_t n_used);
[[nodiscard]] Matrix select_columns(const Matrix& x, std::span<const uint32_t> columns);
[[nodiscard]] Matrix softcap(const Matrix& x, double cap);

[[nodiscard]] double activate(double x, graph::Activation activation);

/// sum((a - b)^2) / sum(b^2); infinite where an element is not finite.
[[nodiscard]] double nmse(std::span<const float> actual, std::span<const double> expected);
[[nodiscard]] double nmse(std::span<const double> actual, std::span<const float> expected);

}  // namespace pumice::reference
