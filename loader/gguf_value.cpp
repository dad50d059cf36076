// Owns the keys and typed values of the GGUF metadata section, as bytes.
#include <bit>
#include <cstring>
#include <utility>

#include "loader/gguf.h"
#include "loader/gguf_part.h"
#include "loader/printable.h"

namespace pumice {
namespace {

constexpr uint32_t kTypeCount = uint32_t(MetadataType::F64) + 1;

/// Bytes that one value takes at least: the whole of a number, the length field of a string.
uint64_t value_bytes(MetadataType type) {
  using enum MetadataType;
  switch (type) {
    case U8:
    case I8:
    case Bool:
      return 1;
    case U16:
    case I16:
      return 2;
    case U32:
    case I32:
    case F32:
      return 4;
    default:
      return 8;
  }
}

std::string in_key(std::string_view key) {
  return fmt::format("key {}", printable(key));
}

Result<MetadataType> parse_type(ByteCursor& cursor, std::string_view what) {
  const uint64_t start = cursor.position();
  const uint32_t id = cursor.read<uint32_t>();
  if (cursor.failed()) return fail_truncated(cursor, what);
  if (id >= kTypeCount)
    return fail(ErrorCode::BadFile, "byte {}: {} has value type {}, expected 0..{}", start, what,
                id, kTypeCount - 1);
  return MetadataType(id);
}

tl::unexpected<Error> fail_bool(uint64_t position, std::string_view what, uint32_t value) {
  return fail(ErrorCode::BadFile, "byte {}: {} holds the bool {}, expected 0 or 1", position, what,
              value);
}

/// Widened as MetadataEntry::bits says.
template <class T>
uint64_t widen(T value) {
  if constexpr (std::is_floating_point_v<T>) return std::bit_cast<uint64_t>(double(value));
  if constexpr (std::is_signed_v<T>) return std::bit_cast<uint64_t>(int64_t(value));
  return uint64_t(value);
}

Result<uint64_t> parse_scalar(ByteCursor& cursor, MetadataType type, std::string_view what) {
  using enum MetadataType;
  const uint64_t start = cursor.position();
  uint64_t bits = 0;
  switch (type) {
    case U8:
    case Bool:
      bits = widen(cursor.read<uint8_t>());
      break;
    case I8:
      bits = widen(cursor.read<int8_t>());
      break;
    case U16:
      bits = widen(cursor.read<uint16_t>());
      break;
    case I16:
      bits = widen(cursor.read<int16_t>());
      break;
    case U32:
      bits = widen(cursor.read<uint32_t>());
      break;
    case I32:
      bits = widen(cursor.read<int32_t>());
      break;
    case F32:
      bits = widen(cursor.read<float>());
      break;
    case U64:
      bits = widen(cursor.read<uint64_t>());
      break;
    case I64:
      bits = widen(cursor.read<int64_t>());
      break;
    case F64:
      bits = widen(cursor.read<double>());
      break;
    case String:
    case Array:
      break;  // the caller has handled these
  }
  if (cursor.failed()) return fail_truncated(cursor, what);
  if (type == Bool && bits > 1) return fail_bool(start, what, uint32_t(bits));
  return bits;
}

/// Vocabularies have hundreds of thousands of these: the good case goes around Result.
Result<void> parse_strings(ByteCursor& cursor, MetadataEntry& entry, std::string_view what) {
  entry.strings.resize(size_t(entry.count));  // 16 bytes each, of at least 8 in the file
  for (std::string_view& text : entry.strings) {
    const ByteCursor start = cursor;
    const uint64_t length = cursor.read<uint64_t>();
    text = cursor.take_text(length);
    if (!cursor.failed() && length <= GgufLimits::kStringBytes) continue;
    cursor = start;
    auto again = parse_string(cursor, GgufLimits::kStringBytes, what);
    if (!again)
      return fail_in(fmt::format("element {}", &text - entry.strings.data()),
                     std::move(again.error()));
  }
  return {};
}

Result<void> parse_numbers(ByteCursor& cursor, MetadataEntry& entry, std::string_view what) {
  const uint64_t start = cursor.position();
  const auto from = cursor.take(entry.count * value_bytes(entry.element));  // checked to fit
  if (entry.element == MetadataType::Bool)
    for (size_t i = 0; i < from.size(); ++i)
      if (uint8_t(from[i]) > 1) return fail_bool(start + i, what, uint8_t(from[i]));
  entry.numbers = std::make_unique_for_overwrite<std::byte[]>(from.size());
  if (!from.empty()) std::memcpy(entry.numbers.get(), from.data(), from.size());
  return {};
}

Result<void> parse_array(ByteCursor& cursor, MetadataEntry& entry, std::string_view what) {
  PUMICE_TRY_ASSIGN(entry.element, parse_type(cursor, what));
  const uint64_t start = cursor.position();
  if (entry.element == MetadataType::Array)
    return fail(ErrorCode::BadFile, "byte {}: {} is an array of arrays, which GGUF does not allow",
                start - 4, what);
  entry.count = cursor.read<uint64_t>();
  if (cursor.failed()) return fail_truncated(cursor, what);
  if (entry.count > GgufLimits::kArrayElements)
    return fail(ErrorCode::BadFile, "byte {}: {} has {} elements, more than the limit of {}", start,
                what, entry.count, GgufLimits::kArrayElements);
  if (entry.count > cursor.remaining() / value_bytes(entry.element))
    return fail(ErrorCode::BadFile,
                "byte {}: {} has {} elements, but only {} bytes are left: the file is truncated or "
                "damaged",
                start, what, entry.count, cursor.remaining());
  if (entry.element == MetadataType::String) return parse_strings(cursor, entry, what);
  return parse_numbers(cursor, entry, what);
}

Result<MetadataEntry> parse_entry(ByteCursor& cursor) {
  MetadataEntry entry;
  PUMICE_TRY_ASSIGN(entry.key, parse_name(cursor, GgufLimits::kKeyBytes, "a key"));
  const std::string what = in_key(entry.key);
  PUMICE_TRY_ASSIGN(entry.type, parse_type(cursor, what));
  if (entry.type == MetadataType::Array) {
    PUMICE_TRY(parse_array(cursor, entry, what));
  } else if (entry.type == MetadataType::String) {
    PUMICE_TRY_ASSIGN(entry.text, parse_string(cursor, GgufLimits::kStringBytes, what));
  } else {
    PUMICE_TRY_ASSIGN(entry.bits, parse_scalar(cursor, entry.type, what));
  }
  return entry;
}

}  // namespace

Result<std::vector<MetadataEntry>> parse_entries(ByteCursor& cursor, uint64_t count) {
  std::vector<MetadataEntry> entries;  // grows with what was really parsed, not with `count`
  for (uint64_t i = 0; i < count; ++i) {
    auto entry = parse_entry(cursor);
    if (!entry) return fail_in(fmt::format("key {} of {}", i + 1, count), std::move(entry.error()));
    entries.push_back(std::move(*entry));
  }
  return entries;
}

}  // namespace pumice
