// Owns the reading of /api/models/USER/REPO/tree/main.
#include "tools/pumice/hub/listing.h"

#include <nlohmann/json.hpp>

#include "loader/printable.h"

namespace pumice::hub {
namespace {

using Json = nlohmann::json;

constexpr size_t kMostBytes = size_t(4) << 20;  // a page of 1000 entries has 400 KB
constexpr int kMostPages = 64;
constexpr size_t kMostFiles = 65'536;
constexpr int kDeepest = 8;  // an array of objects of objects, and room

/// Brackets outside of texts: a parser would allocate for each, however deep.
bool is_flat(std::string_view json) {
  int depth = 0;
  bool in_text = false;
  for (size_t i = 0; i < json.size(); ++i) {
    const char c = json[i];
    if (in_text) {
      if (c == '\\') ++i;
      if (c == '"') in_text = false;
    } else if (c == '"') {
      in_text = true;
    } else if (c == '[' || c == '{') {
      if (++depth > kDeepest) return false;
    } else if (c == ']' || c == '}') {
      --depth;
    }
  }
  return true;
}

std::string text_of(const Json& object, const char* name) {
  const auto found = object.find(name);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

std::optional<uint64_t> number_of(const Json& object, const char* name) {
  const auto found = object.find(name);
  if (found == object.end() || !found->is_number_unsigned()) return std::nullopt;
  return found->get<uint64_t>();
}

/// What Git's large file storage says goes before what the tree says: that may be of a pointer.
HubFile file_of(const Json& entry) {
  HubFile file{text_of(entry, "path"), number_of(entry, "size"), "", text_of(entry, "oid")};
  if (!is_safe_path(file.oid)) file.oid.clear();
  const auto lfs = entry.find("lfs");
  if (lfs == entry.end() || !lfs->is_object()) return file;
  file.sha256 = sha256_text(text_of(*lfs, "oid"));
  if (const auto size = number_of(*lfs, "size")) file.size = size;
  return file;
}

}  // namespace

Result<void> read_listing(std::string_view json, std::vector<HubFile>& files) {
  Json page;
  if (is_flat(json)) page = Json::parse(json, nullptr, /*allow_exceptions=*/false);
  if (!page.is_array())
    return fail(ErrorCode::BadFile,
                "expected a list of files in JSON, found \"{}\"; is HF_ENDPOINT a hub, or does a "
                "network's log-in page answer in its place?",
                printable(json.substr(0, json.find('\n')), 60));
  for (const Json& entry : page) {
    if (!entry.is_object() || text_of(entry, "type") != "file") continue;
    HubFile file = file_of(entry);
    if (!is_safe_path(file.path)) continue;
    if (files.size() >= kMostFiles)
      return fail(ErrorCode::BadFile, "it lists more than {} files", kMostFiles);
    files.push_back(std::move(file));
  }
  return {};
}

tl::expected<std::vector<HubFile>, HttpError> list_files(Http& http, const ModelName& name) {
  const std::string base =
      fmt::format("{}/api/models/{}/tree/main", http.options().endpoint, name.repository());
  const auto failed = [&](Error error) {
    return tl::unexpected<HttpError>({fail_in(name.repository(), std::move(error)).value()});
  };
  std::vector<HubFile> files;
  std::string query = "recursive=true";
  for (int page = 0; page < kMostPages; ++page) {
    std::string body;
    HttpGet get{base + "?" + query, name.repository()};
    get.on_bytes = [&](std::span<const std::byte> bytes) -> Result<void> {
      if (body.size() + bytes.size() > kMostBytes)
        return fail(ErrorCode::BadFile, "{}: the hub's list of files has more than {} MiB a page",
                    name.repository(), kMostBytes >> 20);
      body.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
      return {};
    };
    auto head = http.get(get);
    if (!head) return tl::unexpected<HttpError>(std::move(head.error()));
    if (auto read = read_listing(body, files); !read) return failed(std::move(read.error()));
    if (head->next_query.empty()) return files;
    query = std::move(head->next_query);  // of our own address: a page is never asked of others
  }
  return failed({ErrorCode::BadFile, fmt::format("its list has more than {} pages", kMostPages)});
}

}  // namespace pumice::hub
