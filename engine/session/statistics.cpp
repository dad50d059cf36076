// Reads device sums back and unpacks the blocks of Gram matrices.
#include "engine/session/statistics.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "engine/base/checked.h"
#include "engine/graph/taps.h"
#include "shaders/shared/push.h"

namespace pumice {
namespace {

using graph::kGramTile;

constexpr uint32_t kCopyWords = 64;       ///< per workgroup; slices are padded to as many
constexpr uint32_t kCopyColumns = 16384;  ///< workgroups per copy: 4 MiB

/// Words [first, first + columns * kCopyWords) of a slice, by the kernel that copies logits.
Dispatch copy_words(const ModelPlan& plan, const PlannedBuffers& buffers, BufferSlice from,
                    BufferSlice to, uint32_t columns) {
  shared::ColumnPush push{};
  push.width = push.a_stride = push.y_stride = kCopyWords;
  Dispatch dispatch;
  dispatch.kernel = "columns";
  dispatch.constants = {5};
  dispatch.bindings = {buffers.on_device(from), buffers.on_device(plan.empty), to,
                       buffers.on_device(plan.step)};
  dispatch.push.resize(sizeof(push) / 4);
  std::memcpy(dispatch.push.data(), &push, sizeof(push));
  dispatch.groups = {1, columns, 1};
  dispatch.label = "read back";
  return dispatch;
}

Result<void> run_once(vk::Device& device, const Dispatch& dispatch) {
  PUMICE_TRY(device.prepare({&dispatch, 1}));
  PUMICE_TRY_ASSIGN(const vk::CommandId command, device.record({&dispatch, 1}));
  const Result<vk::Ticket> ticket = device.submit(command);
  Result<void> done;
  if (ticket)
    done = device.wait(*ticket);
  else
    done = tl::unexpected<Error>(ticket.error());
  device.forget(command);
  return done;
}

Result<void> copy_out(const ModelPlan& plan, const PlannedBuffers& buffers, vk::Device& device,
                      BufferSlice slice, BufferId staging, std::span<std::byte> out) {
  const std::span<const std::byte> staged = device.mapped(staging);
  constexpr uint64_t kPieceBytes = uint64_t{kCopyColumns} * kCopyWords * 4;
  for (uint64_t at = 0; at < out.size(); at += kPieceBytes) {
    const uint64_t bytes = std::min<uint64_t>(kPieceBytes, out.size() - at);
    const uint32_t columns = uint32_t(div_up<uint64_t>(bytes, kCopyWords * 4));
    const uint64_t padded = uint64_t{columns} * kCopyWords * 4;
    PUMICE_TRY(run_once(device, copy_words(plan, buffers, {slice.buffer, slice.offset + at, padded},
                                           {staging, 0, padded}, columns)));
    std::memcpy(out.data() + at, staged.data(), bytes);
  }
  return {};
}

/// A tap's slices as host arrays of T.
template <class T>
Result<std::vector<T>> fetch(const ModelPlan& plan, const PlannedBuffers& buffers,
                             vk::Device& device, BufferSlice slice, uint64_t count) {
  std::vector<T> values(count);
  PUMICE_TRY(read_back(plan, buffers, device, slice, std::as_writable_bytes(std::span(values))));
  return values;
}

/// Puts one block, and its mirror image, into a matrix of `width` x `width`.
void unpack(const float* block, uint32_t row_block, uint32_t column_block, uint64_t width,
            float* matrix) {
  const uint64_t first_row = uint64_t{row_block} * kGramTile;
  const uint64_t first_column = uint64_t{column_block} * kGramTile;
  const uint64_t rows = std::min<uint64_t>(kGramTile, width - first_row);
  for (uint64_t i = 0; i < rows; ++i) {
    const uint64_t row = first_row + i;
    const uint64_t columns = std::min<uint64_t>(kGramTile, row + 1 - first_column);
    for (uint64_t j = 0; j < columns; ++j) {
      const float value = block[i * kGramTile + j];
      matrix[row * width + first_column + j] = value;
      matrix[(first_column + j) * width + row] = value;
    }
  }
}

Result<std::vector<float>> read_gram(const ModelPlan& plan, const PlannedBuffers& buffers,
                                     vk::Device& device, uint32_t tap) {
  const uint64_t width = plan.graph.taps[tap].width;
  const TapPlan& place = plan.taps[tap];
  std::vector<float> gram(width * width * plan.graph.taps[tap].matrices);
  for (const GramPart& part : place.gram) {
    PUMICE_TRY_ASSIGN(const std::vector<float> blocks,
                      fetch<float>(plan, buffers, device, part.slice, part.slice.bytes / 4));
    for (uint32_t i = 0; i < part.tiles; ++i) {
      const uint32_t tile = part.first_tile + i, matrix = tile / place.tiles;
      uint32_t row = 0, rest = tile % place.tiles;
      while (rest > row) rest -= ++row;
      unpack(blocks.data() + uint64_t{i} * kGramTile * kGramTile, row, rest, width,
             gram.data() + matrix * width * width);
    }
  }
  return gram;
}

/// high + low of every channel, padding left out.
std::vector<double> joined(const std::vector<float>& sums, uint32_t quads, uint32_t width,
                           uint32_t matrices) {
  std::vector<double> out;
  out.reserve(uint64_t{width} * matrices);
  for (uint32_t matrix = 0; matrix < matrices; ++matrix) {
    const float* high = sums.data() + uint64_t{matrix} * 8 * quads;
    for (uint32_t i = 0; i < width; ++i) out.push_back(double(high[i]) + high[4 * quads + i]);
  }
  return out;
}

}  // namespace

void TapStatistics::clear() {
  std::fill(sum_squares.begin(), sum_squares.end(), 0.0);
  std::fill(counts.begin(), counts.end(), 0);
  std::fill(gram.begin(), gram.end(), 0.0f);
}

Result<void> read_back(const ModelPlan& plan, const PlannedBuffers& buffers, vk::Device& device,
                       BufferSlice slice, std::span<std::byte> out, bool through_copy) {
  const std::span<const std::byte> view = device.mapped(buffers.ids[slice.buffer]);
  if (!view.empty() && !through_copy) {
    std::memcpy(out.data(), view.data() + slice.offset, out.size());
    return {};
  }
  constexpr uint64_t kBytes = uint64_t{kCopyColumns} * kCopyWords * 4;
  PUMICE_TRY_ASSIGN(const BufferId staging,
                    device.create_buffer({"readback", kBytes, BufferDomain::Readback}));
  Result<void> copied = copy_out(plan, buffers, device, slice, staging, out);
  device.destroy_buffer(staging);
  return copied;
}

Result<std::vector<TapStatistics>> read_statistics(const ModelPlan& plan,
                                                   const PlannedBuffers& buffers,
                                                   vk::Device& device) {
  std::vector<TapStatistics> all;
  for (uint32_t i = 0; i < plan.taps.size(); ++i) {
    const graph::Tap& tap = plan.graph.taps[i];
    const TapPlan& place = plan.taps[i];
    TapStatistics found{tap.tensors, tap.width, tap.matrices, {}, {}, {}};
    PUMICE_TRY_ASSIGN(const std::vector<float> sums,
                      fetch<float>(plan, buffers, device, place.sums, place.sums.bytes / 4));
    found.sum_squares = joined(sums, place.quads, tap.width, tap.matrices);
    PUMICE_TRY_ASSIGN(const std::vector<uint32_t> counts,
                      fetch<uint32_t>(plan, buffers, device, place.counts, tap.matrices));
    found.counts.assign(counts.begin(), counts.end());
    if (tap.gram) {
      PUMICE_TRY_ASSIGN(found.gram, read_gram(plan, buffers, device, i));
    }
    for (const double sum : found.sum_squares)
      if (!std::isfinite(sum))
        return fail(ErrorCode::NonFinite,
                    "the input of {} became NaN or infinite; the file's weights are damaged or "
                    "overflow",
                    tap.tensors.front());
    all.push_back(std::move(found));
  }
  return all;
}

}  // namespace pumice
