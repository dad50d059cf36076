// Weights for tests of the quantiser: seeded, of several shapes.
#pragma once

#include <cmath>
#include <cstdint>
#include <random>
#include <vector>

#include "loader/codec.h"
#include "loader/quant_type.h"

namespace pumice::test {

inline constexpr QuantType kGridTypes[] = {
    QuantType::Q4_0,   QuantType::Q4_1,   QuantType::Q5_0, QuantType::Q5_1, QuantType::Q8_0,
    QuantType::Q2_K,   QuantType::Q3_K,   QuantType::Q4_K, QuantType::Q5_K, QuantType::Q6_K,
    QuantType::IQ4_NL, QuantType::IQ4_XS, QuantType::MXFP4};

/// Uniform in (0, 1), the same on every machine.
inline double uniform(std::mt19937& random) {
  return (double(random()) + 0.5) / 4294967296.0;
}

inline double normal(std::mt19937& random) {
  const double radius = std::sqrt(-2 * std::log(uniform(random)));
  return radius * std::cos(6.283185307179586 * uniform(random));
}

inline std::vector<float> gaussian(size_t n, float sigma, uint32_t seed) {
  std::mt19937 random(seed);
  std::vector<float> out(n);
  for (float& x : out) x = float(sigma * normal(random));
  return out;
}

/// Student's t with four degrees of freedom: tails as trained models have them, and heavier.
inline std::vector<float> heavy_tailed(size_t n, float sigma, uint32_t seed) {
  std::mt19937 random(seed);
  std::vector<float> out(n);
  for (float& x : out) {
    double chi = 0;
    for (int k = 0; k < 4; ++k) {
      const double z = normal(random);
      chi += z * z;
    }
    x = float(sigma * normal(random) / std::sqrt(chi / 4));
  }
  return out;
}

/// Positive, spread over two orders of magnitude.
inline std::vector<float> log_normal(size_t n, uint32_t seed) {
  std::vector<float> out = gaussian(n, 1, seed);
  for (float& x : out) x = std::exp(x);
  return out;
}

inline size_t encoded_bytes(QuantType type, size_t weights) {
  return weights / info(type).block_weights * info(type).block_bytes;
}

inline std::vector<float> decoded(QuantType type, const std::vector<std::byte>& bytes, size_t n) {
  std::vector<float> out(n);
  decode_row(type, bytes.data(), n, out.data());
  return out;
}

/// sum w (a - b)^2 / sum w b^2; plain where `importance` is empty, else per column.
inline double nmse(const std::vector<float>& a, const std::vector<float>& b,
                   const std::vector<float>& importance = {}) {
  double error = 0, norm = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    const double w = importance.empty() ? 1.0 : double(importance[i % importance.size()]);
    error += w * (double(a[i]) - b[i]) * (double(a[i]) - b[i]);
    norm += w * double(b[i]) * b[i];
  }
  return norm > 0 ? error / norm : error;
}

/// [width][width], sum of x x^T over tokens: inputs that live mostly in a few directions, as those
/// of real layers do; channel energies differ.
inline std::vector<float> correlated_gram(uint64_t width, size_t tokens, uint32_t seed) {
  const size_t directions = width / 4;
  const std::vector<float> basis = gaussian(directions * width, 0.3f, seed),
                           mix = gaussian(tokens * directions, 1.0f, seed + 1),
                           noise = gaussian(tokens * width, 0.7f, seed + 2);
  std::vector<float> gram(width * width, 0.0f), x(width);
  for (size_t t = 0; t < tokens; ++t) {
    for (uint64_t i = 0; i < width; ++i) {
      float sum = noise[t * width + i];
      for (size_t d = 0; d < directions; ++d) sum += mix[t * directions + d] * basis[d * width + i];
      x[i] = sum * (0.25f + float(i % 7));
    }
    for (uint64_t i = 0; i < width; ++i)
      for (uint64_t j = 0; j < width; ++j) gram[i * width + j] += x[i] * x[j];
  }
  return gram;
}

}  // namespace pumice::test
