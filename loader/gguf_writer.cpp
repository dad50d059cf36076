// Owns the layout of a written file: header, tensor table, padding, order.
#include "loader/gguf_writer.h"

#include <algorithm>
#include <filesystem>
#include <optional>
#include <string_view>
#include <utility>

#include "engine/base/checked.h"
#include "engine/base/platform_file.h"
#include "loader/byte_writer.h"
#include "loader/gguf.h"
#include "loader/printable.h"
#include "loader/tensor_info.h"

namespace pumice {

struct GgufWriter::State {
  std::string path;
  std::unique_ptr<NewFile> file;
  std::vector<GgufTensorPlan> tensors;
  GgufLayout layout;
  size_t tensor = 0;     ///< the one being written
  uint64_t written = 0;  ///< bytes of it
};

namespace {

constexpr uint32_t kVersion = 3;

std::string size_text(uint64_t bytes) {
  return bytes < 10'000'000 ? fmt::format("{} bytes", bytes)
                            : fmt::format("{:.2f} GiB", double(bytes) / 0x1p30);
}

Result<uint64_t> bytes_of(const GgufTensorPlan& tensor) {
  const QuantTypeInfo& layout = info(tensor.type);
  std::optional<uint64_t> weights = 1;
  for (const uint64_t dim : tensor.shape) weights = checked_mul(weights.value_or(0), dim);
  if (tensor.shape.empty() || tensor.shape.size() > GgufLimits::kDims || !weights || *weights == 0)
    return fail(ErrorCode::BadArgument,
                "tensor {}: shape {} is not 1 to {} numbers above zero whose product fits 64 bits",
                printable(tensor.name), shape_text(tensor.shape), GgufLimits::kDims);
  if (tensor.shape[0] % layout.block_weights != 0)
    return fail(ErrorCode::BadArgument,
                "tensor {}: rows of {} weights cannot be stored as {}, whose blocks hold {}",
                printable(tensor.name), tensor.shape[0], layout.name, layout.block_weights);
  const auto bytes = checked_mul(*weights / layout.block_weights, layout.block_bytes);
  if (bytes) return *bytes;
  return fail(ErrorCode::BadArgument, "tensor {}: shape {} is too large", printable(tensor.name),
              shape_text(tensor.shape));
}

Result<void> check_names(std::span<const GgufTensorPlan> tensors, const MetadataDraft& metadata) {
  const auto check = [](std::string_view what, std::string_view name, uint64_t longest,
                        std::string_view next) -> Result<void> {
    if (!name.empty() && name.size() <= longest && is_clean_utf8(name) && name != next) return {};
    return fail(ErrorCode::BadArgument,
                "{} {}: a name must be 1 to {} bytes of UTF-8 and be there once", what,
                printable(name), longest);
  };
  if (tensors.size() > GgufLimits::kTensors || metadata.size() > GgufLimits::kKeys)
    return fail(ErrorCode::BadArgument, "{} tensors and {} keys are more than a file may hold",
                tensors.size(), metadata.size());
  std::vector<std::string_view> names, keys;
  for (const GgufTensorPlan& tensor : tensors) names.push_back(tensor.name);
  for (const MetadataDraft::Entry& entry : metadata.entries()) keys.push_back(entry.key);
  std::ranges::sort(names);
  std::ranges::sort(keys);
  for (size_t i = 0; i < names.size(); ++i)
    PUMICE_TRY(check("tensor", names[i], GgufLimits::kTensorNameBytes,
                     i + 1 < names.size() ? names[i + 1] : ""));
  for (size_t i = 0; i < keys.size(); ++i)
    PUMICE_TRY(
        check("key", keys[i], GgufLimits::kKeyBytes, i + 1 < keys.size() ? keys[i + 1] : ""));
  return {};
}

Result<void> check_room(const GgufWriter::State& state) {
  const std::filesystem::path folder = std::filesystem::path(state.path).parent_path();
  const uint64_t room = free_bytes(folder);
  const uint64_t needed = state.layout.file_bytes;
  if (needed <= room) return {};
  return fail(ErrorCode::Io, "{}: the disk has {} free, the file needs {}", state.path,
              size_text(room), size_text(needed));
}

}  // namespace

Result<GgufLayout> gguf_layout(const std::string& name, const MetadataDraft& metadata,
                               std::span<const GgufTensorPlan> tensors) {
  PUMICE_TRY(check_names(tensors, metadata));
  GgufLayout layout;
  PUMICE_TRY_ASSIGN(layout.alignment, metadata.alignment());
  std::vector<std::byte>& head = layout.head;
  append_bytes(head, std::as_bytes(std::span(std::string_view("GGUF"))));
  append_value(head, kVersion);
  append_value(head, uint64_t(tensors.size()));
  append_value(head, uint64_t(metadata.size()));
  append_bytes(head, metadata.encoded());
  std::optional<uint64_t> offset = 0;
  for (const GgufTensorPlan& tensor : tensors) {
    PUMICE_TRY_ASSIGN(const uint64_t bytes, bytes_of(tensor));
    append_string(head, tensor.name);
    append_value(head, uint32_t(tensor.shape.size()));
    for (const uint64_t dim : tensor.shape) append_value(head, dim);
    append_value(head, uint32_t(tensor.type));
    append_value(head, *offset);
    layout.at.push_back(*offset);
    layout.bytes.push_back(bytes);
    offset = checked_add(*offset, bytes);
    if (offset) offset = checked_align_up(*offset, layout.alignment);
    if (!offset)
      return fail(ErrorCode::BadArgument, "{}: the file would be larger than 64 bits can say",
                  name);
  }
  head.resize(align_up<uint64_t>(head.size(), layout.alignment));
  for (uint64_t& at : layout.at) at += head.size();
  layout.file_bytes = checked_add(*offset, head.size()).value_or(UINT64_MAX);
  return layout;
}

GgufWriter::GgufWriter(std::unique_ptr<State> state) : state_(std::move(state)) {}
GgufWriter::~GgufWriter() = default;

Result<std::unique_ptr<GgufWriter>> GgufWriter::create(const std::string& path,
                                                       const MetadataDraft& metadata,
                                                       std::vector<GgufTensorPlan> tensors) {
  auto state = std::make_unique<State>();
  state->tensors = std::move(tensors);
  PUMICE_TRY_ASSIGN(const std::filesystem::path target, final_target(path));
  state->path = target.string();
  PUMICE_TRY_ASSIGN(state->layout, gguf_layout(state->path, metadata, state->tensors));
  PUMICE_TRY(check_room(*state));
  PUMICE_TRY_ASSIGN(state->file, NewFile::create(target));
  PUMICE_TRY(state->file->write(state->layout.head));
  return std::unique_ptr<GgufWriter>(new GgufWriter(std::move(state)));
}

uint64_t GgufWriter::file_bytes() const {
  return state_->layout.file_bytes;
}

Result<void> GgufWriter::write(std::span<const std::byte> bytes) {
  static constexpr std::byte kZeros[GgufLimits::kAlignment] = {};
  State& state = *state_;
  while (!bytes.empty()) {
    if (state.tensor == state.tensors.size())
      return fail(ErrorCode::BadArgument, "{}: {} bytes too many were written", state.path,
                  bytes.size());
    const uint64_t size = state.layout.bytes[state.tensor];
    const auto now = bytes.first(size_t(std::min<uint64_t>(bytes.size(), size - state.written)));
    PUMICE_TRY(state.file->write(now));
    bytes = bytes.subspan(now.size());
    state.written += now.size();
    if (state.written < size) continue;
    const uint64_t padding = align_up(size, state.layout.alignment) - size;
    PUMICE_TRY(state.file->write(std::span(kZeros).first(size_t(padding))));
    ++state.tensor;
    state.written = 0;
  }
  return {};
}

Result<void> GgufWriter::finish() {
  if (state_->tensor != state_->tensors.size())
    return fail(ErrorCode::BadArgument, "{}: the file ends inside tensor {}", state_->path,
                printable(state_->tensors[state_->tensor].name));
  return state_->file->finish();
}

}  // namespace pumice
