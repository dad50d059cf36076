// Owns GgufFile: joining parts into one model, looking tensors up, and the ways to open one.
#include "loader/gguf.h"

#include <algorithm>
#include <cstring>
#include <new>
#include <numeric>
#include <optional>

#include "loader/gguf_part.h"
#include "loader/gguf_split.h"
#include "loader/mapped_file.h"
#include "loader/printable.h"

namespace pumice {

struct GgufFile::State {
  std::vector<std::shared_ptr<const ByteSource>> sources;  // one per part, never empty
  std::vector<std::vector<std::byte>> headers;             // of sources that can only read
  uint32_t version = 0;
  uint64_t file_bytes = 0;
  uint64_t tensor_bytes = 0;
  Metadata metadata;  // of the first part
  std::vector<TensorInfo> tensors;
  std::vector<uint32_t> by_name;  // positions in tensors, sorted by name
};

namespace {

using Source = std::shared_ptr<const ByteSource>;
using File = std::shared_ptr<const GgufFile>;

/// One part with the bytes its views point into.
struct OpenPart {
  Source source;
  GgufPart part;
  std::vector<std::byte> header;  ///< empty where the source's own memory is pointed into
};

/// Copies the beginning of a file until all that is not weights is in it: a megabyte is enough for
/// small vocabularies, and the largest that exist take some dozens.
Result<OpenPart> open_by_reading(Source source) {
  constexpr uint64_t kFirst = 1u << 20, kMost = 256u << 20;
  for (uint64_t bytes = kFirst;; bytes *= 4) {
    const bool whole = bytes >= source->size();
    std::vector<std::byte> header(size_t(whole ? source->size() : bytes));
    PUMICE_TRY(source->read(0, header));
    auto part = parse_gguf_part(source->name(), header, source->size());
    const bool is_gguf = header.size() >= 4 && std::memcmp(header.data(), "GGUF", 4) == 0;
    if (!part && !whole && is_gguf && bytes < kMost) continue;  // maybe it only ends too early
    if (!part) return tl::unexpected(std::move(part.error()));
    return OpenPart{std::move(source), std::move(*part), std::move(header)};
  }
}

Result<OpenPart> open_part(Source source) {
  auto bytes = source->map();
  if (!bytes && bytes.error().code == ErrorCode::Unsupported)
    return open_by_reading(std::move(source));
  if (!bytes) return tl::unexpected(std::move(bytes.error()));
  PUMICE_TRY_ASSIGN(GgufPart part, parse_gguf_part(source->name(), *bytes, bytes->size()));
  return OpenPart{std::move(source), std::move(part), {}};
}

/// How many parts the file says its model has; 1 for a file that is not split.
Result<uint32_t> split_count(const Metadata& metadata) {
  return metadata.get_u32_or("split.count", 1, 0, UINT16_MAX);
}

bool same_value(const MetadataEntry& a, const MetadataEntry& b) {
  if (a.type != b.type || a.bits != b.bits || a.text != b.text) return false;
  return a.type != MetadataType::Array ||
         (a.element == b.element && a.count == b.count && a.strings == b.strings);
}

/// Parts of one model agree on every key they share, except on their number.
Result<void> check_same_model(const Metadata& first, const Metadata& other) {
  for (const MetadataEntry& entry : other.entries()) {
    const MetadataEntry* mine = first.find(entry.key);
    if (entry.key == "split.no" || mine == nullptr || same_value(*mine, entry)) continue;
    return fail(ErrorCode::BadFile,
                "{}: is a part of another model than {}: key {} is \"{}\", expected \"{}\"",
                other.source(), first.source(), printable(entry.key), value_text(entry),
                value_text(*mine));
  }
  return {};
}

Result<void> check_parts(std::span<const OpenPart> parts) {
  const Metadata& first = parts[0].part.metadata;
  for (uint32_t i = 0; i < parts.size(); ++i) {
    const Metadata& metadata = parts[i].part.metadata;
    PUMICE_TRY_ASSIGN(const uint32_t count, split_count(metadata));
    if (std::max(count, 1u) != parts.size())
      return fail(ErrorCode::BadFile, "{}: key split.count is {}, expected {}, the number of parts",
                  metadata.source(), count, parts.size());
    if (parts.size() == 1) return {};
    PUMICE_TRY_ASSIGN(const uint32_t number, metadata.get_u32("split.no", 0, UINT16_MAX));
    if (number != i)
      return fail(ErrorCode::BadFile,
                  "{}: key split.no is {}, expected {}: the part has a wrong name",
                  metadata.source(), number, i);
    PUMICE_TRY(check_same_model(first, metadata));
  }
  return {};
}

Result<void> check_tensor_count(const GgufFile::State& state) {
  if (state.tensors.size() > GgufLimits::kTensors)
    return fail(ErrorCode::BadFile, "{}: the parts hold {} tensors, more than the limit of {}",
                state.metadata.source(), state.tensors.size(), GgufLimits::kTensors);
  const auto declared = state.metadata.get_u64("split.tensors.count");
  if (!declared && declared.error().code == ErrorCode::NotFound) return {};
  if (!declared) return tl::unexpected(declared.error());
  if (*declared == state.tensors.size()) return {};
  return fail(ErrorCode::BadFile,
              "{}: key split.tensors.count is {}, but the parts hold {} tensors",
              state.metadata.source(), *declared, state.tensors.size());
}

Result<void> index_names(GgufFile::State& state) {
  state.by_name.resize(state.tensors.size());
  std::iota(state.by_name.begin(), state.by_name.end(), 0u);
  const auto name_of = [&](uint32_t i) { return state.tensors[i].name; };
  std::ranges::sort(state.by_name, {}, name_of);
  const auto twice = std::ranges::adjacent_find(state.by_name, {}, name_of);
  if (twice == state.by_name.end()) return {};
  return fail(ErrorCode::BadFile, "{}: tensor {} appears twice", state.metadata.source(),
              name_of(*twice));
}

Result<File> join(std::vector<OpenPart> parts) {
  PUMICE_TRY(check_parts(parts));
  auto state = std::make_unique<GgufFile::State>();
  state->version = parts[0].part.version;
  for (uint32_t i = 0; i < parts.size(); ++i) {
    state->file_bytes += parts[i].source->size();
    for (TensorInfo& tensor : parts[i].part.tensors) {
      tensor.part = i;
      state->tensor_bytes += tensor.n_bytes;
      state->tensors.push_back(tensor);
    }
    state->sources.push_back(std::move(parts[i].source));
    state->headers.push_back(std::move(parts[i].header));
  }
  state->metadata = std::move(parts[0].part.metadata);
  if (parts.size() > 1) PUMICE_TRY(check_tensor_count(*state));
  PUMICE_TRY(index_names(*state));
  return std::make_shared<const GgufFile>(std::move(state));
}

Result<File> open_sources(std::vector<Source> sources) {
  if (sources.empty()) return fail(ErrorCode::BadArgument, "a model of no parts was asked for");
  if (sources.size() > GgufLimits::kParts)
    return fail(ErrorCode::BadArgument, "a model of {} parts was asked for, the limit is {}",
                sources.size(), GgufLimits::kParts);
  std::vector<OpenPart> parts;
  for (Source& source : sources) {
    if (source == nullptr) return fail(ErrorCode::BadArgument, "a part without bytes was given");
    PUMICE_TRY_ASSIGN(OpenPart part, open_part(std::move(source)));
    parts.push_back(std::move(part));
  }
  return join(std::move(parts));
}

/// Opens the other parts of a model beside the one that is open already.
Result<File> open_siblings(const std::string& path, OpenPart given, uint32_t count) {
  const auto split = parse_split_path(path);
  if (!split || split->count != count)
    return fail(ErrorCode::BadFile,
                "{}: is one of {} parts of a split model; its name must end in "
                "-00001-of-{:05}.gguf for the others to be found",
                given.source->name(), count, count);
  if (count > GgufLimits::kParts)
    return fail(ErrorCode::Unsupported, "{}: is split into {} parts, the limit is {}",
                given.source->name(), count, GgufLimits::kParts);
  std::vector<OpenPart> parts;
  for (uint32_t number = 1; number <= count; ++number) {
    if (number == split->number) {
      parts.push_back(std::move(given));
      continue;
    }
    auto source = map_file(split_path(*split, number));
    if (!source)
      return fail_in(fmt::format("part {} of {}", number, count), std::move(source.error()));
    PUMICE_TRY_ASSIGN(OpenPart part, open_part(std::move(*source)));
    parts.push_back(std::move(part));
  }
  return join(std::move(parts));
}

Result<File> open_path(const std::string& path) {
  PUMICE_TRY_ASSIGN(Source source, map_file(path));
  PUMICE_TRY_ASSIGN(OpenPart part, open_part(std::move(source)));
  PUMICE_TRY_ASSIGN(const uint32_t count, split_count(part.part.metadata));
  if (count > 1) return open_siblings(path, std::move(part), count);
  std::vector<OpenPart> parts;
  parts.push_back(std::move(part));
  return join(std::move(parts));
}

/// The one place where the standard library's exception becomes an error.
template <class Open>
Result<File> within_memory(const Open& open) {
  try {
    return open();
  } catch (const std::bad_alloc&) {
    return fail(ErrorCode::OutOfMemory, "no memory for the tables of the model file");
  }
}

std::span<const uint64_t> without_trailing_ones(std::span<const uint64_t> shape) {
  while (!shape.empty() && shape.back() == 1) shape = shape.first(shape.size() - 1);
  return shape;
}

}  // namespace

GgufFile::GgufFile(std::unique_ptr<const State> state) : state_(std::move(state)) {}
GgufFile::~GgufFile() = default;

const std::string& GgufFile::name() const {
  return state_->metadata.source();
}
uint32_t GgufFile::version() const {
  return state_->version;
}
uint32_t GgufFile::n_parts() const {
  return uint32_t(state_->sources.size());
}
uint64_t GgufFile::file_bytes() const {
  return state_->file_bytes;
}
uint64_t GgufFile::tensor_bytes() const {
  return state_->tensor_bytes;
}
const Metadata& GgufFile::metadata() const {
  return state_->metadata;
}
std::span<const TensorInfo> GgufFile::tensors() const {
  return state_->tensors;
}

const TensorInfo* GgufFile::find_tensor(std::string_view name) const {
  const auto name_of = [&](uint32_t i) { return state_->tensors[i].name; };
  const auto at = std::ranges::lower_bound(state_->by_name, name, {}, name_of);
  return at != state_->by_name.end() && name_of(*at) == name ? &state_->tensors[*at] : nullptr;
}

Result<const TensorInfo*> GgufFile::require_tensor(std::string_view tensor_name,
                                                   std::span<const uint64_t> shape) const {
  const TensorInfo* tensor = find_tensor(tensor_name);
  if (tensor == nullptr)
    return fail(ErrorCode::NotFound, "{}: tensor {} is missing, expected one of shape {}", name(),
                tensor_name, shape_text(shape));
  if (std::ranges::equal(without_trailing_ones(shape), without_trailing_ones(tensor->shape)))
    return tensor;
  return fail(ErrorCode::BadFile, "{}: tensor {} has shape {}, expected {}", name(), tensor_name,
              shape_text(std::span(tensor->shape).first(tensor->n_dims)), shape_text(shape));
}

Result<void> GgufFile::read(const TensorInfo& tensor, uint64_t offset,
                            std::span<std::byte> into) const {
  if (tensor.part >= n_parts() || offset > tensor.n_bytes || into.size() > tensor.n_bytes - offset)
    return fail(ErrorCode::BadArgument, "{}: bytes {}+{} are outside the {} bytes of tensor {}",
                name(), offset, into.size(), tensor.n_bytes, tensor.name);
  return state_->sources[tensor.part]->read(tensor.file_offset + offset, into);
}

Result<std::shared_ptr<const GgufFile>> open_gguf(const std::string& path) {
  return within_memory([&] { return open_path(path); });
}

std::vector<std::string> part_paths(const std::string& path, const GgufFile& file) {
  const auto split = parse_split_path(path);
  if (file.n_parts() == 1 || !split) return {path};
  std::vector<std::string> paths;
  for (uint32_t number = 1; number <= file.n_parts(); ++number)
    paths.push_back(split_path(*split, number));
  return paths;
}

Result<std::shared_ptr<const GgufFile>> open_gguf(std::shared_ptr<const ByteSource> source) {
  return within_memory([&] { return open_sources({std::move(source)}); });
}

Result<std::shared_ptr<const GgufFile>> open_gguf(
    std::vector<std::shared_ptr<const ByteSource>> parts) {
  return within_memory([&] { return open_sources(std::move(parts)); });
}

}  // namespace pumice
