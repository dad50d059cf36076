// Writes GGUF files for tests: correct ones by default, and wrong ones where a field is overridden.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "engine/base/checked.h"
#include "loader/metadata.h"
#include "loader/quant_type.h"

namespace pumice::test {

/// Bytes being appended to.
struct Bytes {
  std::vector<std::byte> data;

  template <class T>
  requires std::is_arithmetic_v<T> Bytes& put(T value) {
    std::byte raw[sizeof(T)];
    std::memcpy(raw, &value, sizeof(T));
    data.insert(data.end(), raw, raw + sizeof(T));
    return *this;
  }
  Bytes& raw(std::string_view text) {
    const auto* from = reinterpret_cast<const std::byte*>(text.data());
    data.insert(data.end(), from, from + text.size());
    return *this;
  }
  /// A length and the text; `length` overrides what is written as length.
  Bytes& text(std::string_view value, std::optional<uint64_t> length = {}) {
    return put(length.value_or(value.size())).raw(value);
  }
  Bytes& append(std::span<const std::byte> more) {
    data.insert(data.end(), more.begin(), more.end());
    return *this;
  }
  Bytes& pad_to(uint64_t alignment) {
    if (alignment > 1) data.resize(align_up<uint64_t>(data.size(), alignment));
    return *this;
  }
};

template <class T>
constexpr MetadataType metadata_type_of() {
  using enum MetadataType;
  if constexpr (std::is_same_v<T, bool>) return Bool;
  if constexpr (std::is_same_v<T, float>) return F32;
  if constexpr (std::is_same_v<T, double>) return F64;
  if constexpr (std::is_integral_v<T> && std::is_signed_v<T>)
    return sizeof(T) == 1 ? I8 : sizeof(T) == 2 ? I16 : sizeof(T) == 4 ? I32 : I64;
  if constexpr (std::is_integral_v<T> && !std::is_signed_v<T>)
    return sizeof(T) == 1 ? U8 : sizeof(T) == 2 ? U16 : sizeof(T) == 4 ? U32 : U64;
  return String;
}

struct TensorSpec {
  std::string name;
  std::vector<uint64_t> dims;
  uint32_t type = 0;
  std::vector<std::byte> data;
  // What is written instead of the truth, where set.
  std::optional<uint32_t> n_dims = {};
  std::optional<uint64_t> name_length = {};
  std::optional<uint64_t> offset = {};
};

class GgufWriter {
 public:
  std::string magic = "GGUF";
  uint32_t version = 3;
  uint64_t alignment = 32;  ///< of the data; set("general.alignment", ...) is separate
  std::optional<uint64_t> n_entries, n_tensors;  ///< written instead of the true counts
  std::vector<TensorSpec> tensors;

  /// An arithmetic value or a text.
  template <class T>
  GgufWriter& set(std::string_view key, const T& value) {
    Bytes body;
    if constexpr (std::is_same_v<T, bool>)
      body.put(uint8_t(value));
    else if constexpr (std::is_arithmetic_v<T>)
      body.put(value);
    else
      body.text(std::string_view(value));
    return set_raw(key, uint32_t(metadata_type_of<T>()), body);
  }
  /// An array of arithmetic values or texts.
  template <class T>
  GgufWriter& set_array(std::string_view key, const std::vector<T>& values) {
    Bytes body;
    body.put(uint32_t(metadata_type_of<T>())).put(uint64_t(values.size()));
    for (const auto& value : values)
      if constexpr (std::is_same_v<T, bool>)
        body.put(uint8_t(value));
      else if constexpr (std::is_arithmetic_v<T>)
        body.put(value);
      else
        body.text(std::string_view(value));
    return set_raw(key, uint32_t(MetadataType::Array), body);
  }
  /// Any bytes as the value; `key_length` overrides the length written before the key.
  GgufWriter& set_raw(std::string_view key, uint32_t type, const Bytes& body,
                      std::optional<uint64_t> key_length = {}) {
    Bytes entry;
    entry.text(key, key_length).put(type).append(body.data);
    entries_.push_back(std::move(entry));
    return *this;
  }

  GgufWriter& tensor(std::string name, QuantType type, std::vector<uint64_t> dims,
                     std::vector<std::byte> data) {
    tensors.push_back({std::move(name), std::move(dims), uint32_t(type), std::move(data)});
    return *this;
  }
  GgufWriter& tensor_f32(std::string name, std::vector<uint64_t> dims,
                         std::span<const float> values) {
    const auto raw = std::as_bytes(values);
    return tensor(std::move(name), QuantType::F32, std::move(dims), {raw.begin(), raw.end()});
  }
  /// All bytes zero, which every type decodes to finite weights.
  GgufWriter& tensor_zero(std::string name, QuantType type, std::vector<uint64_t> dims) {
    uint64_t n = 1;
    for (const uint64_t dim : dims) n *= dim;
    const QuantTypeInfo& layout = info(type);
    std::vector<std::byte> data(n / layout.block_weights * layout.block_bytes);
    return tensor(std::move(name), type, std::move(dims), std::move(data));
  }

  [[nodiscard]] std::vector<std::byte> bytes() const {
    Bytes out;
    out.raw(magic).put(version);
    out.put(n_tensors.value_or(tensors.size())).put(n_entries.value_or(entries_.size()));
    for (const Bytes& entry : entries_) out.append(entry.data);
    uint64_t offset = 0;
    for (const TensorSpec& tensor : tensors) {
      out.text(tensor.name, tensor.name_length);
      out.put(tensor.n_dims.value_or(uint32_t(tensor.dims.size())));
      for (const uint64_t dim : tensor.dims) out.put(dim);
      out.put(tensor.type).put(tensor.offset.value_or(offset));
      offset = align_up<uint64_t>(offset + tensor.data.size(), alignment);
    }
    for (const TensorSpec& tensor : tensors) out.pad_to(alignment).append(tensor.data);
    return std::move(out.data);
  }

  void write(const std::string& path) const {
    const auto all = bytes();
    std::ofstream file(path, std::ios::binary);
    file.write(reinterpret_cast<const char*>(all.data()), std::streamsize(all.size()));
  }

 private:
  std::vector<Bytes> entries_;
};

}  // namespace pumice::test
