// One GET of a hub: redirects followed here, so that the token goes to the hub alone and what the
// hub says of a file on the way to another host is heard; nothing unbounded is kept.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "engine/base/result.h"

namespace pumice::hub {

struct HttpOptions {
  std::string endpoint;  ///< "https://host", perhaps with a port and a path; no '/' at its end
  std::string token;     ///< sent to the endpoint's scheme, host and port alone; empty = none
  long connect_seconds = 15;
  long stall_seconds = 30;      ///< this long below 1 KiB/s ends a transfer
  std::function<bool()> go_on;  ///< asked at least once a second; false ends with Cancelled
};

/// What the last response said of itself, and what the hub said before it.
struct HttpHead {
  long status = 0;
  std::string host;                ///< that answered, for messages
  std::string etag;                ///< as it stands, quotes and all; empty = none or a weak one
  std::string content_type;        ///< "text/html"
  std::string next_query;          ///< of the next page: what follows the '?' of Link's rel="next"
  std::string hub_says;            ///< X-Error-Message
  std::optional<uint64_t> length;  ///< Content-Length
  std::optional<uint64_t> first_byte, total;  ///< Content-Range
  std::string linked_sha256;                  ///< X-Linked-Etag of the endpoint itself
  std::optional<uint64_t> linked_size;        ///< X-Linked-Size of the endpoint itself
};

struct HttpGet {
  std::string url;
  std::string what;         ///< is being asked for, for messages
  uint64_t first_byte = 0;  ///< asks for what follows; 206 is the answer to that
  std::string if_range;     ///< an ETag: from the first byte if it is another version now
  /// Called once before the bytes of a 200 or 206; its error ends the transfer.
  std::function<Result<void>(const HttpHead&)> on_head;
  std::function<Result<void>(std::span<const std::byte>)> on_bytes;
};

struct HttpError {
  Error error;
  bool passing = false;  ///< the same may succeed later
  long status = 0;       ///< of a response that refused; 0 = it did not come to that
};

class Http {
 public:
  explicit Http(HttpOptions options);
  ~Http();
  Http(const Http&) = delete;
  Http& operator=(const Http&) = delete;

  /// The head of a 200 or 206 whose bytes went to the callbacks; anything else is an error that
  /// says what to do. Connections are kept for the next call.
  [[nodiscard]] tl::expected<HttpHead, HttpError> get(const HttpGet& get);

  [[nodiscard]] const HttpOptions& options() const { return options_; }

 private:
  struct Handle;
  HttpOptions options_;
  std::unique_ptr<Handle> handle_;
};

/// "https://host:443" of an address, in small letters with its port; empty unless it is http or
/// https without a user name in it.
[[nodiscard]] std::string origin_of(const std::string& url);

/// An endpoint as HF_ENDPOINT gives it, without '/' at its end. BadArgument unless it is an http
/// or https address without user name, query and fragment.
[[nodiscard]] Result<std::string> checked_endpoint(std::string_view text);

/// A token as HF_TOKEN gives it, without white space around it. BadArgument, never quoting it, for
/// characters that would break the header it is sent in.
[[nodiscard]] Result<std::string> checked_token(std::string_view text);

}  // namespace pumice::hub
