// The table of where each type keeps its factors.
#include "tests/rows/blocks.h"

#include <cmath>
#include <cstring>

#include "engine/base/half.h"

namespace pumice::test {
namespace {

constexpr int kNowhere = -1;

/// Bytes of a block that are half floats: value = scale * q + offset, with |q| at most `reach`,
/// or for the types with a second half, value = scale * q - offset * m.
struct FactorRow {
  QuantType type;
  int scale, offset;   ///< byte of each half
  float reach;         ///< largest multiple of the scale
  float offset_reach;  ///< largest multiple of the offset; negative where it is added
};

constexpr FactorRow kFactors[] = {
    // clang-format off
    {QuantType::Q4_0,   0, kNowhere, 8, 0},     {QuantType::Q4_1, 0, 2, 8, -1},
    {QuantType::Q5_0,   0, kNowhere, 16, 0},    {QuantType::Q5_1, 0, 2, 16, -1},
    {QuantType::Q8_0,   0, kNowhere, 128, 0},   {QuantType::Q2_K, 80, 82, 24, 15},
    {QuantType::Q3_K, 108, kNowhere, 96, 0},    {QuantType::Q4_K, 0, 2, 480, 63},
    {QuantType::Q5_K,   0, 2, 960, 63},         {QuantType::Q6_K, 208, kNowhere, 2048, 0},
    {QuantType::IQ4_NL, 0, kNowhere, 127, 0},   {QuantType::IQ4_XS, 0, kNowhere, 2048, 0},
    {QuantType::TQ1_0, 52, kNowhere, 1, 0},     {QuantType::TQ2_0, 64, kNowhere, 2, 0},
    {QuantType::Q1_0,   0, kNowhere, 1, 0},     {QuantType::Q2_0, 0, kNowhere, 2, 0},
    // clang-format on
};

void put_half(std::byte* target, float value) {
  const uint16_t half = float_to_half(value);
  std::memcpy(target, &half, 2);
}

// Half to one and a half times `value`.
float around(float value, Random& random) {
  return value * (1.0f + 0.5f * uniform(random));
}

std::vector<std::byte> random_floats(QuantType type, uint64_t n, float size, Random& random) {
  const uint32_t width = info(type).block_bytes / info(type).block_weights;
  std::vector<std::byte> bytes(n * width);
  for (uint64_t i = 0; i < n; ++i) {
    const float value = size * uniform(random);
    const uint16_t half = type == QuantType::F16 ? float_to_half(value) : float_to_bfloat(value);
    std::memcpy(&bytes[i * width], width == 4 ? static_cast<const void*>(&value) : &half, width);
  }
  return bytes;
}

}  // namespace

std::vector<std::byte> random_blocks(QuantType type, uint64_t n_weights, float size,
                                     Random& random) {
  const QuantTypeInfo& layout = info(type);
  if (layout.block_weights == 1) return random_floats(type, n_weights, size, random);
  std::vector<std::byte> bytes(n_weights / layout.block_weights * layout.block_bytes);
  for (std::byte& byte : bytes) byte = std::byte(random() >> 24);
  for (size_t at = 0; at < bytes.size(); at += layout.block_bytes) {
    if (type == QuantType::MXFP4)  // 2^(e - 128) times at most 12
      bytes[at] = std::byte(127 + int(std::floor(std::log2(around(size, random) / 6.0f))));
    for (const FactorRow& row : kFactors) {
      if (row.type != type) continue;
      put_half(&bytes[at + row.scale], around(size / row.reach, random));
      if (row.offset != kNowhere)
        put_half(&bytes[at + row.offset], around(size / row.offset_reach, random));
    }
  }
  return bytes;
}

void add_random(GgufWriter& file, const std::string& name, QuantType type,
                std::vector<uint64_t> dims) {
  std::seed_seq seed(name.begin(), name.end());
  Random random(seed);
  uint64_t n = 1;
  for (const uint64_t dim : dims) n *= dim;
  if (dims.size() > 1) {
    auto bytes = random_blocks(type, n, 2.0f / std::sqrt(float(dims[0])), random);
    file.tensor(name, type, std::move(dims), std::move(bytes));
    return;
  }
  std::vector<float> values(n);
  for (float& value : values) value = 1.0f + 0.5f * uniform(random);
  file.tensor_f32(name, std::move(dims), values);
}

}  // namespace pumice::test
