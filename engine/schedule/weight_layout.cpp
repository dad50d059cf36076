// The table of device layouts and the copy that follows it.
#include "engine/schedule/weight_layout.h"

#include <algorithm>
#include <cstring>

namespace pumice {
namespace {

// Planes in the order in which shaders/codec/TYPE.glsl counts its units.
constexpr WeightLayout kLayouts[] = {
    {QuantType::F32, 32, 128, {{{0, 128}}}, false},
    {QuantType::F16, 32, 64, {{{0, 64}}}, false},
    {QuantType::Q4_0, 32, 18, {{{2, 16}, {0, 2}}}, true},
    {QuantType::Q4_1, 32, 20, {{{4, 16}, {0, 4}}}, true},
    {QuantType::Q5_0, 32, 22, {{{6, 16}, {2, 4}, {0, 2}}}, true},
    {QuantType::Q5_1, 32, 24, {{{8, 16}, {4, 4}, {0, 4}}}, true},
    {QuantType::Q8_0, 32, 34, {{{2, 32}, {0, 2}}}, true},
    {QuantType::Q2_K, 256, 84, {{{0, 16}, {16, 64}, {80, 4}}}, true},
    {QuantType::Q3_K, 256, 110, {{{0, 32}, {32, 64}, {96, 12}, {108, 2}}}, true},
    {QuantType::Q4_K, 256, 144, {{{0, 16}, {16, 128}}}, true},
    {QuantType::Q5_K, 256, 176, {{{0, 16}, {16, 32}, {48, 128}}}, true},
    {QuantType::Q6_K,
     256,
     210,
     {{{192, 16}, {208, 2}, {128, 32}, {0, 64}, {160, 32}, {64, 64}}},
     true},
    {QuantType::IQ4_NL, 32, 18, {{{2, 16}, {0, 2}}}, true},
    {QuantType::IQ4_XS, 256, 136, {{{8, 128}, {0, 8}}}, true},
    {QuantType::BF16, 32, 64, {{{0, 64}}}, false},
    {QuantType::TQ1_0, 256, 54, {{{0, 48}, {48, 4}, {52, 2}}}, true},
    {QuantType::TQ2_0, 256, 66, {{{0, 64}, {64, 2}}}, true},
    {QuantType::MXFP4, 32, 17, {{{1, 16}, {0, 1}}}, true},
    {QuantType::Q1_0, 128, 18, {{{2, 16}, {0, 2}}}, true},
    {QuantType::Q2_0, 64, 18, {{{2, 16}, {0, 2}}}, true},
};

// Copies one plane of one tile; `available` bytes of each row's block exist.
void copy_plane(const Plane& plane, const std::array<const std::byte*, kTileRows>& blocks,
                uint64_t available, std::byte* target) {
  const bool interleaved = plane.bytes % kUnitBytes == 0;
  const uint32_t piece = interleaved ? kUnitBytes : plane.bytes;
  const uint32_t row_pitch = piece;
  const uint32_t piece_pitch = piece * kTileRows;
  for (uint32_t row = 0; row < kTileRows; ++row) {
    if (blocks[row] == nullptr) continue;
    for (uint32_t at = 0; at < plane.bytes; at += piece) {
      const uint64_t source = plane.offset + at;
      if (source >= available) break;
      std::memcpy(target + (at / piece) * piece_pitch + row * row_pitch, blocks[row] + source,
                  std::min<uint64_t>(piece, available - source));
    }
  }
}

}  // namespace

std::span<const WeightLayout> weight_layouts() {
  return kLayouts;
}

const WeightLayout* find_weight_layout(QuantType type) {
  const auto found = std::find_if(std::begin(kLayouts), std::end(kLayouts),
                                  [type](const WeightLayout& row) { return row.type == type; });
  return found == std::end(kLayouts) ? nullptr : found;
}

uint32_t row_groups(const WeightLayout& layout, uint32_t columns) {
  const uint32_t blocks = (columns + layout.block_weights - 1) / layout.block_weights;
  return blocks * (layout.block_weights / 32);
}

uint64_t tile_row_bytes(const WeightLayout& layout, uint32_t groups) {
  return uint64_t{groups} / (layout.block_weights / 32) * layout.tile_units() * kUnitBytes;
}

void repack_tile_row(const WeightLayout& layout, uint32_t groups,
                     const std::array<const std::byte*, kTileRows>& rows, uint64_t row_bytes,
                     std::byte* target) {
  const uint32_t tiles = groups / (layout.block_weights / 32);
  const uint64_t tile_bytes = uint64_t{layout.tile_units()} * kUnitBytes;
  const bool partial = row_bytes < uint64_t{tiles} * layout.block_bytes ||
                       layout.type == QuantType::MXFP4 ||
                       std::find(rows.begin(), rows.end(), nullptr) != rows.end();
  if (partial) std::memset(target, 0, tiles * tile_bytes);
  for (uint32_t tile = 0; tile < tiles; ++tile) {
    const uint64_t first = uint64_t{tile} * layout.block_bytes;
    std::array<const std::byte*, kTileRows> blocks{};
    for (uint32_t row = 0; row < kTileRows; ++row)
      if (rows[row] != nullptr) blocks[row] = rows[row] + first;
    std::byte* plane_target = target + tile * tile_bytes;
    for (const Plane& plane : layout.planes) {
      if (plane.bytes == 0) break;
      copy_plane(plane, blocks, row_bytes - first, plane_target);
      plane_target += uint64_t{WeightLayout::plane_units(plane)} * kUnitBytes;
    }
  }
}

}  // namespace pumice
