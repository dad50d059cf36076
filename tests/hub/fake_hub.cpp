#include "fake_hub.h"

#include <fmt/format.h>

#include <span>

#include "tools/pumice/hub/sha256.h"

namespace pumice::test {
namespace {

const std::string kList = "/api/models/someone/model/tree/main";
const std::string kFiles = "/someone/model/resolve/main/";

}  // namespace

std::string made_up(size_t size, uint32_t seed) {
  std::string bytes = "GGUF";
  uint32_t state = seed * 2654435761u + 1;
  while (bytes.size() < size) bytes.push_back(char((state = state * 1664525u + 1013904223u) >> 24));
  return bytes;
}

std::string sha256_of(const std::string& bytes) {
  hub::Sha256 hash;
  hash.add(std::as_bytes(std::span(bytes)));
  return hash.finish();
}

std::vector<Request> FakeHub::file_requests() {
  std::vector<Request> found;
  for (Request& request : server.take())
    if (request.path.starts_with(kFiles)) found.push_back(std::move(request));
  return found;
}

Response FakeHub::answer(const Request& request) const {
  if (first)
    if (auto response = first(request)) return *response;
  if (request.path == kList + "?recursive=true")
    return {http("200 OK", "Content-Type: application/json\r\n", listing())};
  if (request.path.starts_with(kFiles))
    if (const auto found = files.find(request.path.substr(kFiles.size())); found != files.end())
      return file(request, found->second);
  return {http("404 Not Found", "X-Error-Message: Entry not found\r\n", "Entry not found")};
}

std::string FakeHub::listing() const {
  std::string text = R"([{"type":"directory","path":"sub","size":0})";
  for (const auto& [path, file] : files) {
    text += fmt::format(R"(,{{"type":"file","path":"{}","size":{},"oid":"v{}")", path,
                        file.bytes.size(), file.etag.substr(1, file.etag.size() - 2));
    if (file.in_storage)
      text += fmt::format(R"(,"lfs":{{"oid":"{}","size":{},"pointerSize":134}})",
                          sha256_of(file.bytes), file.bytes.size());
    text += "}";
  }
  return text + "]";
}

Response FakeHub::file(const Request& request, const FakeFile& file) const {
  if (!redirect_to.empty())
    return {http("302 Found",
                 fmt::format("Location: {}{}\r\nX-Linked-Size: {}\r\nX-Linked-Etag: \"{}\"\r\n",
                             redirect_to, request.path, file.bytes.size(), sha256_of(file.bytes)),
                 "Found. Redirecting")};
  const std::string range = request.header("Range"), if_range = request.header("If-Range");
  const bool same = if_range.empty() || if_range == file.etag || ignores_if_range;
  const size_t begin =
      range.empty() || ignores_range || !same ? 0 : std::stoull(range.substr(sizeof "bytes=" - 1));
  if (begin >= file.bytes.size() && begin > 0) return {http("416 Range Not Satisfiable", "", "")};
  std::string body = file.bytes;
  if (corrupt_at && *corrupt_at < body.size()) body[*corrupt_at] = char(body[*corrupt_at] ^ 1);
  const size_t end = std::max(begin, std::min(cut_at.value_or(body.size()), body.size()));
  std::string headers =
      fmt::format("ETag: {}\r\nContent-Length: {}\r\n", file.etag, body.size() - begin);
  if (begin > 0)
    headers +=
        fmt::format("Content-Range: bytes {}-{}/{}\r\n", begin, body.size() - 1, body.size());
  return {
      http(begin > 0 ? "206 Partial Content" : "200 OK", headers, body.substr(begin, end - begin)),
      stalls};
}

}  // namespace pumice::test
