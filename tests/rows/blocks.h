// Random weights of any quant type, as the bytes of a file: what rows and synthetic models hold.
#pragma once

#include <cstddef>
#include <random>
#include <string>
#include <vector>

#include "loader/quant_type.h"
#include "tests/support/gguf_writer.h"

namespace pumice::test {

using Random = std::mt19937;

/// Uniform in [-1, 1), the same on every standard library.
[[nodiscard]] inline float uniform(Random& random) {
  return float(double(random()) / 0x1p31 - 1.0);
}

/// Every bit of every field is random, except the factors of a block: those are chosen so that
/// weights reach about `size`. `n_weights` is a multiple of the type's block.
[[nodiscard]] std::vector<std::byte> random_blocks(QuantType type, uint64_t n_weights, float size,
                                                   Random& random);

/// A tensor of random blocks; 2D ones are scaled by 1 / sqrt(columns), vectors lie around 1.
void add_random(GgufWriter& file, const std::string& name, QuantType type,
                std::vector<uint64_t> dims);

}  // namespace pumice::test
