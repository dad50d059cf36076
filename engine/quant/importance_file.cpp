// The files of importance matrices: GGUF both ways, the older form to read.
#include <algorithm>
#include <cmath>
#include <string_view>

#include "engine/base/checked.h"
#include "engine/quant/importance.h"
#include "loader/byte_cursor.h"
#include "loader/gguf_writer.h"
#include "loader/mapped_file.h"

namespace pumice::quant {
namespace {

constexpr std::string_view kSums = ".in_sum2", kCounts = ".counts", kGram = ".gram";
constexpr const char* kGramTensors = "imatrix.gram.tensors";
constexpr const char* kGramStoredAs = "imatrix.gram.stored_as";

Result<std::vector<float>> read_floats(const GgufFile& file, const TensorInfo& tensor) {
  if (tensor.type != QuantType::F32)
    return fail(ErrorCode::BadFile, "{}: tensor {} has type {}; expected f32", file.name(),
                tensor.name, info(tensor.type).name);
  std::vector<float> values(tensor.n_weights);
  PUMICE_TRY(file.read(tensor, 0, std::as_writable_bytes(std::span(values))));
  return values;
}

/// Index of the first value that is no sum of squares and no count; or the number of values.
size_t first_bad(std::span<const float> values) {
  const auto bad = std::find_if(values.begin(), values.end(),
                                [](float v) { return !std::isfinite(v) || v < 0.0f; });
  return size_t(bad - values.begin());
}

Result<void> check_values(const std::string& file, std::string_view tensor,
                          std::span<const float> values) {
  const size_t bad = first_bad(values);
  if (bad == values.size()) return {};
  return fail(ErrorCode::BadFile, "{}: tensor {}: value {} is {}; expected a finite sum of squares",
              file, tensor, bad, values[bad]);
}

Result<ActivationStatistics> read_entry(const GgufFile& file, const std::string& name,
                                        const TensorInfo& sums) {
  ActivationStatistics entry{sums.shape[0], sums.shape[1], {}, {}, nullptr};
  if (sums.n_weights != sums.shape[0] * sums.shape[1])
    return fail(ErrorCode::BadFile, "{}: tensor {} has shape {}; expected at most two dimensions",
                file.name(), sums.name, shape_text({sums.shape.data(), sums.n_dims}));
  PUMICE_TRY_ASSIGN(const TensorInfo* counts,
                    file.require_tensor(name + std::string(kCounts), {1, entry.matrices}));
  PUMICE_TRY_ASSIGN(entry.sum_squares, read_floats(file, sums));
  PUMICE_TRY_ASSIGN(entry.counts, read_floats(file, *counts));
  PUMICE_TRY(check_values(file.name(), sums.name, entry.sum_squares));
  PUMICE_TRY(check_values(file.name(), counts->name, entry.counts));
  return entry;
}

Result<std::shared_ptr<const Gram>> read_gram(const GgufFile& file, const std::string& tensor,
                                              const ActivationStatistics& entry) {
  PUMICE_TRY_ASSIGN(const TensorInfo* stored,
                    file.require_tensor(tensor, {entry.width, entry.width, entry.matrices}));
  PUMICE_TRY_ASSIGN(Gram gram, read_floats(file, *stored));
  for (size_t i = 0; i < gram.size(); ++i)
    if (!std::isfinite(gram[i]))
      return fail(ErrorCode::BadFile, "{}: tensor {}: value {} is {}", file.name(), tensor, i,
                  gram[i]);
  return std::make_shared<const Gram>(std::move(gram));
}

Result<void> read_grams(const GgufFile& file, ImportanceMatrix& matrix) {
  for (auto& [name, entry] : matrix.tensors) {
    const std::string stored = name + std::string(kGram);
    if (file.find_tensor(stored) == nullptr) continue;
    PUMICE_TRY_ASSIGN(entry.gram, read_gram(file, stored, entry));
  }
  if (!file.metadata().contains(kGramTensors)) return {};
  PUMICE_TRY_ASSIGN(const auto sharers, file.metadata().get_strings(kGramTensors));
  PUMICE_TRY_ASSIGN(const auto owners, file.metadata().get_strings(kGramStoredAs));
  for (size_t i = 0; i < sharers.size(); ++i) {
    const auto sharer = matrix.tensors.find(sharers[i]);
    const auto owner = matrix.tensors.find(i < owners.size() ? owners[i] : std::string_view());
    if (sharer == matrix.tensors.end() || owner == matrix.tensors.end() ||
        owner->second.gram == nullptr || owner->second.width != sharer->second.width ||
        owner->second.matrices != sharer->second.matrices)
      return fail(ErrorCode::BadFile, "{}: keys {} and {}: entry {} names no Gram matrix that fits",
                  file.name(), kGramTensors, kGramStoredAs, i);
    sharer->second.gram = owner->second.gram;
  }
  return {};
}

Result<ImportanceMatrix> read_gguf(const std::string& path, bool gram) {
  PUMICE_TRY_ASSIGN(const auto file, open_gguf(path));
  const Metadata& metadata = file->metadata();
  PUMICE_TRY_ASSIGN(const std::string_view type, metadata.get_string_or("general.type", "model"));
  if (type != "imatrix")
    return fail(ErrorCode::BadFile, "{}: general.type is \"{}\"; expected an importance matrix",
                path, type);
  ImportanceMatrix matrix;
  PUMICE_TRY_ASSIGN(matrix.chunk_count, metadata.get_u32_or("imatrix.chunk_count", 0));
  PUMICE_TRY_ASSIGN(matrix.chunk_size, metadata.get_u32_or("imatrix.chunk_size", 0));
  if (metadata.contains("imatrix.datasets")) {
    PUMICE_TRY_ASSIGN(const auto names, metadata.get_strings("imatrix.datasets"));
    matrix.datasets.assign(names.begin(), names.end());
  }
  for (const TensorInfo& tensor : file->tensors()) {
    if (!tensor.name.ends_with(kSums)) continue;
    const std::string name(tensor.name.substr(0, tensor.name.size() - kSums.size()));
    PUMICE_TRY_ASSIGN(ActivationStatistics entry, read_entry(*file, name, tensor));
    matrix.tensors.emplace(name, std::move(entry));
  }
  if (matrix.tensors.empty())
    return fail(ErrorCode::BadFile, "{}: an importance matrix without entries", path);
  if (gram) PUMICE_TRY(read_grams(*file, matrix));
  return matrix;
}

/// i32 length and the text; nothing when the length is out of [1, longest] or the file ends.
std::string_view legacy_text(ByteCursor& cursor, int32_t longest) {
  const auto length = cursor.read<int32_t>();
  return length < 1 || length > longest ? std::string_view() : cursor.take_text(uint64_t(length));
}

Result<void> read_legacy_entry(ByteCursor& cursor, const std::string& path, int32_t number,
                               ImportanceMatrix& matrix) {
  const std::string name(legacy_text(cursor, int32_t(GgufLimits::kTensorNameBytes)));
  const auto calls = cursor.read<int32_t>();
  const auto length = cursor.read<int32_t>();
  if (cursor.failed() || name.empty() || calls < 0 || length < 1 ||
      uint64_t(length) * 4 > cursor.remaining())
    return fail(ErrorCode::BadFile, "{}: entry {} of an importance matrix is damaged, at byte {}",
                path, number, cursor.position());
  ActivationStatistics entry{uint64_t(length), 1, std::vector<float>(size_t(length)), {}, nullptr};
  entry.counts.push_back(float(calls));
  const auto bytes = cursor.take(uint64_t(length) * 4);
  std::memcpy(entry.sum_squares.data(), bytes.data(), bytes.size());
  PUMICE_TRY(check_values(path, name, entry.sum_squares));
  if (matrix.tensors.emplace(name, std::move(entry)).second) return {};
  return fail(ErrorCode::BadFile, "{}: entry {} is tensor {} for the second time", path, number,
              name);
}

// The end (last chunk, dataset) may be absent: the first writers had none.
Result<ImportanceMatrix> read_legacy(std::span<const std::byte> bytes, const std::string& path) {
  constexpr int32_t kMostName = 1 << 20;
  ByteCursor cursor(bytes);
  const auto entries = cursor.read<int32_t>();
  if (cursor.failed() || entries < 1 || uint64_t(entries) > GgufLimits::kTensors)
    return fail(ErrorCode::BadFile, "{}: neither GGUF nor an importance matrix of the older form",
                path);
  ImportanceMatrix matrix;
  for (int32_t i = 0; i < entries; ++i) PUMICE_TRY(read_legacy_entry(cursor, path, i, matrix));
  const auto chunks = cursor.read<int32_t>();
  const std::string_view dataset = legacy_text(cursor, kMostName);
  matrix.chunk_count = uint32_t(std::max(chunks, 0));
  if (!dataset.empty()) matrix.datasets.emplace_back(dataset);
  return matrix;
}

/// What a file holds besides the sums and counts: each Gram matrix under its first weight's name.
struct StoredGrams {
  std::map<const Gram*, std::string> owners;
  std::vector<std::string> sharers, stored_as;
};

StoredGrams stored_grams(const ImportanceMatrix& matrix) {
  StoredGrams stored;
  for (const auto& [name, entry] : matrix.tensors) {
    if (entry.gram == nullptr) continue;
    const auto [owner, is_new] = stored.owners.emplace(entry.gram.get(), name);
    if (is_new) continue;
    stored.sharers.push_back(name);
    stored.stored_as.push_back(owner->second);
  }
  return stored;
}

MetadataDraft metadata_of(const ImportanceMatrix& matrix, const StoredGrams& grams) {
  MetadataDraft draft;
  draft.set_string("general.type", "imatrix");
  draft.set_strings("imatrix.datasets", matrix.datasets);
  draft.set_u32("imatrix.chunk_count", matrix.chunk_count);
  draft.set_u32("imatrix.chunk_size", matrix.chunk_size);
  if (grams.sharers.empty()) return draft;
  draft.set_strings(kGramTensors, grams.sharers);
  draft.set_strings(kGramStoredAs, grams.stored_as);
  return draft;
}

}  // namespace

Result<ImportanceMatrix> read_importance(const std::string& path, bool gram) {
  PUMICE_TRY_ASSIGN(const auto source, map_file(path));
  PUMICE_TRY_ASSIGN(const std::span<const std::byte> bytes, source->map());
  ByteCursor magic(bytes);
  if (magic.take_text(4) == "GGUF") return read_gguf(path, gram);
  return read_legacy(bytes, path);
}

Result<void> write_importance(const ImportanceMatrix& matrix, const std::string& path) {
  const StoredGrams grams = stored_grams(matrix);
  std::vector<GgufTensorPlan> plan;
  std::vector<std::span<const float>> data;
  const auto add = [&](std::string name, std::vector<uint64_t> shape,
                       std::span<const float> values) {
    plan.push_back({std::move(name), QuantType::F32, std::move(shape)});
    data.push_back(values);
  };
  for (const auto& [name, entry] : matrix.tensors) {
    add(name + std::string(kSums), {entry.width, entry.matrices}, entry.sum_squares);
    add(name + std::string(kCounts), {1, entry.matrices}, entry.counts);
    if (entry.gram != nullptr && grams.owners.at(entry.gram.get()) == name)
      add(name + std::string(kGram), {entry.width, entry.width, entry.matrices}, *entry.gram);
  }
  PUMICE_TRY_ASSIGN(const auto writer,
                    GgufWriter::create(path, metadata_of(matrix, grams), std::move(plan)));
  for (const std::span<const float> values : data) PUMICE_TRY(writer->write(std::as_bytes(values)));
  return writer->finish();
}

}  // namespace pumice::quant
