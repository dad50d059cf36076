// One file from a hub into a folder: goes on where an earlier try ended, checks what came, and
// gives the file its name when it is whole.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string_view>

#include "tools/pumice/hub/choose.h"
#include "tools/pumice/hub/http.h"

namespace pumice::hub {

enum class Phase {
  Checking,  ///< reads what is here already
  Loading,
};

/// What a download tells the user, and how stubborn it is.
struct DownloadOptions {
  /// Bytes done of all; `total` 0 = not known. Often called.
  std::function<void(Phase phase, uint64_t done, uint64_t total)> progress;
  std::function<void(std::string_view line)> say;  ///< what a user should know
  bool only_listed = false;  ///< a version other than HubFile's is an error, not the newer one
  int attempts = 6;          ///< in a row that bring less than 1 MiB
  std::chrono::milliseconds first_wait{1000};  ///< before the second; doubles up to 30 s
};

/// Brings `file` from `url` to `target`, whose folder is made. Unfinished bytes lie in
/// TARGET.part, and TARGET.part.json says of which version (ETag, SHA-256, size) they are: another
/// version begins anew. Where two processes want the same file, one loads and the other waits.
/// Errors: Io (network, disk; what came is kept), BadFile (other bytes than the hub announced;
/// they are removed), Cancelled (kept), NotFound.
[[nodiscard]] Result<void> download(Http& http, const std::string& url, const HubFile& file,
                                    const std::filesystem::path& target,
                                    const DownloadOptions& options);

/// Io when `bytes` more do not fit into a folder that exists.
[[nodiscard]] Result<void> check_room(const std::filesystem::path& folder, uint64_t bytes);

}  // namespace pumice::hub
