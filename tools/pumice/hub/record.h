// What is known of a file in the cache, kept beside it as NAME.json.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "tools/pumice/hub/choose.h"

namespace pumice::hub {

struct Record {
  std::string etag;    ///< of the host that served the bytes; empty = none
  std::string oid;     ///< HubFile::oid
  std::string sha256;  ///< of a whole file its own; of a part that which the whole is to have
  uint64_t size = 0;   ///< bytes of the whole file; 0 = not known
};

[[nodiscard]] std::filesystem::path record_path(const std::filesystem::path& file);

/// Nothing where there is none, or none that can be read.
[[nodiscard]] std::optional<Record> read_record(const std::filesystem::path& file);
[[nodiscard]] Result<void> write_record(const std::filesystem::path& file, const Record& record);
void remove_record(const std::filesystem::path& file);

/// True for a file that is there with all bytes that its record speaks of; one without a record
/// took its name when it was whole.
[[nodiscard]] bool is_whole(const std::filesystem::path& file);

/// True where that is the version which the hub speaks of.
[[nodiscard]] bool is_current(const std::filesystem::path& file, const HubFile& hub);

}  // namespace pumice::hub
