// Appends little-endian values to a buffer: the writing side of byte_cursor.h.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>
#include <type_traits>
#include <vector>

namespace pumice {

static_assert(std::endian::native == std::endian::little, "GGUF values are written as they lie");

template <class T>
void append_value(std::vector<std::byte>& out, T value) {
  static_assert(std::is_arithmetic_v<T>);
  const size_t at = out.size();
  out.resize(at + sizeof(T));
  std::memcpy(out.data() + at, &value, sizeof(T));
}

inline void append_bytes(std::vector<std::byte>& out, std::span<const std::byte> bytes) {
  out.insert(out.end(), bytes.begin(), bytes.end());
}

/// A string as GGUF holds it: length u64, bytes.
inline void append_string(std::vector<std::byte>& out, std::string_view text) {
  append_value(out, uint64_t(text.size()));
  append_bytes(out, std::as_bytes(std::span(text)));
}

}  // namespace pumice
