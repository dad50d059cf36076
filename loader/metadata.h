// The typed key-value part of a model file. Owns the index and aligned copies of numeric arrays;
// strings are views into the mapped file. Getters check existence, type and range and say which key
// of which file is wrong; nothing is converted silently except integers of another width whose
// value fits and f64 given for f32.
#pragma once

#include <cfloat>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/result.h"

namespace pumice {

/// Ids as GGUF files store them.
enum class MetadataType : uint32_t {
  // clang-format off
  U8 = 0, I8 = 1, U16 = 2, I16 = 3, U32 = 4, I32 = 5, F32 = 6, Bool = 7, String = 8, Array = 9,
  U64 = 10, I64 = 11, F64 = 12,
  // clang-format on
};

[[nodiscard]] std::string_view metadata_type_name(MetadataType type);

/// One value. Which fields mean something depends on `type` (and `element` for arrays).
struct MetadataEntry {
  std::string_view key;
  MetadataType type = MetadataType::U8;
  MetadataType element = MetadataType::U8;  ///< arrays: type of the elements, never Array
  uint64_t count = 0;                       ///< arrays: number of elements
  uint64_t bits = 0;                      ///< integers sign-extended, bool 0/1, f64 bits of floats
  std::string_view text;                  ///< strings
  std::vector<std::string_view> strings;  ///< arrays of strings
  std::unique_ptr<std::byte[]> numbers;   ///< other arrays: `count` aligned little-endian values

  [[nodiscard]] double number() const;  ///< of a F32 or F64 scalar
};

/// A value as one line for people: at most about `max_chars`, control bytes escaped.
[[nodiscard]] std::string value_text(const MetadataEntry& entry, size_t max_chars = 80);

class Metadata {
 public:
  Metadata() = default;
  /// Takes entries in file order; a duplicate key is a BadFile error (which does not name the
  /// file). `source` is the file's name for the errors of the getters.
  [[nodiscard]] static Result<Metadata> index(std::string source,
                                              std::vector<MetadataEntry> entries);

  [[nodiscard]] std::span<const MetadataEntry> entries() const { return entries_; }  ///< file order
  [[nodiscard]] const MetadataEntry* find(std::string_view key) const;               ///< or null
  [[nodiscard]] bool contains(std::string_view key) const { return find(key) != nullptr; }
  [[nodiscard]] const std::string& source() const { return source_; }

  // Scalars. Absent key: NotFound. Other type or value out of [min, max]: BadFile. Any integer type
  // is accepted if its value fits. Floats must be finite; integers are not taken for floats.
  [[nodiscard]] Result<uint32_t> get_u32(std::string_view key, uint32_t min = 0,
                                         uint32_t max = UINT32_MAX) const;
  [[nodiscard]] Result<uint64_t> get_u64(std::string_view key, uint64_t min = 0,
                                         uint64_t max = UINT64_MAX) const;
  [[nodiscard]] Result<int32_t> get_i32(std::string_view key, int32_t min = INT32_MIN,
                                        int32_t max = INT32_MAX) const;
  [[nodiscard]] Result<float> get_f32(std::string_view key, float min = -FLT_MAX,
                                      float max = FLT_MAX) const;
  [[nodiscard]] Result<bool> get_bool(std::string_view key) const;
  [[nodiscard]] Result<std::string_view> get_string(std::string_view key) const;

  // The same with a value for an absent key (which is not range-checked). A present key of the
  // wrong type or range is still an error.
  [[nodiscard]] Result<uint32_t> get_u32_or(std::string_view key, uint32_t fallback,
                                            uint32_t min = 0, uint32_t max = UINT32_MAX) const;
  [[nodiscard]] Result<float> get_f32_or(std::string_view key, float fallback, float min = -FLT_MAX,
                                         float max = FLT_MAX) const;
  [[nodiscard]] Result<bool> get_bool_or(std::string_view key, bool fallback) const;
  [[nodiscard]] Result<std::string_view> get_string_or(std::string_view key,
                                                       std::string_view fallback) const;

  // Arrays: only with exactly this element type, views that live as long as the Metadata (numbers)
  // or the file (strings). get_f32s refuses NaN and infinity; get_flags is for arrays of bool.
  [[nodiscard]] Result<std::span<const std::string_view>> get_strings(std::string_view key) const;
  [[nodiscard]] Result<std::span<const float>> get_f32s(std::string_view key) const;
  [[nodiscard]] Result<std::span<const int32_t>> get_i32s(std::string_view key) const;
  [[nodiscard]] Result<std::span<const uint32_t>> get_u32s(std::string_view key) const;
  [[nodiscard]] Result<std::span<const uint8_t>> get_u8s(std::string_view key) const;
  [[nodiscard]] Result<std::span<const uint8_t>> get_flags(std::string_view key) const;

  /// A per-layer value: one integer (or bool) for all layers, or an array of exactly `n_layers`
  /// integers (or bools) of any width; each in [min, max].
  [[nodiscard]] Result<std::vector<uint32_t>> get_u32_per_layer(std::string_view key,
                                                                uint32_t n_layers, uint32_t min = 0,
                                                                uint32_t max = UINT32_MAX) const;

 private:
  [[nodiscard]] Result<const MetadataEntry*> require(std::string_view key) const;
  [[nodiscard]] Result<const MetadataEntry*> require(std::string_view key, MetadataType type) const;
  template <class T>
  [[nodiscard]] Result<std::span<const T>> numbers(std::string_view key,
                                                   MetadataType element) const;

  std::string source_;
  std::vector<MetadataEntry> entries_;
  std::vector<uint32_t> by_key_;  ///< positions in entries_, sorted by key
};

}  // namespace pumice
