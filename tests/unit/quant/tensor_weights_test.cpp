// Slices of tensors: every weight once, in order, no slice over two matrices.
#include "engine/quant/tensor_weights.h"

#include <gtest/gtest.h>

#include <array>

namespace pumice::quant::test {
namespace {

TensorInfo tensor_of(std::array<uint64_t, 4> shape) {
  TensorInfo tensor;
  tensor.name = "a.weight";
  tensor.n_dims = 4;
  tensor.shape = shape;
  tensor.n_weights = shape[0] * shape[1] * shape[2] * shape[3];
  return tensor;
}

TEST(TensorWeights, SlicesCoverEveryWeightOnce) {
  constexpr uint64_t kMost = 1024;  // one of the shapes has longer rows
  constexpr std::array<uint64_t, 4> kShapes[] = {
      {96, 40, 1, 1}, {1024, 3, 1, 1}, {32, 5, 7, 2}, {2560, 3, 2, 1}, {256, 1, 1, 1}};
  for (const std::array<uint64_t, 4>& shape : kShapes) {
    const TensorInfo tensor = tensor_of(shape);
    uint64_t next = 0;
    for (const Slice& slice : cut_slices(tensor, kMost)) {
      EXPECT_EQ(slice.first, next);
      EXPECT_LE(slice.count, kMost);
      EXPECT_EQ(slice.column, slice.first % shape[0]);
      EXPECT_EQ(slice.matrix, slice.first / (shape[0] * shape[1]));
      EXPECT_EQ(slice.matrix, (slice.first + slice.count - 1) / (shape[0] * shape[1]));
      const bool whole_rows = slice.count % shape[0] == 0;
      EXPECT_TRUE(whole_rows || slice.column + slice.count <= shape[0]);
      next += slice.count;
    }
    EXPECT_EQ(next, tensor.n_weights);
  }
}

TEST(TensorWeights, BytesOfWhatDoesNotFitAreNone) {
  const TensorInfo tensor = tensor_of({96, 4, 1, 1});
  EXPECT_TRUE(fits(QuantType::Q4_0, tensor));
  EXPECT_EQ(bytes_as(QuantType::Q4_0, tensor), 3u * 4 * 18);
  EXPECT_FALSE(fits(QuantType::Q4_K, tensor));
  EXPECT_EQ(bytes_as(QuantType::Q4_K, tensor), 0u);
}

}  // namespace
}  // namespace pumice::quant::test
