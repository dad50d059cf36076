// Every codec against hand-made blocks whose weights are known exactly.
#include "loader/codec.h"

#include <gtest/gtest.h>

#include <array>
#include <bit>
#include <cmath>
#include <map>
#include <set>

#include "engine/base/half.h"

namespace pumice::test {
namespace {

/// A block being filled field by field, then decoded.
class Block {
 public:
  explicit Block(QuantType type) : type_(type), bytes_(info(type).block_bytes) {}

  Block& half(size_t at, float value) {
    const uint16_t bits = float_to_half(value);
    return byte(at, bits & 0xFF).byte(at + 1, bits >> 8);
  }
  Block& byte(size_t at, int value) {
    bytes_.at(at) = std::byte(value);
    return *this;
  }
  Block& fill(size_t from, size_t n, int value) {
    for (size_t i = 0; i < n; ++i) byte(from + i, value);
    return *this;
  }
  [[nodiscard]] std::vector<float> decode() const {
    std::vector<float> out(info(type_).block_weights, NAN);
    decode_row(type_, bytes_.data(), out.size(), out.data());
    return out;
  }

 private:
  QuantType type_;
  std::vector<std::byte> bytes_;
};

/// Every weight is `rest` except those that `known` lists.
void expect_weights(const Block& block, float rest, const std::map<size_t, float>& known) {
  const auto weights = block.decode();
  for (size_t i = 0; i < weights.size(); ++i) {
    const auto at = known.find(i);
    EXPECT_EQ(weights[i], at == known.end() ? rest : at->second) << "weight " << i;
  }
}

TEST(Codec, UnscaledTypes) {
  expect_weights(Block(QuantType::F32).byte(2, 0xC0).byte(3, 0x3F), 1.5f, {});
  expect_weights(Block(QuantType::F16).half(0, -0.375f), -0.375f, {});
  expect_weights(Block(QuantType::BF16).byte(0, 0x40).byte(1, 0xC0), -3.0f, {});
}

// Many at a time is the same as one at a time: every half, at every place of a vector.
TEST(Codec, EveryHalfAndBfloat) {
  std::vector<uint16_t> bits(65'536 + 3);
  for (size_t i = 0; i < bits.size(); ++i) bits[i] = uint16_t(i);
  const auto* bytes = reinterpret_cast<const std::byte*>(bits.data());
  std::vector<float> halves(bits.size()), bfloats(bits.size());
  decode_row(QuantType::F16, bytes, bits.size(), halves.data());
  decode_row(QuantType::BF16, bytes, bits.size(), bfloats.data());
  for (size_t i = 0; i < bits.size(); ++i) {
    EXPECT_EQ(std::bit_cast<uint32_t>(halves[i]), std::bit_cast<uint32_t>(half_to_float(bits[i])));
    EXPECT_EQ(std::bit_cast<uint32_t>(bfloats[i]),
              std::bit_cast<uint32_t>(bfloat_to_float(bits[i])));
  }
}

TEST(Codec, Q4_0) {
  expect_weights(Block(QuantType::Q4_0).half(0, 0.5f).fill(2, 16, 0x88).byte(2 + 3, 0xF1), 0.0f,
                 {{3, 0.5f * -7}, {19, 0.5f * 7}});
}

TEST(Codec, Q4_1) {
  expect_weights(Block(QuantType::Q4_1).half(0, 0.5f).half(2, -2.0f).byte(4 + 15, 0xF1), -2.0f,
                 {{15, -1.5f}, {31, 5.5f}});
}

TEST(Codec, Q5_0) {
  // Weight 0: 0x1F, weight 17: 0x12, weight 31: 0x10 = 16; the others 0 - 16.
  Block block(QuantType::Q5_0);
  block.half(0, 0.25f).byte(2, 0x01).byte(4, 0x02).byte(5, 0x80).byte(6, 0x0F).byte(7, 0x20);
  expect_weights(block, -4.0f, {{0, 0.25f * 15}, {17, 0.25f * 2}, {31, 0.0f}});
}

TEST(Codec, Q5_1) {
  Block block(QuantType::Q5_1);
  block.half(0, 0.25f).half(2, 1.0f).byte(4, 0x01).byte(7, 0x80).byte(8, 0x0F).byte(9, 0x20);
  expect_weights(block, 1.0f, {{0, 1 + 0.25f * 31}, {17, 1.5f}, {31, 5.0f}});
}

TEST(Codec, Q8_0) {
  expect_weights(Block(QuantType::Q8_0).half(0, 2.0f).byte(2, 0x80).byte(2 + 31, 127), 0.0f,
                 {{0, -256.0f}, {31, 254.0f}});
}

TEST(Codec, Q2_K) {
  // Group 0 has scale 3 and min 1, group 15 scale 15 and min 0, the others are zero.
  Block block(QuantType::Q2_K);
  block.half(80, 0.5f).half(82, 0.25f).byte(0, 0x13).byte(15, 0x0F);
  block.byte(16 + 0, 0x02).byte(16 + 32 + 31, 0xC0).byte(16 + 63, 0xC0);
  std::map<size_t, float> known;
  for (size_t i = 0; i < 16; ++i) known[i] = -0.25f;
  known[0] = 0.5f * 3 * 2 - 0.25f;
  known[255] = 0.5f * 15 * 3;
  expect_weights(block, 0.0f, known);
}

TEST(Codec, Q3_K) {
  // Scale fields of all zero mean -32; set group 5 to 33 and group 12 to 31.
  Block block(QuantType::Q3_K);
  block.half(108, 0.5f).fill(0, 32, 0xFF);          // third bits set: q = 0..3
  block.byte(96 + 5, 0x01).byte(96 + 8 + 1, 0x08);  // group 5: low 1, high 2 -> 33
  block.byte(96 + 4, 0xF0).byte(96 + 8 + 0, 0x40);  // group 12: low 15, high 1 -> 31
  block.byte(32 + 16, 0x30);                        // weight 80 = half 0, plane 2, column 16: q 3
  block.byte(32 + 32 + 0, 0x20).byte(0, 0xBF);      // weight 192 = half 1, plane 2: q 2 - 4
  block.byte(32 + 1, 0x01);                         // weight 1, group 0: q 1
  expect_weights(block, 0.0f, {{80, 0.5f * 1 * 3}, {192, 0.5f * -1 * -2}, {1, 0.5f * -32}});
}

/// Group 1: scale 63, min 1. Group 6: scale 0x2A, min 0x35. In the packing of Q4_K and Q5_K.
void set_scale_pairs(Block& block) {
  block.byte(4 + 1, 63).byte(4 + 5, 1);
  block.byte(4 + 6 + 4, 0x5A);                // low nibbles: min 5, scale 10
  block.byte(4 + 2, 0x80).byte(4 + 6, 0xC0);  // high bits: scale 2 -> 0x2A, min 3 -> 0x35
}

TEST(Codec, Q4_K) {
  Block block(QuantType::Q4_K);
  block.half(0, 0.5f).half(2, 0.25f);
  set_scale_pairs(block);
  block.byte(16 + 7, 0xF0).byte(16 + 96 + 31, 0x03);  // weight 39 (group 1), weight 223 (group 6)
  std::map<size_t, float> known;
  for (size_t i = 0; i < 32; ++i) known[32 + i] = -0.25f, known[192 + i] = -0.25f * 0x35;
  known[39] = 0.5f * 63 * 15 - 0.25f;
  known[223] = 0.5f * 0x2A * 3 - 0.25f * 0x35;
  expect_weights(block, 0.0f, known);
}

TEST(Codec, Q5_K) {
  Block block(QuantType::Q5_K);
  block.half(0, 0.5f).half(2, 0.25f);
  set_scale_pairs(block);
  block.byte(48 + 7, 0xF0).byte(48 + 96 + 31, 0x03);
  block.byte(16 + 7, 0x02).byte(16 + 31, 0x40);  // fifth bits of groups 1 and 6
  std::map<size_t, float> known;
  for (size_t i = 0; i < 32; ++i) known[32 + i] = -0.25f, known[192 + i] = -0.25f * 0x35;
  known[39] = 0.5f * 63 * 31 - 0.25f;
  known[223] = 0.5f * 0x2A * 19 - 0.25f * 0x35;
  expect_weights(block, 0.0f, known);
}

TEST(Codec, Q6_K) {
  Block block(QuantType::Q6_K);
  block.half(208, 0.5f).byte(192 + 3, -2 & 0xFF).byte(192 + 14, 127);
  block.fill(128, 64, 0xAA);                               // high bits 2: q - 32 = low nibble
  block.byte(32 + 17, 0x05);                               // half 0, plane 1, column 17: weight 49
  block.byte(64 + 32 + 1, 0x70).byte(128 + 32 + 1, 0xEA);  // half 1, plane 3: weight 225, high 3
  expect_weights(block, 0.0f, {{49, 0.5f * -2 * 5}, {225, 0.5f * 127 * (0x37 - 32)}});
}

TEST(Codec, Iq4Nl) {
  expect_weights(Block(QuantType::IQ4_NL).half(0, 0.5f).fill(2, 16, 0x88).byte(2, 0xF0), 0.5f,
                 {{0, -63.5f}, {16, 56.5f}});
}

TEST(Codec, Iq4Xs) {
  // Every scale 32 (high bits 2) but group 3: 33 and group 7: 0.
  Block block(QuantType::IQ4_XS);
  block.half(0, 0.5f).byte(2, 0xAA).byte(3, 0x2A).byte(4 + 1, 0x10);
  block.fill(8, 128, 0x88).byte(8 + 48 + 2, 0xF7);
  std::map<size_t, float> known;
  for (size_t i = 0; i < 32; ++i) known[96 + i] = 0.5f, known[224 + i] = 0.5f * -32;
  known[98] = 0.5f * -10;
  known[114] = 0.5f * 113;
  expect_weights(block, 0.0f, known);
}

TEST(Codec, Mxfp4) {
  Block block(QuantType::MXFP4);
  block.byte(0, 128);  // 2^1
  for (int i = 0; i < 16; ++i) block.byte(size_t(1 + i), i | (15 - i) << 4);
  const float values[] = {0, .5f, 1, 1.5f, 2, 3, 4, 6, 0, -.5f, -1, -1.5f, -2, -3, -4, -6};
  std::map<size_t, float> known;
  for (size_t i = 0; i < 16; ++i) known[i] = 2 * values[i], known[31 - i] = 2 * values[i];
  expect_weights(block, NAN, known);
  // The ends of the exponent's range.
  expect_weights(Block(QuantType::MXFP4).byte(0, 0).fill(1, 16, 0x77), 6 * 0x1p-127f, {});
  expect_weights(Block(QuantType::MXFP4).byte(0, 252).fill(1, 16, 0x77), 6 * 0x1p125f, {});
}

TEST(Codec, Q1_0) {
  expect_weights(Block(QuantType::Q1_0).half(0, 0.75f).byte(2, 0x02).byte(2 + 15, 0x80), -0.75f,
                 {{1, 0.75f}, {127, 0.75f}});
}

TEST(Codec, Q2_0) {
  expect_weights(Block(QuantType::Q2_0).half(0, 0.75f).fill(2, 16, 0x55).byte(2 + 15, 0xC1), -0.75f,
                 [] {
                   std::map<size_t, float> known;
                   for (size_t i = 0; i < 60; ++i) known[i] = 0.0f;
                   known[60] = 0.0f;
                   known[63] = 1.5f;
                   return known;
                 }());
}

TEST(Codec, Tq1_0) {
  // A byte holds ceil(v * 256 / 243) of the five digits v, first digit first; 0 is all minus d.
  const auto digits = [](std::array<int, 5> t) {
    const int v = (((t[0] * 3 + t[1]) * 3 + t[2]) * 3 + t[3]) * 3 + t[4];
    return (v * 256 + 242) / 243;
  };
  Block block(QuantType::TQ1_0);
  block.half(52, 0.5f).byte(5, digits({2, 1, 0, 1, 2})).byte(32 + 15, digits({1, 0, 0, 0, 2}));
  block.byte(48 + 2, digits({0, 1, 2, 0, 0}));
  expect_weights(block, -0.5f,
                 {{5, 0.5f},
                  {37, 0.0f},
                  {69, -0.5f},
                  {101, 0.0f},
                  {133, 0.5f},  // 32 apart
                  {160 + 15, 0.0f},
                  {160 + 64 + 15, 0.5f},  // 16 apart
                  {240 + 4 + 2, 0.0f},
                  {240 + 8 + 2, 0.5f}});  // 4 apart
}

TEST(Codec, Tq2_0) {
  Block block(QuantType::TQ2_0);
  block.half(64, 0.5f).fill(0, 64, 0x55).byte(3, 0x54).byte(32 + 31, 0x95);
  expect_weights(block, 0.0f, {{3, -0.5f}, {255, 0.5f}});
}

TEST(Codec, RowsAreBlocksOneAfterAnother) {
  std::vector<std::byte> blocks(3 * 34);
  for (size_t i = 0; i < 3; ++i) {
    blocks[34 * i + 1] = std::byte(0x3C);  // d = 1
    blocks[34 * i + 2] = std::byte(10 + i);
  }
  std::vector<float> out(96, NAN);
  decode_row(QuantType::Q8_0, blocks.data(), 96, out.data());
  for (size_t i = 0; i < 96; ++i) EXPECT_EQ(out[i], i % 32 ? 0.0f : 10.0f + float(i / 32));

  TensorInfo tensor{.name = "t",
                    .type = QuantType::Q8_0,
                    .n_dims = 2,
                    .shape = {32, 3, 1, 1},
                    .n_weights = 96,
                    .n_bytes = blocks.size(),
                    .data = blocks};
  decode_rows(tensor, 1, 2, out.data());
  EXPECT_EQ(out[0], 11.0f);
  EXPECT_EQ(out[32], 12.0f);
  EXPECT_EQ(tensor.row_bytes(), 34u);
}

TEST(QuantTypes, TableIsWhole) {
  std::set<uint32_t> ids;
  uint32_t last = 0;
  for (const QuantTypeInfo& row : quant_types()) {
    EXPECT_TRUE(ids.insert(uint32_t(row.type)).second) << row.name;
    EXPECT_EQ(find_quant_type(uint32_t(row.type)), &row);
    EXPECT_EQ(&info(row.type), &row);
    EXPECT_EQ(gguf_type_name(uint32_t(row.type)), row.name);
    EXPECT_GE(uint32_t(row.type), last) << "ids ascend";
    last = uint32_t(row.type);
    EXPECT_EQ(supported_quant_types().find(row.name) != std::string::npos, row.has_codec);
  }
  EXPECT_EQ(ids.size(), 21u);
  for (const uint32_t id : {4u, 5u, 9u, 15u, 17u, 36u, 43u, 44u, 1000u, UINT32_MAX})
    EXPECT_EQ(find_quant_type(id), nullptr) << id;
  EXPECT_EQ(gguf_type_name(17), "iq2_xs");
  EXPECT_EQ(gguf_type_name(43), "");
}

}  // namespace
}  // namespace pumice::test
