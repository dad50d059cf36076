// Owns the order of things: list, choose, download, or make do with what is here.
#include "tools/pumice/hub/hub.h"

#include <algorithm>
#include <system_error>

#include "engine/base/checked.h"
#include "engine/base/platform_file.h"
#include "tools/pumice/hub/listing.h"
#include "tools/pumice/hub/record.h"

namespace pumice::hub {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMostCached = 4096;  // files of one repository that are looked at

fs::path path_in(const fs::path& folder, const HubFile& file) {
  return folder / fs::path(std::u8string(file.path.begin(), file.path.end()));
}

/// Whole models below a folder, in the order of a listing.
std::vector<HubFile> cached_files(const fs::path& folder) {
  std::vector<HubFile> files;
  std::error_code error;
  fs::recursive_directory_iterator entry(folder, error), end;
  for (size_t seen = 0; !error && entry != end && seen < kMostCached;
       entry.increment(error), ++seen) {
    const std::u8string path = entry->path().lexically_relative(folder).generic_u8string();
    HubFile file{std::string(path.begin(), path.end()), std::nullopt, "", ""};
    if (is_gguf_name(file.path) && is_whole(entry->path())) files.push_back(std::move(file));
  }
  std::sort(files.begin(), files.end(),
            [](const HubFile& a, const HubFile& b) { return a.path < b.path; });
  return files;
}

Result<std::vector<HubFile>> choose(const std::vector<HubFile>& files, const ModelRequest& request,
                                    const std::string& where) {
  return request.file.empty() ? choose_quant(files, request.name.quant, where)
                              : choose_path(files, request.file, where);
}

/// What lies in the cache, said with the reason why it has to do.
Result<fs::path> from_cache(const ModelRequest& request, const fs::path& folder,
                            const std::string& why, const DownloadOptions& options) {
  const std::vector<HubFile> files = cached_files(folder);
  if (files.empty())
    return fail(ErrorCode::NotFound, "{}, and nothing of {} is in the cache {}", why,
                request.name.repository(), folder.string());
  PUMICE_TRY_ASSIGN(
      const std::vector<HubFile> parts,
      choose(files, request, request.name.repository() + " in the cache " + folder.string()));
  const fs::path path = path_in(folder, parts.front());
  if (options.say) options.say(fmt::format("{}; using {} from the cache", why, path.string()));
  return path;
}

/// Progress of one part as progress of the whole model.
DownloadOptions as_part_of(const DownloadOptions& options, uint64_t before, uint64_t all,
                           bool part_of_many) {
  DownloadOptions part = options;
  part.only_listed = part_of_many;
  const uint64_t total = part_of_many ? all : 0;
  if (options.progress)
    part.progress = [&options, before, total](Phase phase, uint64_t done, uint64_t of_part) {
      options.progress(phase, before + done, total ? total : of_part);
    };
  return part;
}

class Fetch {
 public:
  Fetch(Http& http, const ModelRequest& request, const fs::path& folder,
        const DownloadOptions& options)
      : http_(http), request_(request), folder_(folder), options_(options) {}

  Result<void> bring(const std::vector<HubFile>& parts) {
    std::vector<const HubFile*> missing;
    uint64_t total = 0;
    for (const HubFile& part : parts)
      if (!is_current(path_in(folder_, part), part)) missing.push_back(&part);
    for (const HubFile* part : missing) {
      const auto sum = checked_add(total, part->size.value_or(0));
      if (!sum) return fail(ErrorCode::BadFile, "{}: no disk is that large", part->path);
      total = *sum;
    }
    if (missing.empty()) return {};
    PUMICE_TRY(check_rest(missing, total));
    if (parts.size() > 1) PUMICE_TRY(remove_outdated(missing));
    announce(missing, total);
    uint64_t before = 0;
    for (const HubFile* part : missing) {
      const std::string url = fmt::format("{}/{}/resolve/main/{}", http_.options().endpoint,
                                          request_.name.repository(), url_path(part->path));
      PUMICE_TRY(download(http_, url, *part, path_in(folder_, *part),
                          as_part_of(options_, before, total, parts.size() > 1)));
      before += part->size.value_or(0);
    }
    return {};
  }

 private:
  void announce(const std::vector<const HubFile*>& missing, uint64_t total) const {
    if (!options_.say) return;
    const std::string parts =
        missing.size() > 1 ? fmt::format(" and {} more", missing.size() - 1) : std::string();
    const std::string size =
        total > 0 ? fmt::format(" ({:.1f} MiB)", double(total) / (1 << 20)) : std::string();
    options_.say(fmt::format("downloading {}{} of {}{} into {}", missing[0]->path, parts,
                             request_.name.repository(), size, folder_.string()));
  }

  /// Parts of two versions would not be a model, and without the hub nobody could tell them apart.
  Result<void> remove_outdated(const std::vector<const HubFile*>& missing) const {
    for (const HubFile* part : missing) {
      const fs::path path = path_in(folder_, *part);
      if (!read_record(path) || is_current(path, *part)) continue;
      std::error_code error;
      fs::remove(path, error);
      if (error)
        return fail(ErrorCode::Io, "{}: cannot remove the older version: {}", path.string(),
                    error.message());
      remove_record(path);
    }
    return {};
  }

  /// Room for all parts, before the first of them comes.
  Result<void> check_rest(const std::vector<const HubFile*>& missing, uint64_t total) const {
    std::error_code ignored;
    uint64_t here = 0;
    for (const HubFile* part : missing) {
      const uint64_t size = fs::file_size(part_path(path_in(folder_, *part)), ignored);
      if (!ignored) here += size;
    }
    fs::create_directories(folder_, ignored);  // download() says why it cannot be
    return check_room(folder_, total > here ? total - here : 0);
  }

  Http& http_;
  const ModelRequest& request_;
  const fs::path& folder_;
  const DownloadOptions& options_;
};

}  // namespace

Result<fs::path> fetch(const ModelRequest& request, const HttpOptions& http_options,
                       const fs::path& cache, const DownloadOptions& options) {
  const fs::path folder = cache / request.name.user / request.name.repo;
  if (request.offline)
    return from_cache(request, folder, "the hub is not asked (--offline)", options);
  Http http(http_options);
  const auto files = list_files(http, request.name);
  if (!files) {
    const Error& error = files.error().error;
    if (error.code == ErrorCode::Cancelled) return tl::unexpected<Error>(error);
    auto cached = from_cache(request, folder, error.text, options);
    return cached ? cached : tl::unexpected<Error>(error);
  }
  PUMICE_TRY_ASSIGN(const std::vector<HubFile> parts,
                    choose(*files, request, request.name.repository()));
  const fs::path path = path_in(folder, parts.front());
  if (const auto brought = Fetch(http, request, folder, options).bring(parts); !brought) {
    // parts of two versions would not be a model
    const bool serves = parts.size() == 1 && brought.error().code != ErrorCode::Cancelled;
    if (!serves || !is_whole(path)) return tl::unexpected<Error>(brought.error());
    if (options.say)
      options.say(fmt::format("{}; using the older {}", brought.error().text, path.string()));
  }
  return path;
}

}  // namespace pumice::hub
