// Where a block's scale fields and codes lie in its bytes: the inverse of loader/codec.cpp.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "engine/quant/fit_plan.h"
#include "loader/quant_type.h"

namespace pumice::quant {

/// One run of bytes of the header and its place in the block.
struct HeaderPiece {
  uint32_t offset = 0, bytes = 0;
};

struct BlockFields {
  QuantType type;
  uint32_t codes;                                                ///< per weight
  void (*write_header)(const BlockFit& fit, std::byte* header);  ///< pieces, one after another
  HeaderPiece pieces[2];
  /// `out` is the block, its code bytes already zero.
  void (*write_codes)(std::span<const uint8_t> codes, std::byte* out);
};

/// The row of a type with scales, or null.
[[nodiscard]] const BlockFields* find_block_fields(QuantType type);

}  // namespace pumice::quant
