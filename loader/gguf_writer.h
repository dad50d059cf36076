// Writes a model file in the GGUF container, version 3: metadata and tensor table first, then each
// tensor's bytes in order. The file appears under its name only when it is whole.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "engine/base/result.h"
#include "loader/metadata_draft.h"
#include "loader/quant_type.h"

namespace pumice {

struct GgufTensorPlan {
  std::string name;
  QuantType type = QuantType::F32;
  std::vector<uint64_t> shape;  ///< shape[0] = row width
};

/// Where everything of a file lies.
struct GgufLayout {
  std::vector<std::byte> head;      ///< all before the weights, padding included
  std::vector<uint64_t> at, bytes;  ///< of each tensor: from the start of the file, without padding
  uint64_t alignment = 32;
  uint64_t file_bytes = 0;
};

/// The layout of a file that is going to be written, or made in memory. `name` is for messages.
/// BadArgument: names, shapes or keys that the format cannot hold, a row that is no whole blocks.
[[nodiscard]] Result<GgufLayout> gguf_layout(const std::string& name, const MetadataDraft& metadata,
                                             std::span<const GgufTensorPlan> tensors);

class GgufWriter {
 public:
  /// Checks that the disk has room for all of it, creates `path` + ".part" beside the target and
  /// writes everything before the weights. A Metadata that was read from a file converts to a
  /// draft. Errors: those of gguf_layout, Io (no room, no permission), NotFound (no such folder).
  [[nodiscard]] static Result<std::unique_ptr<GgufWriter>> create(
      const std::string& path, const MetadataDraft& metadata, std::vector<GgufTensorPlan> tensors);
  ~GgufWriter();  ///< removes the unfinished file
  GgufWriter(const GgufWriter&) = delete;
  GgufWriter& operator=(const GgufWriter&) = delete;

  /// Of the whole file, known from the start.
  [[nodiscard]] uint64_t file_bytes() const;

  /// The next bytes of the weights, in table order; padding between tensors is the writer's. A call
  /// may end or begin anywhere.
  [[nodiscard]] Result<void> write(std::span<const std::byte> bytes);
  /// All bytes of all tensors have been written: flush, rename.
  [[nodiscard]] Result<void> finish();

  struct State;  ///< defined in the .cpp

 private:
  explicit GgufWriter(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace pumice
