// Rows laid out as tiles and read back by the address rule of weight_layout.h, written here anew.
#include "engine/schedule/weight_layout.h"

#include <gtest/gtest.h>

#include <random>
#include <vector>

namespace pumice {
namespace {

constexpr std::byte kGuard{0xA5};

/// Where byte `at` of row `row`'s block lies inside its tile; planes follow each other, padded to
/// 16 bytes. Inside a plane, pieces of 16 bytes (or the whole, when it is no multiple of 16)
/// alternate between the 8 rows.
size_t tile_address(const WeightLayout& layout, uint32_t row, uint32_t at) {
  size_t first = 0;
  for (const Plane& plane : layout.planes) {
    if (at >= plane.offset && at < uint32_t(plane.offset + plane.bytes)) {
      const uint32_t inside = at - plane.offset;
      const uint32_t piece = plane.bytes % 16 == 0 ? 16 : plane.bytes;
      return first + inside / piece * piece * 8 + row * piece + inside % piece;
    }
    first += (size_t(plane.bytes) * 8 + 15) / 16 * 16;
  }
  ADD_FAILURE() << info(layout.type).name << ": byte " << at << " is in no plane";
  return 0;
}

struct Matrix {
  uint32_t rows, columns;
  uint64_t row_bytes;
  std::vector<std::byte> bytes;
};

Matrix random_matrix(const WeightLayout& layout, uint32_t rows, uint32_t columns) {
  Matrix m{rows, columns, uint64_t{columns} * layout.block_bytes / layout.block_weights, {}};
  std::mt19937 random(rows * 1000 + columns);
  for (uint64_t i = 0; i < rows * m.row_bytes; ++i)
    m.bytes.push_back(std::byte(1 + random() % 255));  // never zero: padding is told apart
  return m;
}

std::vector<std::byte> repacked(const WeightLayout& layout, const Matrix& m) {
  const uint32_t groups = row_groups(layout, m.columns);
  std::vector<std::byte> target(tile_row_bytes(layout, groups) + 64, kGuard);
  std::array<const std::byte*, kTileRows> rows{};
  for (uint32_t r = 0; r < m.rows; ++r) rows[r] = m.bytes.data() + r * m.row_bytes;
  repack_tile_row(layout, groups, rows, m.row_bytes, target.data());
  return target;
}

void expect_reads_back(const WeightLayout& layout, const Matrix& m) {
  SCOPED_TRACE(testing::Message() << info(layout.type).name << ": " << m.rows << " x "
                                  << m.columns);
  const std::vector<std::byte> device = repacked(layout, m);
  const uint64_t bytes = device.size() - 64;
  std::vector<bool> used(bytes);
  for (uint32_t row = 0; row < m.rows; ++row)
    for (uint64_t at = 0; at < m.row_bytes; ++at) {
      const uint64_t tile = at / layout.block_bytes;
      const uint64_t to = tile * layout.tile_units() * kUnitBytes +
                          tile_address(layout, row, uint32_t(at % layout.block_bytes));
      ASSERT_LT(to, bytes);
      ASSERT_FALSE(used[to]) << "two bytes at " << to;
      used[to] = true;
      ASSERT_EQ(device[to], m.bytes[row * m.row_bytes + at]) << "row " << row << ", byte " << at;
    }
  for (uint64_t i = 0; i < bytes; ++i)
    if (!used[i]) {
      ASSERT_EQ(device[i], std::byte{0}) << "padding at " << i;
    }
  for (uint64_t i = bytes; i < device.size(); ++i) ASSERT_EQ(device[i], kGuard) << "past the end";
}

TEST(WeightLayout, EveryTypeReadsBack) {
  EXPECT_EQ(weight_layouts().size(), 20u);
  for (const WeightLayout& layout : weight_layouts())
    for (const uint32_t blocks : {1u, 2u, 5u})
      for (const uint32_t rows : {8u, 7u, 1u})
        expect_reads_back(layout, random_matrix(layout, rows, blocks * layout.block_weights));
}

TEST(WeightLayout, FloatRowsNeedNotFillATile) {
  for (const QuantType type : {QuantType::F32, QuantType::F16, QuantType::BF16}) {
    const WeightLayout& layout = *find_weight_layout(type);
    for (const uint32_t columns : {4u, 36u, 100u, 128u}) {
      Matrix m = random_matrix(layout, 5, columns);
      expect_reads_back(layout, m);
    }
  }
}

TEST(WeightLayout, PlanesCoverEachByteOfABlockOnce) {
  for (const WeightLayout& layout : weight_layouts()) {
    SCOPED_TRACE(info(layout.type).name);
    std::vector<int> covered(layout.block_bytes);
    for (const Plane& plane : layout.planes)
      for (uint32_t at = plane.offset; at < uint32_t(plane.offset + plane.bytes); ++at)
        ++covered.at(at);
    EXPECT_EQ(std::count(covered.begin(), covered.end(), 1), long(layout.block_bytes));
    const QuantTypeInfo& file = info(layout.type);
    EXPECT_EQ(layout.block_bytes * file.block_weights, file.block_bytes * layout.block_weights);
  }
}

TEST(WeightLayout, Sizes) {
  const WeightLayout& q4_k = *find_weight_layout(QuantType::Q4_K);
  EXPECT_EQ(row_groups(q4_k, 512), 16u);
  EXPECT_EQ(tile_row_bytes(q4_k, 16), 2u * 8 * 144);
  const WeightLayout& f16 = *find_weight_layout(QuantType::F16);
  EXPECT_EQ(row_groups(f16, 33), 2u);
  EXPECT_EQ(tile_row_bytes(f16, 2), 8u * 64 * 2);
  EXPECT_EQ(find_weight_layout(QuantType::IQ3_S), nullptr);
}

}  // namespace
}  // namespace pumice
