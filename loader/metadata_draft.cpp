// Owns the encoding of keys and values.
#include "loader/metadata_draft.h"

#include <algorithm>
#include <array>
#include <bit>
#include <utility>

#include "engine/base/checked.h"
#include "loader/byte_cursor.h"
#include "loader/byte_writer.h"
#include "loader/gguf.h"

namespace pumice {
namespace {

using Value = std::vector<std::byte>;

constexpr std::array kSplitKeys = {"split.no", "split.count", "split.tensors.count"};

/// Bytes of a number of this type.
size_t width_of(MetadataType type) {
  constexpr std::array<size_t, 13> kWidths = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};
  return kWidths[size_t(type)];
}

Value typed(MetadataType type) {
  Value out;
  append_value(out, uint32_t(type));
  return out;
}

Value array_of(MetadataType element, uint64_t count) {
  Value out = typed(MetadataType::Array);
  append_value(out, uint32_t(element));
  append_value(out, count);
  return out;
}

template <class T>
Value scalar(MetadataType type, T value) {
  Value out = typed(type);
  append_value(out, value);
  return out;
}

template <class T>
Value numbers(MetadataType element, std::span<const T> values) {
  Value out = array_of(element, values.size());
  append_bytes(out, std::as_bytes(values));
  return out;
}

Value strings(const auto& values) {
  Value out = array_of(MetadataType::String, values.size());
  for (const auto& text : values) append_string(out, text);
  return out;
}

Value array_value(const MetadataEntry& entry) {
  if (entry.element == MetadataType::String) return strings(entry.strings);
  Value out = array_of(entry.element, entry.count);
  if (entry.count > 0)
    append_bytes(out, {entry.numbers.get(), size_t(entry.count) * width_of(entry.element)});
  return out;
}

/// As the file held it: integers are the low bytes of the sign-extended bits.
Value value_of(const MetadataEntry& entry) {
  switch (entry.type) {
    case MetadataType::Array:
      return array_value(entry);
    case MetadataType::F32:
      return scalar(MetadataType::F32, float(entry.number()));
    case MetadataType::String: {
      Value out = typed(MetadataType::String);
      append_string(out, entry.text);
      return out;
    }
    default: {
      Value out = typed(entry.type);
      append_bytes(out, std::as_bytes(std::span(&entry.bits, 1)).first(width_of(entry.type)));
      return out;
    }
  }
}

}  // namespace

MetadataDraft::MetadataDraft(const Metadata& original) {
  entries_.reserve(original.entries().size());
  for (const MetadataEntry& entry : original.entries())
    if (std::ranges::find(kSplitKeys, entry.key) == kSplitKeys.end())
      entries_.push_back({std::string(entry.key), value_of(entry)});
}

void MetadataDraft::put(std::string_view key, std::vector<std::byte> value) {
  const auto at = std::ranges::find(entries_, key, &Entry::key);
  if (at != entries_.end())
    at->value = std::move(value);
  else
    entries_.push_back({std::string(key), std::move(value)});
}

void MetadataDraft::set_u32(std::string_view key, uint32_t value) {
  put(key, scalar(MetadataType::U32, value));
}
void MetadataDraft::set_u64(std::string_view key, uint64_t value) {
  put(key, scalar(MetadataType::U64, value));
}
void MetadataDraft::set_f32(std::string_view key, float value) {
  put(key, scalar(MetadataType::F32, value));
}
void MetadataDraft::set_bool(std::string_view key, bool value) {
  put(key, scalar(MetadataType::Bool, uint8_t(value)));
}
void MetadataDraft::set_string(std::string_view key, std::string_view value) {
  Value out = typed(MetadataType::String);
  append_string(out, value);
  put(key, std::move(out));
}
void MetadataDraft::set_u32s(std::string_view key, std::span<const uint32_t> values) {
  put(key, numbers(MetadataType::U32, values));
}
void MetadataDraft::set_i32s(std::string_view key, std::span<const int32_t> values) {
  put(key, numbers(MetadataType::I32, values));
}
void MetadataDraft::set_f32s(std::string_view key, std::span<const float> values) {
  put(key, numbers(MetadataType::F32, values));
}
void MetadataDraft::set_strings(std::string_view key, std::span<const std::string> values) {
  put(key, strings(values));
}

void MetadataDraft::remove(std::string_view key) {
  std::erase_if(entries_, [&](const Entry& entry) { return entry.key == key; });
}

bool MetadataDraft::contains(std::string_view key) const {
  return std::ranges::find(entries_, key, &Entry::key) != entries_.end();
}

Result<uint64_t> MetadataDraft::alignment() const {
  constexpr uint64_t kDefault = 32;  // bytes, the format's
  const auto at = std::ranges::find(entries_, "general.alignment", &Entry::key);
  if (at == entries_.end()) return kDefault;
  ByteCursor cursor(at->value);
  const auto type = MetadataType(cursor.read<uint32_t>());
  const uint32_t value = cursor.read<uint32_t>();
  if (type == MetadataType::U32 && !cursor.failed() && std::has_single_bit(value) &&
      value <= GgufLimits::kAlignment)
    return value;
  return fail(ErrorCode::BadArgument,
              "key general.alignment must be an u32, a power of two of at most {}",
              GgufLimits::kAlignment);
}

std::vector<std::byte> MetadataDraft::encoded() const {
  size_t bytes = 0;
  for (const Entry& entry : entries_) bytes += 8 + entry.key.size() + entry.value.size();
  std::vector<std::byte> out;
  out.reserve(bytes);
  for (const Entry& entry : entries_) {
    append_string(out, entry.key);
    append_bytes(out, entry.value);
  }
  return out;
}

}  // namespace pumice
