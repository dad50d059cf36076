// Where model bytes come from: a file, memory, or an entry of a game's pak, behind one interface.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "engine/base/result.h"

namespace pumice {

/// A fixed number of bytes that do not change while the object lives. Safe to use from many
/// threads.
class ByteSource {
 public:
  virtual ~ByteSource() = default;

  /// For messages: a path, or what the host calls it.
  [[nodiscard]] virtual const std::string& name() const = 0;
  [[nodiscard]] virtual uint64_t size() const = 0;

  /// Copies bytes [offset, offset + into.size()). The safe way to read weights: a file that
  /// somebody shortened since is an Io error here, where touching mapped pages would be a signal.
  [[nodiscard]] virtual Result<void> read(uint64_t offset, std::span<std::byte> into) const = 0;

  /// All bytes as memory that lives as long as the source, or an Unsupported error from a source
  /// that can only read.
  [[nodiscard]] virtual Result<std::span<const std::byte>> map() const = 0;
};

/// Bytes that the caller owns and keeps alive.
[[nodiscard]] std::shared_ptr<const ByteSource> borrow_memory(std::string name,
                                                              std::span<const std::byte> bytes);

/// Bytes that the source owns.
[[nodiscard]] std::shared_ptr<const ByteSource> own_memory(std::string name,
                                                           std::vector<std::byte> bytes);

}  // namespace pumice
