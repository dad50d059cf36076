// The metadata of a file that is going to be written: starts empty or as a copy of another file's,
// then keys are set and removed. Owns all of it, encoded as the file will hold it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/result.h"
#include "loader/metadata.h"

namespace pumice {

class MetadataDraft {
 public:
  MetadataDraft() = default;
  /// Every key in file order, except those that say where in a split model a file is: what is
  /// written is whole.
  MetadataDraft(const Metadata& original);  // NOLINT: meant to convert

  // A key that is there already keeps its place and takes the new value and type. Keys are 1 to
  // 65,535 bytes; GgufWriter::create refuses others.
  void set_u32(std::string_view key, uint32_t value);
  void set_u64(std::string_view key, uint64_t value);
  void set_f32(std::string_view key, float value);
  void set_bool(std::string_view key, bool value);
  void set_string(std::string_view key, std::string_view value);
  void set_u32s(std::string_view key, std::span<const uint32_t> values);
  void set_i32s(std::string_view key, std::span<const int32_t> values);
  void set_f32s(std::string_view key, std::span<const float> values);
  void set_strings(std::string_view key, std::span<const std::string> values);
  /// Does nothing where the key is absent.
  void remove(std::string_view key);

  [[nodiscard]] size_t size() const { return entries_.size(); }
  [[nodiscard]] bool contains(std::string_view key) const;
  /// What general.alignment says, or the format's 32. BadArgument unless it is a power of two of at
  /// most 4096.
  [[nodiscard]] Result<uint64_t> alignment() const;
  /// Keys, types and values, as they follow the header of a file.
  [[nodiscard]] std::vector<std::byte> encoded() const;

  struct Entry {
    std::string key;
    std::vector<std::byte> value;  ///< type and value
  };
  [[nodiscard]] std::span<const Entry> entries() const { return entries_; }

 private:
  void put(std::string_view key, std::vector<std::byte> value);
  std::vector<Entry> entries_;
};

}  // namespace pumice
