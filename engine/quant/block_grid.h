// One block of a quant type with its scales chosen and its codes still open: what error feedback
// works inside. value(i, code) = scale * (code or table entry) + offset of i's group.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "loader/quant_type.h"

namespace pumice::quant {

struct BlockGrid {
  QuantType type = QuantType::Q4_K;
  uint32_t weights = 256;              ///< per block
  uint32_t group = 32;                 ///< consecutive weights that share scale and offset
  uint32_t codes = 16;                 ///< number of codes per weight
  std::span<const float> levels;       ///< ascending or not: the number that each code stands for
  std::array<float, 16> scale{};       ///< per group, as the decoder will compute it
  std::array<float, 16> offset{};      ///< per group
  std::array<std::byte, 32> header{};  ///< the block's scale fields; what pack_block needs
};

/// Chooses the scales of one block as encode_rows does (importance: one number per weight, or
/// empty).
[[nodiscard]] BlockGrid fit_block(QuantType type, std::span<const float> block,
                                  std::span<const float> importance);

/// The number that weight `i` takes with `code`.
[[nodiscard]] float grid_value(const BlockGrid& grid, uint32_t i, uint32_t code);

/// The code whose value is nearest to `x` at weight `i`.
[[nodiscard]] uint32_t nearest_code(const BlockGrid& grid, uint32_t i, float x);

/// Writes the block as a file stores it; `codes` holds one per weight.
void pack_block(const BlockGrid& grid, std::span<const uint8_t> codes, std::span<std::byte> out);

}  // namespace pumice::quant
