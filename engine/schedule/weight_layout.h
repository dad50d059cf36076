// How weights lie on the device: tiles of 8 rows x 1 block, in 16-byte units, so that eight lanes
// that own a row each read 128 contiguous bytes. The codecs in shaders/codec/ read this layout;
// the uploader writes it. A tile has as many bytes as the file's 8 blocks (padding only where a
// block is odd, or where rows or columns of a float matrix do not fill a tile).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "loader/quant_type.h"

namespace pumice {

inline constexpr uint32_t kTileRows = 8;
inline constexpr uint32_t kUnitBytes = 16;

/// A run of bytes of a file block. Whole 16-byte pieces of the 8 rows are interleaved; a shorter
/// plane is packed row after row.
struct Plane {
  uint16_t offset = 0;
  uint16_t bytes = 0;
};

struct WeightLayout {
  QuantType type;
  uint32_t block_weights;       ///< weights per tile along a row (32 for float types)
  uint32_t block_bytes;         ///< bytes per row and tile in a file
  std::array<Plane, 6> planes;  ///< in device order; bytes == 0 ends the list
  bool has_int8_path;           ///< q fits int8: the integer kernels exist

  [[nodiscard]] constexpr uint32_t tile_units() const {
    uint32_t units = 0;
    for (const Plane& plane : planes) units += plane_units(plane);
    return units;
  }
  [[nodiscard]] static constexpr uint32_t plane_units(const Plane& plane) {
    return (plane.bytes * kTileRows + kUnitBytes - 1) / kUnitBytes;
  }
};

/// The layout of a type, or null when there is no device codec for it.
[[nodiscard]] const WeightLayout* find_weight_layout(QuantType type);
[[nodiscard]] std::span<const WeightLayout> weight_layouts();

/// Groups of 32 weights that a row of `columns` weights fills on the device.
[[nodiscard]] uint32_t row_groups(const WeightLayout& layout, uint32_t columns);

/// Bytes of one tile row: 8 rows of `groups` groups.
[[nodiscard]] uint64_t tile_row_bytes(const WeightLayout& layout, uint32_t groups);

/// Writes one tile row. rows[i] points at the file bytes of row i, `row_bytes` of them; null rows
/// and bytes past the end become zero. `target` holds tile_row_bytes bytes.
void repack_tile_row(const WeightLayout& layout, uint32_t groups,
                     const std::array<const std::byte*, kTileRows>& rows, uint64_t row_bytes,
                     std::byte* target);

}  // namespace pumice
