// Tile rows from file to device. The copy that re-lays the rows costs no more than the copy into
// mapped or staging memory that is needed anyway, so it is done here and not by a shader.
#include "engine/session/weight_upload.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstring>
#include <mutex>
#include <new>
#include <thread>

#include "engine/base/checked.h"
#include "engine/base/half.h"
#include "engine/graph/rope_table.h"
#include "loader/codec.h"

namespace pumice {
namespace {

using graph::kNone;
using graph::WeightId;

Result<const TensorInfo*> tensor_of(const GgufFile& file, const graph::Weight& weight) {
  const TensorInfo* tensor = file.find_tensor(weight.tensor);
  if (tensor == nullptr)
    return fail(ErrorCode::NotFound, "tensor {} is not in the file", weight.tensor);
  return tensor;
}

// The first error of several threads; the others stop when they see it.
class SharedError {
 public:
  void set(Error error) {
    const std::lock_guard lock(mutex_);
    if (!error_) error_ = std::move(error);
    stop_ = true;
  }
  [[nodiscard]] bool stop() const { return stop_; }
  [[nodiscard]] Result<void> result() {
    if (error_) return tl::unexpected<Error>(*error_);
    return {};
  }

 private:
  std::mutex mutex_;
  std::optional<Error> error_;
  std::atomic<bool> stop_{false};
};

// Runs job(i) for i in [0, count) on the machine's cores. Nothing may leave a thread but an error.
template <class Job>
Result<void> parallel(uint32_t count, const Job& job) {
  SharedError error;
  std::atomic<uint32_t> next{0};
  const auto work = [&] {
    try {
      for (uint32_t i = next++; i < count && !error.stop(); i = next++)
        if (auto done = job(i); !done) error.set(std::move(done.error()));
    } catch (const std::bad_alloc&) {
      error.set({ErrorCode::OutOfMemory, "no host memory"});  // short enough not to need any
    }
  };
  std::vector<std::jthread> threads;
  const uint32_t extra = std::min(std::max(std::thread::hardware_concurrency(), 1u), 8u) - 1;
  for (uint32_t i = 0; i < std::min(extra, count); ++i) {
    try {
      threads.emplace_back(work);
    } catch (const std::system_error&) {
      break;  // fewer threads do the same work
    }
  }
  work();
  for (std::jthread& thread : threads) thread.join();
  return error.result();
}

// Tile rows [first, first + count) of a part, contiguous on the device.
struct Piece {
  const DeviceMatrix* matrix;
  const MatrixPart* part;
  uint32_t first, count;  ///< tiles inside the part
};

std::vector<Piece> cut(const ModelPlan& plan) {
  constexpr uint64_t kPieceBytes = 4u << 20;
  std::vector<Piece> pieces;
  for (const DeviceMatrix& matrix : plan.matrices)
    for (const MatrixPart& part : matrix.parts) {
      const uint64_t tile_bytes = part.slice.bytes / part.tiles;
      const uint32_t step = uint32_t(std::max<uint64_t>(kPieceBytes / tile_bytes, 1));
      for (uint32_t first = 0; first < part.tiles; first += step)
        pieces.push_back({&matrix, &part, first, std::min(step, part.tiles - first)});
    }
  return pieces;
}

// The runs of `pieces` whose tiles come from one tensor.
std::vector<Piece> tiles_of(const ModelPlan& plan, const std::vector<Piece>& pieces,
                            std::string_view tensor) {
  std::vector<Piece> runs;
  for (const Piece& piece : pieces) {
    bool open = false;
    for (uint32_t i = piece.first; i < piece.first + piece.count; ++i) {
      const TileSource source = tile_source(plan, *piece.matrix, piece.part->first_tile + i);
      const bool wanted = plan.graph.weights[source.weight].tensor == tensor;
      if (wanted && !open) runs.push_back({piece.matrix, piece.part, i, 0});
      if (wanted) ++runs.back().count;
      open = wanted;
    }
  }
  return runs;
}

// Where rows of a matrix come from: the file, or values that replace a tensor's.
class RowReader {
 public:
  explicit RowReader(const GgufFile& file, std::span<const float> values = {})
      : file_(file), values_(values) {}

  // Bytes of a row as the device's matrix holds it.
  static uint64_t row_bytes(const graph::Weight& weight) {
    const QuantTypeInfo& type = info(weight.type);
    return uint64_t{weight.columns} / type.block_weights * type.block_bytes;
  }

  // Rows of a weight's own range in row_bytes() each.
  Result<void> read(const graph::Weight& weight, uint32_t expert, uint32_t first_row,
                    uint32_t count, std::byte* out) const {
    PUMICE_TRY_ASSIGN(const TensorInfo* tensor, tensor_of(file_, weight));
    const uint64_t rows_per_expert = tensor->n_dims > 2 ? tensor->shape[1] : 0;
    const uint64_t row = expert * rows_per_expert + weight.first_row + first_row;
    const uint64_t bytes = row_bytes(weight) * count;
    if (!values_.empty()) {
      encode(weight.type, values_.subspan(row * weight.columns, uint64_t{count} * weight.columns),
             out);
      return {};
    }
    if (tensor->type == weight.type)
      return file_.read(*tensor, row * tensor->row_bytes(), {out, bytes});
    std::vector<std::byte> blocks(tensor->row_bytes() * count);
    PUMICE_TRY(file_.read(*tensor, row * tensor->row_bytes(), blocks));
    decode_row(tensor->type, blocks.data(), uint64_t{count} * weight.columns,
               reinterpret_cast<float*>(out));
    return {};
  }

 private:
  static void encode(QuantType type, std::span<const float> values, std::byte* out) {
    if (type == QuantType::F32) {
      std::memcpy(out, values.data(), values.size_bytes());
      return;
    }
    for (const float value : values) {
      const uint16_t bits = type == QuantType::F16 ? float_to_half(value) : float_to_bfloat(value);
      std::memcpy(out, &bits, sizeof(bits));
      out += sizeof(bits);
    }
  }

  const GgufFile& file_;
  std::span<const float> values_;  // of the whole tensor; empty = read the file
};

Result<void> lay_out(const RowReader& reader, const ModelPlan& plan, const Piece& piece,
                     std::byte* target, std::vector<std::byte>& rows_bytes) {
  const DeviceMatrix& matrix = *piece.matrix;
  const WeightLayout& layout = *find_weight_layout(matrix.type);
  const uint64_t tile_bytes = tile_row_bytes(layout, matrix.groups);
  for (uint32_t i = 0; i < piece.count; ++i) {
    const TileSource source = tile_source(plan, matrix, piece.part->first_tile + piece.first + i);
    const graph::Weight& weight = plan.graph.weights[source.weight];
    const uint64_t row_bytes = RowReader::row_bytes(weight);
    rows_bytes.resize(row_bytes * source.rows);
    PUMICE_TRY(
        reader.read(weight, source.expert, source.first_row, source.rows, rows_bytes.data()));
    std::array<const std::byte*, kTileRows> rows{};
    for (uint32_t r = 0; r < source.rows; ++r) rows[r] = rows_bytes.data() + r * row_bytes;
    repack_tile_row(layout, matrix.groups, rows, row_bytes, target + i * tile_bytes);
  }
  return {};
}

class Uploader {
 public:
  Uploader(const GgufFile& file, const ModelPlan& plan, const PlannedBuffers& buffers,
           vk::Device& device, const LoadProgress& progress, const VectorValues& replaced)
      : file_(file),
        plan_(plan),
        buffers_(buffers),
        device_(device),
        progress_(progress),
        replaced_(replaced) {
    for (const BufferId id : buffers_.ids) mapped_.push_back(device_.mapped(id));
  }

  Result<void> matrices() {
    for (const DeviceMatrix& matrix : plan_.matrices) total_ += matrix.bytes;
    return pieces(cut(plan_), RowReader(file_));
  }

  // The tiles of one tensor, from values.
  Result<void> replace(std::string_view tensor, std::span<const float> values) {
    return pieces(tiles_of(plan_, cut(plan_), tensor), RowReader(file_, values));
  }

  Result<void> vectors() {
    for (const DeviceVector& vector : plan_.vectors) {
      PUMICE_TRY_ASSIGN(const std::vector<float> values, vector_values(vector));
      PUMICE_TRY(put(vector.slice, std::as_bytes(std::span(values))));
    }
    return {};
  }

  Result<void> ropes() {
    for (size_t i = 0; i < plan_.ropes.size(); ++i) {
      const graph::RopeSpec& spec = plan_.graph.ropes[i];
      std::vector<float> factors;
      if (spec.factors != kNone) {
        PUMICE_TRY_ASSIGN(factors, vector_range(spec.factors, 0, spec.n_rot / 2));
      }
      const std::vector<float> table = graph::rope_table(spec, factors, plan_.options.context);
      PUMICE_TRY(put(plan_.ropes[i], std::as_bytes(std::span(table))));
    }
    return {};
  }

 private:
  Result<void> put(BufferSlice slice, std::span<const std::byte> data) {
    const std::span<std::byte> view = mapped_[slice.buffer];
    if (view.empty()) {
      const std::lock_guard lock(mutex_);
      return device_.upload({buffers_.ids[slice.buffer], slice.offset, data.size()}, data);
    }
    std::memcpy(view.data() + slice.offset, data.data(), data.size());
    return {};
  }

  Result<void> pieces(const std::vector<Piece>& all, const RowReader& reader) {
    return parallel(uint32_t(all.size()), [&](uint32_t i) { return piece(all[i], reader); });
  }

  Result<void> piece(const Piece& piece, const RowReader& reader) {
    const uint64_t tile_bytes = piece.part->slice.bytes / piece.part->tiles;
    const uint64_t bytes = tile_bytes * piece.count;
    const uint64_t offset = piece.part->slice.offset + tile_bytes * piece.first;
    std::vector<std::byte> rows;
    const std::span<std::byte> view = mapped_[piece.part->slice.buffer];
    if (!view.empty()) {
      PUMICE_TRY(lay_out(reader, plan_, piece, view.data() + offset, rows));
    } else {
      std::vector<std::byte> staged(bytes);
      PUMICE_TRY(lay_out(reader, plan_, piece, staged.data(), rows));
      PUMICE_TRY(put({piece.part->slice.buffer, offset, bytes}, staged));
    }
    return report(bytes);
  }

  Result<void> report(uint64_t bytes) {
    const std::lock_guard lock(mutex_);
    done_ += bytes;
    if (progress_ && !progress_(done_, total_))
      return fail(ErrorCode::Cancelled, "loading was cancelled");
    return {};
  }

  Result<std::vector<float>> vector_range(WeightId id, uint32_t expert, uint32_t length) const {
    const graph::Weight& weight = plan_.graph.weights[id];
    PUMICE_TRY_ASSIGN(const TensorInfo* tensor, tensor_of(file_, weight));
    std::vector<float> values(tensor->shape[0]);
    if (const auto found = replaced_.find(weight.tensor); found != replaced_.end()) {
      std::copy_n(found->second.begin() + ptrdiff_t(expert * values.size()), values.size(),
                  values.begin());
    } else {
      std::vector<std::byte> bytes(tensor->row_bytes());
      PUMICE_TRY(file_.read(*tensor, expert * tensor->row_bytes(), bytes));
      decode_row(tensor->type, bytes.data(), tensor->shape[0], values.data());
    }
    values.erase(values.begin(),
                 values.begin() + std::min<size_t>(weight.first_row, values.size()));
    values.resize(length);
    for (const float value : values)
      if (!std::isfinite(value))
        return fail(ErrorCode::NonFinite, "tensor {} holds NaN or infinity", weight.tensor);
    return values;
  }

  // All ranges of a vector in device order.
  Result<std::vector<float>> vector_values(const DeviceVector& vector) const {
    std::vector<float> all;
    for (uint32_t expert = 0; expert < vector.experts; ++expert) {
      std::vector<std::vector<float>> ranges;
      for (size_t i = 0; i < vector.weights.size(); ++i) {
        ranges.emplace_back(vector.lengths[i], 0.0f);
        if (vector.weights[i] == kNone) continue;
        PUMICE_TRY_ASSIGN(ranges.back(),
                          vector_range(vector.weights[i], expert, vector.lengths[i]));
      }
      if (vector.interleaved) {
        for (size_t at = 0; at < ranges[0].size(); at += kTileRows)
          for (std::vector<float>& range : ranges) {
            range.resize(align_up<size_t>(range.size(), kTileRows));
            all.insert(all.end(), range.begin() + at, range.begin() + at + kTileRows);
          }
      } else {
        for (const std::vector<float>& range : ranges)
          all.insert(all.end(), range.begin(), range.end());
      }
    }
    return all;
  }

  const GgufFile& file_;
  const ModelPlan& plan_;
  const PlannedBuffers& buffers_;
  vk::Device& device_;
  const LoadProgress& progress_;
  const VectorValues& replaced_;
  std::vector<std::span<std::byte>> mapped_;
  std::mutex mutex_;
  uint64_t done_ = 0, total_ = 0;
};

// What the graph does with a tensor.
struct Uses {
  bool matrix = false, vector = false;
  QuantType type = QuantType::F32;  ///< as the device holds it
};

Uses uses_of(const ModelPlan& plan, std::string_view name) {
  Uses uses;
  const auto is = [&](WeightId id) { return id != kNone && plan.graph.weights[id].tensor == name; };
  for (const DeviceMatrix& matrix : plan.matrices)
    for (const WeightId id : matrix.weights)
      if (is(id)) uses = {true, uses.vector, matrix.type};
  for (const DeviceVector& vector : plan.vectors)
    uses.vector |= std::any_of(vector.weights.begin(), vector.weights.end(), is);
  for (const graph::RopeSpec& rope : plan.graph.ropes) uses.vector |= is(rope.factors);
  return uses;
}

Result<Uses> check_replacement(const GgufFile& file, const ModelPlan& plan, std::string_view name,
                               std::span<const float> values) {
  const TensorInfo* tensor = file.find_tensor(name);
  const Uses uses = uses_of(plan, name);
  if (tensor == nullptr || !(uses.matrix || uses.vector))
    return fail(ErrorCode::NotFound, "the model uses no tensor {}", name);
  if (values.size() != tensor->n_weights)
    return fail(ErrorCode::BadArgument, "tensor {} has {} weights, {} were given", name,
                tensor->n_weights, values.size());
  const auto bad =
      std::find_if(values.begin(), values.end(), [](float v) { return !std::isfinite(v); });
  if (bad != values.end())
    return fail(ErrorCode::BadArgument, "tensor {}: weight {} of the new values is {}", name,
                bad - values.begin(), *bad);
  const bool plain =
      uses.type == QuantType::F32 || uses.type == QuantType::F16 || uses.type == QuantType::BF16;
  if (uses.matrix && !plain)
    return fail(ErrorCode::Unsupported,
                "tensor {} is loaded as {}: its values cannot be replaced; load the model with "
                "weights as f32",
                name, info(uses.type).name);
  return uses;
}

}  // namespace

Result<void> replace_tensor(const GgufFile& file, const ModelPlan& plan,
                            const PlannedBuffers& buffers, vk::Device& device,
                            std::string_view name, std::span<const float> values,
                            VectorValues& vectors) {
  PUMICE_TRY_ASSIGN(const Uses uses, check_replacement(file, plan, name, values));
  if (uses.vector)
    vectors.insert_or_assign(std::string(name), std::vector<float>(values.begin(), values.end()));
  const LoadProgress silent;
  Uploader uploader(file, plan, buffers, device, silent, vectors);
  if (uses.matrix) PUMICE_TRY(uploader.replace(name, values));
  if (uses.vector) {
    PUMICE_TRY(uploader.vectors());
    PUMICE_TRY(uploader.ropes());
  }
  return device.finish_uploads();
}

Result<void> upload_weights(const GgufFile& file, const ModelPlan& plan,
                            const PlannedBuffers& buffers, vk::Device& device,
                            const LoadProgress& progress) {
  const VectorValues none;
  Uploader uploader(file, plan, buffers, device, progress, none);
  PUMICE_TRY(uploader.matrices());
  PUMICE_TRY(uploader.vectors());
  PUMICE_TRY(uploader.ropes());
  return device.finish_uploads();
}

}  // namespace pumice
