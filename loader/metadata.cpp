// Owns lookup by key and the checks of every getter.
#include "loader/metadata.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <numeric>
#include <optional>
#include <utility>

#include "loader/printable.h"

namespace pumice {
namespace {

bool is_signed(MetadataType type) {
  using enum MetadataType;
  return type == I8 || type == I16 || type == I32 || type == I64;
}

bool is_integer(MetadataType type) {
  using enum MetadataType;
  return is_signed(type) || type == U8 || type == U16 || type == U32 || type == U64;
}

/// "i32", or "array of string".
std::string type_text(const MetadataEntry& entry) {
  if (entry.type != MetadataType::Array) return std::string(metadata_type_name(entry.type));
  return fmt::format("array of {}", metadata_type_name(entry.element));
}

/// The integer that `bits` means, if T can hold it.
template <class T>
std::optional<T> fit(MetadataType type, uint64_t bits) {
  if (is_signed(type)) {
    const int64_t value = std::bit_cast<int64_t>(bits);
    if (std::in_range<T>(value)) return T(value);
  } else if (std::in_range<T>(bits)) {
    return T(bits);
  }
  return std::nullopt;
}

std::string integer_text(MetadataType type, uint64_t bits) {
  return is_signed(type) ? fmt::format("{}", std::bit_cast<int64_t>(bits))
                         : fmt::format("{}", bits);
}

template <class T>
T element_at(const MetadataEntry& entry, uint64_t i) {
  T value;
  std::memcpy(&value, entry.numbers.get() + i * sizeof(T), sizeof(T));
  return value;
}

/// Element i of an array of integers or bools, widened as MetadataEntry::bits are.
uint64_t element_bits(const MetadataEntry& entry, uint64_t i) {
  using enum MetadataType;
  const auto extend = [](int64_t value) { return std::bit_cast<uint64_t>(value); };
  switch (entry.element) {
    case I8:
      return extend(element_at<int8_t>(entry, i));
    case U16:
      return element_at<uint16_t>(entry, i);
    case I16:
      return extend(element_at<int16_t>(entry, i));
    case U32:
      return element_at<uint32_t>(entry, i);
    case I32:
      return extend(element_at<int32_t>(entry, i));
    case U64:
    case I64:
      return element_at<uint64_t>(entry, i);
    default:
      return element_at<uint8_t>(entry, i);
  }
}

std::string element_text(const MetadataEntry& entry, uint64_t i) {
  using enum MetadataType;
  switch (entry.element) {
    case F32:
      return fmt::format("{}", element_at<float>(entry, i));
    case F64:
      return fmt::format("{}", element_at<double>(entry, i));
    case Bool:
      return element_at<uint8_t>(entry, i) ? "true" : "false";
    case String:
      return fmt::format("\"{}\"", printable(entry.strings[i], 32));
    default:
      return integer_text(entry.element, element_bits(entry, i));
  }
}

tl::unexpected<Error> wrong_type(const std::string& source, const MetadataEntry& entry,
                                 std::string_view expected) {
  return fail(ErrorCode::BadFile, "{}: key {} has type {}, expected {}", source, entry.key,
              type_text(entry), expected);
}

template <class T>
Result<T> integer_in_range(const std::string& source, const MetadataEntry& entry, T min, T max) {
  if (!is_integer(entry.type)) return wrong_type(source, entry, "an integer");
  const auto value = fit<T>(entry.type, entry.bits);
  if (value && *value >= min && *value <= max) return *value;
  return fail(ErrorCode::BadFile, "{}: key {} is {}, expected {}..{}", source, entry.key,
              integer_text(entry.type, entry.bits), min, max);
}

/// A getter's result for an absent key.
template <class T>
Result<T> or_fallback(Result<T> value, T fallback) {
  if (!value && value.error().code == ErrorCode::NotFound) return fallback;
  return value;
}

}  // namespace

std::string_view metadata_type_name(MetadataType type) {
  constexpr std::string_view kNames[] = {"u8",   "i8",     "u16",   "i16", "u32", "i32", "f32",
                                         "bool", "string", "array", "u64", "i64", "f64"};
  return uint32_t(type) < std::size(kNames) ? kNames[uint32_t(type)] : "unknown";
}

double MetadataEntry::number() const {
  return std::bit_cast<double>(bits);
}

std::string value_text(const MetadataEntry& entry, size_t max_chars) {
  using enum MetadataType;
  switch (entry.type) {
    case F32:
      return fmt::format("{}", float(entry.number()));
    case F64:
      return fmt::format("{}", entry.number());
    case Bool:
      return entry.bits ? "true" : "false";
    case String:
      return printable(entry.text, max_chars);
    case Array:
      break;
    default:
      return integer_text(entry.type, entry.bits);
  }
  std::string out = fmt::format("{} x {} [", entry.count, metadata_type_name(entry.element));
  for (uint64_t i = 0; i < entry.count; ++i) {
    if (i != 0) out += ", ";
    if (out.size() >= max_chars) return out + "...]";
    out += element_text(entry, i);
  }
  return out + "]";
}

Result<Metadata> Metadata::index(std::string source, std::vector<MetadataEntry> entries) {
  Metadata out;
  out.source_ = std::move(source);
  out.entries_ = std::move(entries);
  out.by_key_.resize(out.entries_.size());
  std::iota(out.by_key_.begin(), out.by_key_.end(), 0u);
  const auto key_of = [&](uint32_t i) { return out.entries_[i].key; };
  std::ranges::sort(out.by_key_, {}, key_of);
  const auto twice = std::ranges::adjacent_find(out.by_key_, {}, key_of);
  if (twice != out.by_key_.end())
    return fail(ErrorCode::BadFile, "key {} appears twice", printable(key_of(*twice)));
  return out;
}

const MetadataEntry* Metadata::find(std::string_view key) const {
  const auto key_of = [&](uint32_t i) { return entries_[i].key; };
  const auto at = std::ranges::lower_bound(by_key_, key, {}, key_of);
  return at != by_key_.end() && key_of(*at) == key ? &entries_[*at] : nullptr;
}

Result<const MetadataEntry*> Metadata::require(std::string_view key) const {
  if (const MetadataEntry* entry = find(key)) return entry;
  return fail(ErrorCode::NotFound, "{}: key {} is missing", source_, key);
}

Result<const MetadataEntry*> Metadata::require(std::string_view key, MetadataType type) const {
  PUMICE_TRY_ASSIGN(const MetadataEntry* entry, require(key));
  if (entry->type != type) return wrong_type(source_, *entry, metadata_type_name(type));
  return entry;
}

Result<uint32_t> Metadata::get_u32(std::string_view key, uint32_t min, uint32_t max) const {
  PUMICE_TRY_ASSIGN(const MetadataEntry* entry, require(key));
  return integer_in_range<uint32_t>(source_, *entry, min, max);
}

Result<uint64_t> Metadata::get_u64(std::string_view key, uint64_t min, uint64_t max) const {
  PUMICE_TRY_ASSIGN(const MetadataEntry* entry, require(key));
  return integer_in_range<uint64_t>(source_, *entry, min, max);
}

Result<int32_t> Metadata::get_i32(std::string_view key, int32_t min, int32_t max) const {
  PUMICE_TRY_ASSIGN(const MetadataEntry* entry, require(key));
  return integer_in_range<int32_t>(source_, *entry, min, max);
}

Result<float> Metadata::get_f32(std::string_view key, float min, float max) const {
  PUMICE_TRY_ASSIGN(const MetadataEntry* entry, require(key));
  if (entry->type != MetadataType::F32 && entry->type != MetadataType::F64)
    return wrong_type(source_, *entry, "f32");
  const double value = entry->number();
  if (value >= double(min) && value <= double(max)) return float(value);  // false for NaN
  return fail(ErrorCode::BadFile, "{}: key {} is {}, expected a finite number in {}..{}", source_,
              key, value, min, max);
}

Result<bool> Metadata::get_bool(std::string_view key) const {
  PUMICE_TRY_ASSIGN(const MetadataEntry* entry, require(key, MetadataType::Bool));
  return entry->bits != 0;
}

Result<std::string_view> Metadata::get_string(std::string_view key) const {
  PUMICE_TRY_ASSIGN(const MetadataEntry* entry, require(key, MetadataType::String));
  return entry->text;
}

Result<uint32_t> Metadata::get_u32_or(std::string_view key, uint32_t fallback, uint32_t min,
                                      uint32_t max) const {
  return or_fallback(get_u32(key, min, max), fallback);
}

Result<float> Metadata::get_f32_or(std::string_view key, float fallback, float min,
                                   float max) const {
  return or_fallback(get_f32(key, min, max), fallback);
}

Result<bool> Metadata::get_bool_or(std::string_view key, bool fallback) const {
  return or_fallback(get_bool(key), fallback);
}

Result<std::string_view> Metadata::get_string_or(std::string_view key,
                                                 std::string_view fallback) const {
  return or_fallback(get_string(key), fallback);
}

Result<std::span<const std::string_view>> Metadata::get_strings(std::string_view key) const {
  PUMICE_TRY_ASSIGN(const MetadataEntry* entry, require(key));
  if (entry->type != MetadataType::Array || entry->element != MetadataType::String)
    return wrong_type(source_, *entry, "array of string");
  return std::span(entry->strings);
}

template <class T>
Result<std::span<const T>> Metadata::numbers(std::string_view key, MetadataType element) const {
  PUMICE_TRY_ASSIGN(const MetadataEntry* entry, require(key));
  if (entry->type != MetadataType::Array || entry->element != element)
    return wrong_type(source_, *entry, fmt::format("array of {}", metadata_type_name(element)));
  // new std::byte[] is aligned for any T and the memcpy into it began the lifetime of the values.
  return std::span(reinterpret_cast<const T*>(entry->numbers.get()), size_t(entry->count));
}

Result<std::span<const float>> Metadata::get_f32s(std::string_view key) const {
  PUMICE_TRY_ASSIGN(const auto values, numbers<float>(key, MetadataType::F32));
  const auto bad = std::ranges::find_if_not(values, [](float v) { return std::isfinite(v); });
  if (bad != values.end())
    return fail(ErrorCode::BadFile, "{}: element {} of key {} is {}, expected a finite number",
                source_, bad - values.begin(), key, *bad);
  return values;
}

Result<std::span<const int32_t>> Metadata::get_i32s(std::string_view key) const {
  return numbers<int32_t>(key, MetadataType::I32);
}

Result<std::span<const uint32_t>> Metadata::get_u32s(std::string_view key) const {
  return numbers<uint32_t>(key, MetadataType::U32);
}

Result<std::span<const uint8_t>> Metadata::get_u8s(std::string_view key) const {
  return numbers<uint8_t>(key, MetadataType::U8);
}

Result<std::span<const uint8_t>> Metadata::get_flags(std::string_view key) const {
  return numbers<uint8_t>(key, MetadataType::Bool);
}

Result<std::vector<uint32_t>> Metadata::get_u32_per_layer(std::string_view key, uint32_t n_layers,
                                                          uint32_t min, uint32_t max) const {
  PUMICE_TRY_ASSIGN(const MetadataEntry* entry, require(key));
  const bool is_array = entry->type == MetadataType::Array;
  const MetadataType type = is_array ? entry->element : entry->type;
  if (!is_integer(type) && type != MetadataType::Bool)
    return wrong_type(source_, *entry, "an integer, or an array of one integer per layer");
  if (is_array && entry->count != n_layers)
    return fail(ErrorCode::BadFile, "{}: key {} has {} elements, expected one per layer, {}",
                source_, key, entry->count, n_layers);
  std::vector<uint32_t> out(n_layers);
  for (uint32_t layer = 0; layer < n_layers; ++layer) {
    const uint64_t bits = is_array ? element_bits(*entry, layer) : entry->bits;
    const auto value = fit<uint32_t>(type, bits);
    if (!value || *value < min || *value > max)
      return fail(ErrorCode::BadFile, "{}: key {} is {} for layer {}, expected {}..{}", source_,
                  key, integer_text(type, bits), layer, min, max);
    out[layer] = *value;
  }
  return out;
}

}  // namespace pumice
