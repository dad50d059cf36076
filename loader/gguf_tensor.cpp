// Owns the GGUF tensor table: each row alone, then all of them against the data section.
#include <algorithm>
#include <numeric>

#include "engine/base/checked.h"
#include "loader/gguf.h"
#include "loader/gguf_part.h"
#include "loader/printable.h"

namespace pumice {
namespace {

Result<void> parse_shape(ByteCursor& cursor, TensorInfo& tensor) {
  tensor.n_dims = cursor.read<uint32_t>();
  if (cursor.failed()) return fail_truncated(cursor, "the tensor table");
  if (tensor.n_dims < 1 || tensor.n_dims > GgufLimits::kDims)
    return fail(ErrorCode::BadFile, "tensor {} has {} dimensions, expected 1..{}", tensor.name,
                tensor.n_dims, GgufLimits::kDims);
  tensor.n_weights = 1;
  for (uint32_t i = 0; i < tensor.n_dims; ++i) {
    const uint64_t size = cursor.read<uint64_t>();
    if (cursor.failed()) return fail_truncated(cursor, "the tensor table");
    const auto product = checked_mul(tensor.n_weights, size);
    if (size == 0 || !product || *product > uint64_t(INT64_MAX))
      return fail(ErrorCode::BadFile,
                  "tensor {} has dimension {} of size {}, expected 1 or more and a product below "
                  "2^63",
                  tensor.name, i, size);
    tensor.shape[i] = size;
    tensor.n_weights = *product;
  }
  return {};
}

Result<void> parse_quant_type(ByteCursor& cursor, TensorInfo& tensor) {
  const uint32_t id = cursor.read<uint32_t>();
  if (cursor.failed()) return fail_truncated(cursor, "the tensor table");
  const QuantTypeInfo* known = find_quant_type(id);
  if (known != nullptr && known->has_codec) {
    tensor.type = known->type;
    return {};
  }
  const std::string_view name = gguf_type_name(id);
  return fail(ErrorCode::Unsupported,
              "tensor {} has type {} (id {}); no codec for it, supported: {}", tensor.name,
              name.empty() ? "unknown" : name, id, supported_quant_types());
}

/// Rows are whole blocks, and the size in bytes fits 64 bits.
Result<void> size_in_bytes(TensorInfo& tensor) {
  const QuantTypeInfo& type = info(tensor.type);
  if (tensor.shape[0] % type.block_weights != 0)
    return fail(ErrorCode::BadFile,
                "tensor {} has rows of {} weights, expected a multiple of {} for type {}",
                tensor.name, tensor.shape[0], type.block_weights, type.name);
  const auto bytes = checked_mul(tensor.n_weights / type.block_weights, type.block_bytes);
  if (!bytes)
    return fail(ErrorCode::BadFile, "tensor {} of shape {} and type {} has more than 2^64 bytes",
                tensor.name, shape_text(std::span(tensor.shape).first(tensor.n_dims)), type.name);
  tensor.n_bytes = *bytes;
  return {};
}

/// `file_offset` of the result is still relative to the data section.
Result<TensorInfo> parse_row(ByteCursor& cursor, uint64_t alignment) {
  TensorInfo tensor;
  PUMICE_TRY_ASSIGN(tensor.name, parse_name(cursor, GgufLimits::kTensorNameBytes, "a tensor name"));
  PUMICE_TRY(parse_shape(cursor, tensor));
  PUMICE_TRY(parse_quant_type(cursor, tensor));
  PUMICE_TRY(size_in_bytes(tensor));
  tensor.file_offset = cursor.read<uint64_t>();
  if (cursor.failed()) return fail_truncated(cursor, "the tensor table");
  if (tensor.file_offset % alignment != 0)
    return fail(ErrorCode::BadFile, "tensor {} has offset {}, expected a multiple of {}",
                tensor.name, tensor.file_offset, alignment);
  return tensor;
}

/// Turns the offset inside the data section into one inside the file, and takes the view.
Result<void> place(TensorInfo& tensor, std::span<const std::byte> bytes, uint64_t file_bytes,
                   uint64_t data_start) {
  const uint64_t data_bytes = file_bytes - data_start;
  if (tensor.file_offset > data_bytes || tensor.n_bytes > data_bytes - tensor.file_offset)
    return fail(ErrorCode::BadFile,
                "tensor {} needs {} bytes at offset {}, past the end of the data section of {} "
                "bytes: the file is truncated or damaged",
                tensor.name, tensor.n_bytes, tensor.file_offset, data_bytes);
  tensor.file_offset += data_start;
  if (tensor.file_offset + tensor.n_bytes <= bytes.size())
    tensor.data = bytes.subspan(size_t(tensor.file_offset), size_t(tensor.n_bytes));
  return {};
}

Result<void> check_overlap(std::span<const TensorInfo> tensors) {
  std::vector<uint32_t> order(tensors.size());
  std::iota(order.begin(), order.end(), 0u);
  std::ranges::sort(order, {}, [&](uint32_t i) { return tensors[i].file_offset; });
  for (size_t i = 1; i < order.size(); ++i) {
    const TensorInfo& before = tensors[order[i - 1]];
    const TensorInfo& after = tensors[order[i]];
    if (before.file_offset + before.n_bytes > after.file_offset)  // both inside the file: no wrap
      return fail(ErrorCode::BadFile, "tensors {} and {} overlap at byte {}", before.name,
                  after.name, after.file_offset);
  }
  return {};
}

}  // namespace

std::string shape_text(std::span<const uint64_t> shape) {
  return fmt::format("[{}]", fmt::join(shape, ", "));
}

Result<std::vector<TensorInfo>> parse_tensors(ByteCursor& cursor, std::span<const std::byte> bytes,
                                              uint64_t file_bytes, uint64_t count,
                                              uint64_t alignment) {
  std::vector<TensorInfo> tensors;  // grows with what was really parsed, not with `count`
  for (uint64_t i = 0; i < count; ++i) {
    const uint64_t position = cursor.position();
    auto tensor = parse_row(cursor, alignment);
    if (!tensor)
      return fail_in(fmt::format("tensor {} of {} at byte {}", i + 1, count, position),
                     std::move(tensor.error()));
    tensors.push_back(*tensor);
  }
  if (tensors.empty()) return tensors;  // a vocabulary alone may end without padding
  const auto data_start = checked_align_up(cursor.position(), alignment);
  if (!data_start || *data_start > file_bytes) return fail_truncated(cursor, "the padding");
  for (TensorInfo& tensor : tensors) PUMICE_TRY(place(tensor, bytes, file_bytes, *data_start));
  PUMICE_TRY(check_overlap(tensors));
  return tensors;
}

}  // namespace pumice
