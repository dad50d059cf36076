// One block of a quant type with its scales chosen and its codes still open: what error feedback
// works inside. value(i, code) = scale * level[code] + offset of i's group.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "engine/quant/fit_plan.h"
#include "loader/quant_type.h"

namespace pumice::quant {

struct BlockGrid {
  QuantType type = QuantType::Q4_K;
  LevelKind kind = LevelKind::Linear;
  uint32_t weights = 256;              ///< per block
  uint32_t group = 32;                 ///< consecutive weights that share scale and offset
  uint32_t codes = 16;                 ///< number of codes per weight
  std::span<const float> levels;       ///< the number that each code stands for; linear types: low,
                                       ///< low + 1, ...
  std::array<float, 16> scale{};       ///< per group, as the decoder will compute it; any sign
  std::array<float, 16> offset{};      ///< per group
  std::array<std::byte, 32> header{};  ///< the block's scale fields; what pack_block needs
};

/// True for the types that have blocks with scales: all that encode_rows writes but F32, F16, BF16.
[[nodiscard]] bool has_grid(QuantType type);

/// The grid of scales that were chosen. The type has one.
[[nodiscard]] BlockGrid make_grid(QuantType type, const BlockFit& fit);

/// Chooses the scales of one block as encode_rows does. `importance`: one number per weight, or
/// empty. The type has a grid.
[[nodiscard]] BlockGrid fit_block(QuantType type, std::span<const float> block,
                                  std::span<const float> importance);

/// The same for many blocks, wherever they lie: on a machine with wide vectors 16 blocks cost as
/// much as one.
void fit_blocks(QuantType type, std::span<const BlockSource> blocks, std::span<BlockGrid> out);

/// The number that weight `i` takes with `code`.
[[nodiscard]] inline float grid_value(const BlockGrid& grid, uint32_t i, uint32_t code) {
  const uint32_t group = i / grid.group;
  return grid.scale[group] * grid.levels[code] + grid.offset[group];
}

/// The code whose value is nearest to `x` at weight `i`, up to the rounding of one division.
[[nodiscard]] uint32_t nearest_code(const BlockGrid& grid, uint32_t i, float x);

/// nearest_code of every weight of a block.
void nearest_codes(const BlockGrid& grid, std::span<const float> block, std::span<uint8_t> codes);

/// Writes the block as a file stores it (the type's block bytes); `codes` holds one per weight.
void pack_block(const BlockGrid& grid, std::span<const uint8_t> codes, std::span<std::byte> out);

}  // namespace pumice::quant
