// Encodes rows: whole blocks through the scale search, unscaled types by rounding.
#include "engine/quant/encode.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cassert>
#include <cmath>

#include "engine/base/half.h"
#include "engine/quant/block_grid.h"

namespace pumice::quant {
namespace {

/// Numbers between the largest finite one and infinity become the former: a file stays finite.
uint16_t finite_half(float value) {
  return float_to_half(std::clamp(value, -65504.0f, 65504.0f));
}

uint16_t finite_bfloat(float value) {
  constexpr float kLargest = 0x1.FEp127f;
  return float_to_bfloat(std::clamp(value, -kLargest, kLargest));
}

template <uint16_t (*kRound)(float)>
void encode_16(std::span<const float> weights, std::span<std::byte> out) {
  for (size_t i = 0; i < weights.size(); ++i) {
    const uint16_t bits = kRound(weights[i]);
    out[2 * i] = std::byte(bits & 255);
    out[2 * i + 1] = std::byte(bits >> 8);
  }
}

void encode_f32(std::span<const float> weights, std::span<std::byte> out) {
  for (size_t i = 0; i < weights.size(); ++i)
    for (uint32_t byte = 0; byte < 4; ++byte)
      out[4 * i + byte] = std::byte(std::bit_cast<uint32_t>(weights[i]) >> 8 * byte & 255);
}

/// Codes and bytes of blocks with scales, `grids.size()` of them.
void encode_grids(std::span<const BlockGrid> grids, std::span<const float> weights,
                  std::span<std::byte> out) {
  std::array<uint8_t, 256> codes;
  for (size_t i = 0; i < grids.size(); ++i) {
    const size_t block_weights = grids[i].weights, block_bytes = info(grids[i].type).block_bytes;
    const std::span block_codes(codes.data(), block_weights);
    nearest_codes(grids[i], weights.subspan(i * block_weights, block_weights), block_codes);
    pack_block(grids[i], block_codes, out.subspan(i * block_bytes, block_bytes));
  }
}

void encode_blocks(QuantType type, std::span<const float> weights, uint64_t width,
                   std::span<const float> importance, std::span<std::byte> out) {
  constexpr size_t kBatch = 64;
  const size_t block_weights = info(type).block_weights, block_bytes = info(type).block_bytes;
  std::array<BlockSource, kBatch> sources;
  std::array<BlockGrid, kBatch> grids;
  const size_t blocks = weights.size() / block_weights;
  for (size_t first = 0; first < blocks; first += kBatch) {
    const size_t count = std::min(kBatch, blocks - first);
    for (size_t i = 0; i < count; ++i) {
      const size_t at = (first + i) * block_weights;
      sources[i] = {weights.data() + at,
                    importance.empty() ? nullptr : importance.data() + at % width};
    }
    fit_blocks(type, {sources.data(), count}, {grids.data(), count});
    encode_grids({grids.data(), count}, weights.subspan(first * block_weights),
                 out.subspan(first * block_bytes));
  }
}

}  // namespace

bool can_encode(QuantType type) {
  return type == QuantType::F32 || type == QuantType::F16 || type == QuantType::BF16 ||
         has_grid(type);
}

void encode_rows(QuantType type, std::span<const float> weights, uint64_t width,
                 std::span<const float> importance, std::span<std::byte> out) {
  assert(can_encode(type) && width > 0 && width % info(type).block_weights == 0);
  assert(weights.size() % width == 0 && (importance.empty() || importance.size() == width));
  assert(out.size() == weights.size() / info(type).block_weights * info(type).block_bytes);
  switch (type) {
    case QuantType::F32:
      return encode_f32(weights, out);
    case QuantType::F16:
      return encode_16<finite_half>(weights, out);
    case QuantType::BF16:
      return encode_16<finite_bfloat>(weights, out);
    default:
      return encode_blocks(type, weights, width, importance, out);
  }
}

void encode_fitted(QuantType type, std::span<const float> weights, std::span<const BlockFit> fits,
                   std::span<std::byte> out) {
  assert(has_grid(type) && weights.size() == fits.size() * info(type).block_weights);
  assert(out.size() == fits.size() * info(type).block_bytes);
  for (size_t i = 0; i < fits.size(); ++i) {
    const BlockGrid grid = make_grid(type, fits[i]);
    encode_grids({&grid, 1}, weights.subspan(i * grid.weights),
                 out.subspan(i * info(type).block_bytes));
  }
}

}  // namespace pumice::quant
