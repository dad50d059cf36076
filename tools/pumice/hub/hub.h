// A model of a hub as a file of this machine. No engine in here, and no flags: addresses, names,
// bytes.
//
// The cache: FOLDER/USER/REPO/PATH.gguf as in the repository, PATH.gguf.json beside it (record.h),
// and PATH.gguf.part with PATH.gguf.part.json while it comes.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <string_view>

#include "tools/pumice/hub/download.h"
#include "tools/pumice/hub/http.h"
#include "tools/pumice/hub/names.h"

namespace pumice::hub {

struct ModelRequest {
  ModelName name;
  std::string file;      ///< path in the repository; empty = chosen by name.quant
  bool offline = false;  ///< never ask the hub
};

/// The model's file (the first, of a split one), downloaded below `folder` unless its newest
/// version lies there. Whatever keeps it from being downloaded, a whole older one serves, and
/// options.say tells why; not so a split one, whose parts are always of one version.
/// Errors: those of download(), NotFound for a model that nobody has.
[[nodiscard]] Result<std::filesystem::path> fetch(const ModelRequest& request,
                                                  const HttpOptions& http,
                                                  const std::filesystem::path& folder,
                                                  const DownloadOptions& options);

}  // namespace pumice::hub
