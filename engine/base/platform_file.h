// Files that appear under their name only when they are whole, and what must be known of a folder
// before a long piece of work ends in it. One twin per operating system.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>

#include "engine/base/result.h"

namespace pumice {

/// A file that is written from front to back beside its target, as target + ".part", and takes the
/// target's name at the end. An unfinished one is removed, unless it was opened with resume(). A
/// symbolic link that is the target is followed.
class NewFile {
 public:
  /// Errors: BadArgument (the target is a folder or a device), NotFound (no such folder), Io (no
  /// permission; another process is writing the same file). A ".part" that a killed process left
  /// behind is written over.
  [[nodiscard]] static Result<std::unique_ptr<NewFile>> create(const std::filesystem::path& target);

  /// The same for work that outlives a process: what an earlier one left is kept and writing goes
  /// on behind it, and an unfinished file that holds bytes stays. Null while another process is
  /// writing the same file.
  [[nodiscard]] static Result<std::unique_ptr<NewFile>> resume(const std::filesystem::path& target);
  ~NewFile();
  NewFile(const NewFile&) = delete;
  NewFile& operator=(const NewFile&) = delete;

  [[nodiscard]] uint64_t size() const;  ///< bytes so far
  /// Copies bytes [offset, offset + into.size()) of those written so far; only after resume().
  [[nodiscard]] Result<void> read(uint64_t offset, std::span<std::byte> into) const;
  [[nodiscard]] Result<void> write(std::span<const std::byte> bytes);
  /// Forgets all bytes so far.
  [[nodiscard]] Result<void> restart();
  /// Waits until the disk has the bytes, then gives the file its name. Nothing can be written
  /// after.
  [[nodiscard]] Result<void> finish();

 private:
  struct State;
  explicit NewFile(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

/// The file that a target's name leads to: the end of its symbolic links, or the name itself where
/// there is nothing yet. BadArgument for a folder or a device.
[[nodiscard]] Result<std::filesystem::path> final_target(const std::filesystem::path& target);

/// Where NewFile writes until it is finished, for a final target.
[[nodiscard]] std::filesystem::path part_path(const std::filesystem::path& target);

/// Bytes that this process may still write in an existing folder; UINT64_MAX = the system won't
/// say.
[[nodiscard]] uint64_t free_bytes(const std::filesystem::path& folder);

/// True when both names lead to one file: equal paths, symbolic links, hard links. False when
/// either does not exist.
[[nodiscard]] bool same_file(const std::filesystem::path& a, const std::filesystem::path& b);

}  // namespace pumice
