// The quant-type table: every tensor type this engine knows by its GGUF id, name and block.
// Plain data, includable by every stage.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace pumice {

/// Ids as GGUF files store them (ggml_type).
enum class QuantType : uint32_t {
  // clang-format off
  F32 = 0, F16 = 1, Q4_0 = 2, Q4_1 = 3, Q5_0 = 6, Q5_1 = 7, Q8_0 = 8,
  Q2_K = 10, Q3_K = 11, Q4_K = 12, Q5_K = 13, Q6_K = 14, IQ4_NL = 20, IQ3_S = 21, IQ4_XS = 23,
  BF16 = 30, TQ1_0 = 34, TQ2_0 = 35, MXFP4 = 39, Q1_0 = 41, Q2_0 = 42,
  // clang-format on
};

struct QuantTypeInfo {
  QuantType type;
  std::string_view name;   ///< lower case, as messages print it: "q4_k"
  uint32_t block_weights;  ///< weights per block along a row
  uint32_t block_bytes;    ///< bytes per block in a file
  bool has_codec;          ///< false: known by name, but no reader of it is in this build
};

/// All rows of the table, in id order.
[[nodiscard]] std::span<const QuantTypeInfo> quant_types();

/// The row for a type that the table holds (every enumerator does).
[[nodiscard]] const QuantTypeInfo& info(QuantType type);

/// The row for an id read from a file, or null when it is unknown.
[[nodiscard]] const QuantTypeInfo* find_quant_type(uint32_t gguf_id);

/// What the format calls an id, whether or not this build reads it ("iq2_xs"); empty for an id that
/// the format does not define. For messages.
[[nodiscard]] std::string_view gguf_type_name(uint32_t gguf_id);

/// The names of all types with a codec, comma separated. For messages.
[[nodiscard]] std::string supported_quant_types();

}  // namespace pumice
