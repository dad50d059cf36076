// One GGUF file parsed and validated by itself. Internal to the loader; gguf.h is the interface.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "engine/base/result.h"
#include "loader/byte_cursor.h"
#include "loader/metadata.h"
#include "loader/tensor_info.h"

namespace pumice {

struct GgufPart {
  uint32_t version = 0;
  uint64_t alignment = 32;
  Metadata metadata;
  std::vector<TensorInfo> tensors;  ///< file order; `part` is filled in by whoever joins parts
};

/// Everything of one file. Views point into `bytes`. `name` starts every error. `bytes` may be the
/// beginning of a longer file of `file_bytes`: all in front of the tensors' data must be in it, and
/// tensors that are not have no view.
[[nodiscard]] Result<GgufPart> parse_gguf_part(const std::string& name,
                                               std::span<const std::byte> bytes,
                                               uint64_t file_bytes);

// The steps of it, each in a file of its own. Errors carry byte positions but not the file's name.

/// gguf_value.cpp: `count` keys with their values.
[[nodiscard]] Result<std::vector<MetadataEntry>> parse_entries(ByteCursor& cursor, uint64_t count);

/// gguf_tensor.cpp: `count` tensor infos and, behind them, where the data is. The cursor was made
/// over `bytes`; `file_bytes` as above.
[[nodiscard]] Result<std::vector<TensorInfo>> parse_tensors(ByteCursor& cursor,
                                                            std::span<const std::byte> bytes,
                                                            uint64_t file_bytes, uint64_t count,
                                                            uint64_t alignment);

/// The length-checked string at the cursor: at most `max_bytes`. `what` names it in errors.
[[nodiscard]] Result<std::string_view> parse_string(ByteCursor& cursor, uint64_t max_bytes,
                                                    std::string_view what);

/// A string that must be a name: 1..max_bytes bytes of UTF-8 without control characters.
[[nodiscard]] Result<std::string_view> parse_name(ByteCursor& cursor, uint64_t max_bytes,
                                                  std::string_view what);

/// The error for a file that ends inside `what`.
[[nodiscard]] tl::unexpected<Error> fail_truncated(const ByteCursor& cursor, std::string_view what);

}  // namespace pumice
