// Turns fitted scale fields into the numbers that a decoder computes from them, and weights into
// codes.
#include "engine/quant/block_grid.h"

#include <algorithm>
#include <bit>
#include <cassert>
#include <cmath>

#include "engine/quant/block_fields.h"
#include "engine/quant/fit.h"

namespace pumice::quant {
namespace {

/// -128, -127, ... 127: every linear type's levels are a run of these.
constexpr std::array<float, 256> kIntegers = [] {
  std::array<float, 256> out{};
  for (size_t i = 0; i < out.size(); ++i) out[i] = float(i) - 128.0f;
  return out;
}();
/// Codes 8 to 15 are codes 0 to 7 with the sign set.
constexpr std::array<float, 16> kSignedE2m1 = [] {
  std::array<float, 16> out{};
  for (size_t i = 0; i < 8; ++i) out[i] = kE2m1Levels[i], out[i + 8] = -kE2m1Levels[i];
  return out;
}();

std::span<const float> levels_of(const FitPlan& plan, uint32_t codes) {
  switch (plan.levels) {
    case LevelKind::Linear:
      return std::span(kIntegers).subspan(size_t(int(plan.low) + 128), codes);
    case LevelKind::Iq4:
      return kIq4Levels;
    case LevelKind::E2m1:
      return kSignedE2m1;
  }
  return {};
}

/// The arithmetic of loader/codec.cpp, operation by operation.
void set_scales(BlockGrid& grid, const FitPlan& plan, const BlockFit& fit) {
  for (size_t j = 0; j < size_t(plan.groups); ++j) switch (plan.kind) {
      case FitKind::Signed:
        grid.scale[j] = fit.d;
        break;
      case FitKind::SignedSuper:
        grid.scale[j] = fit.d * float(fit.scale[j]);
        break;
      case FitKind::Minimum:
        grid.scale[j] = fit.d;
        grid.offset[j] = fit.dmin;
        break;
      case FitKind::MinimumSuper:
        grid.scale[j] = fit.d * float(fit.scale[j]);
        grid.offset[j] = -(fit.dmin * float(fit.minimum[j]));
        break;
      case FitKind::Exponent:
        grid.scale[j] = std::ldexp(1.0f, fit.scale[j] - 128);
        break;
    }
}

/// How many of the midpoints of ascending levels lie below t.
template <size_t kCount>
uint32_t count_below(const float (&levels)[kCount], float t) {
  uint32_t count = 0;
  for (size_t k = 1; k < kCount; ++k) count += t > 0.5f * (levels[k - 1] + levels[k]);
  return count;
}

struct CodeFinder {
  float offset, inverse, low, high;

  CodeFinder(const BlockGrid& grid, uint32_t group)
      : offset(grid.offset[group]),
        inverse(grid.scale[group] == 0 ? 0.0f : 1.0f / grid.scale[group]),
        low(grid.levels.front()),
        high(grid.levels.back()) {}

  uint32_t linear(float x) const {
    float t = (x - offset) * inverse;
    t = t > low ? t : low;  // so written, NaN becomes a code as well
    t = t < high ? t : high;
    return uint32_t(int32_t((t + 0x1.8p23f) - 0x1.8p23f - low));
  }
  uint32_t iq4(float x) const { return count_below(kIq4Levels, (x - offset) * inverse); }
  uint32_t e2m1(float x) const {
    const float t = (x - offset) * inverse;
    return count_below(kE2m1Levels, std::fabs(t)) | (t < 0 ? 8u : 0u);
  }
  uint32_t of_kind(LevelKind kind, float x) const {
    return kind == LevelKind::Linear ? linear(x) : kind == LevelKind::Iq4 ? iq4(x) : e2m1(x);
  }
};

}  // namespace

bool has_grid(QuantType type) {
  return fit_plan(type) != nullptr;
}

BlockGrid make_grid(QuantType type, const BlockFit& fit) {
  const FitPlan& plan = *fit_plan(type);
  const BlockFields& fields = *find_block_fields(type);
  BlockGrid grid;
  grid.type = type;
  grid.kind = plan.levels;
  grid.weights = info(type).block_weights;
  grid.group = uint32_t(plan.group_weights);
  grid.codes = fields.codes;
  grid.levels = levels_of(plan, fields.codes);
  set_scales(grid, plan, fit);
  fields.write_header(fit, grid.header.data());
  return grid;
}

void fit_blocks(QuantType type, std::span<const BlockSource> blocks, std::span<BlockGrid> out) {
  assert(blocks.size() == out.size());
  constexpr size_t kBatch = 64;
  BlockFit fits[kBatch];
  for (size_t first = 0; first < blocks.size(); first += kBatch) {
    const size_t count = std::min(kBatch, blocks.size() - first);
    fit(type, blocks.subspan(first, count), std::span(fits, count));
    for (size_t i = 0; i < count; ++i) out[first + i] = make_grid(type, fits[i]);
  }
}

BlockGrid fit_block(QuantType type, std::span<const float> block,
                    std::span<const float> importance) {
  assert(block.size() == info(type).block_weights);
  assert(importance.empty() || importance.size() == block.size());
  const BlockSource source = {block.data(), importance.empty() ? nullptr : importance.data()};
  BlockGrid grid;
  fit_blocks(type, {&source, 1}, {&grid, 1});
  return grid;
}

uint32_t nearest_code(const BlockGrid& grid, uint32_t i, float x) {
  return CodeFinder(grid, i / grid.group).of_kind(grid.kind, x);
}

void nearest_codes(const BlockGrid& grid, std::span<const float> block, std::span<uint8_t> codes) {
  assert(block.size() == grid.weights && codes.size() == grid.weights);
  for (uint32_t first = 0; first < grid.weights; first += grid.group) {
    const CodeFinder finder(grid, first / grid.group);
    const float* x = block.data() + first;
    uint8_t* out = codes.data() + first;
    switch (grid.kind) {  // outside the loops: each of them becomes vectors
      case LevelKind::Linear:
        for (uint32_t i = 0; i < grid.group; ++i) out[i] = uint8_t(finder.linear(x[i]));
        break;
      case LevelKind::Iq4:
        for (uint32_t i = 0; i < grid.group; ++i) out[i] = uint8_t(finder.iq4(x[i]));
        break;
      case LevelKind::E2m1:
        for (uint32_t i = 0; i < grid.group; ++i) out[i] = uint8_t(finder.e2m1(x[i]));
        break;
    }
  }
}

void pack_block(const BlockGrid& grid, std::span<const uint8_t> codes, std::span<std::byte> out) {
  assert(codes.size() == grid.weights && out.size() == info(grid.type).block_bytes);
  const BlockFields& fields = *find_block_fields(grid.type);
  std::fill(out.begin(), out.end(), std::byte(0));
  fields.write_codes(codes, out.data());
  const std::byte* from = grid.header.data();
  for (const HeaderPiece& piece : fields.pieces) {
    std::copy_n(from, piece.bytes, out.data() + piece.offset);
    from += piece.bytes;
  }
}

}  // namespace pumice::quant
