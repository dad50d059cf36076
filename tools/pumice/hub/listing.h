// The files of a repository, as the hub tells them.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "tools/pumice/hub/choose.h"
#include "tools/pumice/hub/http.h"
#include "tools/pumice/hub/names.h"

namespace pumice::hub {

/// Appends the files of one page of a listing: a JSON array of objects with "type", "path", "size",
/// "oid" and "lfs". Entries that are no files, or whose path could leave a folder, are left out.
/// BadFile for anything else, such as a page in HTML.
[[nodiscard]] Result<void> read_listing(std::string_view json, std::vector<HubFile>& files);

/// Asks the hub for all pages. Bounded: 4 MiB a page, 64 pages, 65,536 files.
[[nodiscard]] tl::expected<std::vector<HubFile>, HttpError> list_files(Http& http,
                                                                       const ModelName& name);

}  // namespace pumice::hub
