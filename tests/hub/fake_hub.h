// A hub with one repository, someone/model, that serves its files as well or as badly as a test
// wants.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>

#include "server.h"

namespace pumice::test {

/// "GGUF" and bytes that depend on the seed and on their place.
[[nodiscard]] std::string made_up(size_t size, uint32_t seed);

[[nodiscard]] std::string sha256_of(const std::string& bytes);

struct FakeFile {
  std::string bytes;
  std::string etag;         ///< with its quotes
  bool in_storage = false;  ///< the listing gives its SHA-256
};

class FakeHub {
 public:
  std::map<std::string, FakeFile> files;  ///< by path in the repository
  std::optional<size_t> cut_at;           ///< place in the file where the connection ends
  std::optional<size_t> corrupt_at;       ///< place of a byte that comes wrong
  bool stalls = false;                    ///< stays open at cut_at
  bool ignores_range = false;             ///< always sends all
  bool ignores_if_range = false;          ///< goes on in whatever version there is
  std::string redirect_to;                ///< of files: another host; with X-Linked headers
  std::function<std::optional<Response>(const Request&)> first;  ///< asked before the rest

  Server server{[this](const Request& request) { return answer(request); }};

  /// Requests for files since the last call.
  [[nodiscard]] std::vector<Request> file_requests();

 private:
  Response answer(const Request& request) const;
  std::string listing() const;
  Response file(const Request& request, const FakeFile& file) const;
};

}  // namespace pumice::test
