// One tensor as a model file holds it: name, type, shape and where its bytes are. Plain data.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "loader/quant_type.h"

namespace pumice {

/// Every field is validated: shape entries are >= 1, rows are whole blocks, `data` is inside the
/// file. The views live as long as the GgufFile.
struct TensorInfo {
  std::string_view name;                      ///< UTF-8 without control bytes, 1..63 bytes
  QuantType type = QuantType::F32;            ///< always one that has a codec
  uint32_t n_dims = 0;                        ///< 1..4
  std::array<uint64_t, 4> shape{1, 1, 1, 1};  ///< shape[0] runs along a row; unused entries are 1
  uint64_t n_weights = 0;                     ///< product of the shape
  uint64_t n_bytes = 0;                       ///< bytes in the file
  /// The mapped bytes, n_bytes of them; maybe none of a source that can only read (GgufFile::read).
  std::span<const std::byte> data;
  uint32_t part = 0;         ///< which file of a split model, from 0
  uint64_t file_offset = 0;  ///< of data in that file

  /// Rows of shape[0] weights, all higher dimensions flattened.
  [[nodiscard]] uint64_t n_rows() const { return n_weights / shape[0]; }
  [[nodiscard]] uint64_t row_bytes() const { return n_bytes / n_rows(); }
};

/// "[4096, 32000]", at least one number.
[[nodiscard]] std::string shape_text(std::span<const uint64_t> shape);

}  // namespace pumice
