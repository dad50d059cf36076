#include "engine/quant/tensor_weights.h"

#include <algorithm>
#include <bit>

#include "engine/quant/ordered_work.h"
#include "loader/codec.h"

namespace pumice::quant {
namespace {

/// Weights that one thread reads at a time: 1 MiB as f32.
constexpr uint64_t kReadWeights = uint64_t(1) << 18;

bool is_finite(float x) {
  return (std::bit_cast<uint32_t>(x) & 0x7F800000u) != 0x7F800000u;
}

Result<void> check_weights(const TensorInfo& tensor, uint64_t first,
                           std::span<const float> weights) {
  uint32_t bad = 0;
  for (const float x : weights) bad |= uint32_t(!is_finite(x));
  if (!bad) return {};
  const auto at = std::ranges::find_if_not(weights, is_finite);
  const uint64_t weight = first + uint64_t(at - weights.begin());
  return fail(ErrorCode::NonFinite,
              "tensor {}: the weight in row {}, column {} is {}, expected a finite number: the "
              "model is damaged",
              tensor.name, weight / tensor.shape[0], weight % tensor.shape[0], *at);
}

}  // namespace

std::vector<Slice> cut_slices(const TensorInfo& tensor, uint64_t most) {
  const uint64_t width = tensor.shape[0], matrix = width * tensor.shape[1];
  const uint64_t step = width > most ? most : most / width * width;
  const uint64_t unit = width > most ? width : matrix;
  std::vector<Slice> slices;
  for (uint64_t begin = 0; begin < tensor.n_weights; begin += unit)
    for (uint64_t at = 0; at < unit; at += step)
      slices.push_back({begin + at, std::min(step, unit - at), begin / matrix, at % width});
  return slices;
}

Result<void> read_slice(const GgufFile& file, const TensorInfo& tensor, const Slice& slice,
                        std::vector<std::byte>& blocks, std::span<float> weights) {
  blocks.resize(size_t(bytes_as(tensor.type, slice.count)));
  PUMICE_TRY(file.read(tensor, bytes_as(tensor.type, slice.first), blocks));
  decode_row(tensor.type, blocks.data(), slice.count, weights.data());
  return check_weights(tensor, slice.first, weights);
}

Result<void> read_weights(const GgufFile& file, const TensorInfo& tensor, std::span<float> weights,
                          uint32_t threads) {
  const std::vector<Slice> slices = cut_slices(tensor, kReadWeights);
  OrderedWork job;
  job.items = job.slots = slices.size();
  job.threads = worker_count(threads, slices.size());
  std::vector<std::vector<std::byte>> blocks(job.threads);
  job.work = [&](uint32_t worker, size_t item, size_t) {
    const Slice& slice = slices[item];
    return read_slice(file, tensor, slice, blocks[worker],
                      weights.subspan(slice.first, slice.count));
  };
  return run_in_order(job);
}

}  // namespace pumice::quant
