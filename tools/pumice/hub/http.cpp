// Owns the calls of libcurl.
#include "tools/pumice/hub/http.h"

#include <curl/curl.h>

#include <algorithm>
#include <array>

#include "loader/printable.h"
#include "tools/pumice/hub/http_head.h"
#include "tools/pumice/hub/names.h"

namespace pumice::hub {
namespace {

constexpr int kMostRedirects = 8;
constexpr size_t kMostRefusal = 64 << 10;   // bytes of a body that nobody reads
constexpr size_t kMostHeaders = 256 << 10;  // bytes of one response's
constexpr long kStallSpeed = 1024;          // bytes/s

struct FreeUrl {
  void operator()(CURLU* url) const { curl_url_cleanup(url); }
};
struct FreeText {
  void operator()(char* text) const { curl_free(text); }
};
struct FreeList {
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};

std::string url_part(CURLU* url, CURLUPart part, unsigned flags = 0) {
  char* text = nullptr;
  if (curl_url_get(url, part, &text, flags) != CURLUE_OK) return {};
  const std::unique_ptr<char, FreeText> owned(text);
  return text;
}

std::unique_ptr<CURLU, FreeUrl> parsed(const std::string& url) {
  std::unique_ptr<CURLU, FreeUrl> address(curl_url());
  if (!address || curl_url_set(address.get(), CURLUPART_URL, url.c_str(), 0) != CURLUE_OK)
    return nullptr;
  return address;
}

bool is_redirect(long status) {
  return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

bool has_bytes(long status) {
  return status == 200 || status == 206;
}

/// One request without its redirects.
struct Transfer {
  const HttpGet& get;
  const HttpOptions& options;
  std::string host;           ///< that is asked
  std::string linked_sha256;  ///< the hub's word, of a response before this one
  std::optional<uint64_t> linked_size;
  bool from_hub = false;  ///< it is the endpoint that answers
  HttpHead head;
  bool begun = false;    ///< on_head was called
  uint64_t headers = 0;  ///< bytes of headers
  uint64_t unread = 0;   ///< bytes of a body that nobody reads
  Result<void> ok;       ///< or the error of a callback

  /// What the response does not say itself.
  void complete_head() {
    head.host = host;
    if (!head.linked_sha256.empty()) return;
    head.linked_sha256 = linked_sha256;
    head.linked_size = linked_size;
  }

  void begin() {
    if (begun) return;
    begun = true;
    complete_head();
    if (get.on_head) ok = get.on_head(head);
  }
};

size_t on_header(char* data, size_t size, size_t count, void* user) {
  auto& transfer = *static_cast<Transfer*>(user);
  const size_t bytes = size * count;
  transfer.headers += bytes;
  if (transfer.headers > kMostHeaders) {
    transfer.ok = fail(ErrorCode::Io, "{}: the answer begins with more than {} KiB of headers",
                       transfer.get.what, kMostHeaders >> 10);
    return 0;
  }
  if (!transfer.begun && transfer.unread == 0)
    read_header_line({data, bytes}, transfer.from_hub, transfer.head);
  return bytes;
}

size_t on_body(char* data, size_t size, size_t count, void* user) {
  auto& transfer = *static_cast<Transfer*>(user);
  const size_t bytes = size * count;
  if (!has_bytes(transfer.head.status)) {
    transfer.unread += bytes;
    return transfer.unread > kMostRefusal ? 0 : bytes;
  }
  transfer.begin();
  if (transfer.ok) transfer.ok = transfer.get.on_bytes(std::as_bytes(std::span(data, bytes)));
  return transfer.ok ? bytes : 0;
}

int on_progress(void* user, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
  const auto& transfer = *static_cast<Transfer*>(user);
  return transfer.options.go_on && !transfer.options.go_on() ? 1 : 0;
}

/// Failures that another try will not mend.
bool is_lasting(CURLcode code) {
  constexpr std::array lasting = {
      CURLE_UNSUPPORTED_PROTOCOL,     CURLE_URL_MALFORMAT,      CURLE_OUT_OF_MEMORY,
      CURLE_PEER_FAILED_VERIFICATION, CURLE_SSL_CACERT_BADFILE, CURLE_FAILED_INIT,
      CURLE_SSL_ENGINE_NOTFOUND,      CURLE_WEIRD_SERVER_REPLY,
  };
  return std::find(lasting.begin(), lasting.end(), code) != lasting.end();
}

HttpError transport_error(CURLcode code, const char* words, const std::string& host,
                          const HttpOptions& options) {
  if (code == CURLE_ABORTED_BY_CALLBACK) return {{ErrorCode::Cancelled, "interrupted"}};
  std::string text = words[0] ? words : curl_easy_strerror(code);
  if (code == CURLE_OPERATION_TIMEDOUT)
    text = fmt::format("no answer, or less than 1 KiB/s for {} s", options.stall_seconds);
  if (code == CURLE_PEER_FAILED_VERIFICATION || code == CURLE_SSL_CACERT_BADFILE)
    text += "; is the package ca-certificates installed, and the clock right?";
  return {{ErrorCode::Io, fmt::format("{}: {}", host, printable(text, 400))}, !is_lasting(code)};
}

/// Where an address leads, or why nobody is asked there.
Result<std::string> checked_origin(const std::string& url, const std::string& hub,
                                   const std::string& what) {
  std::string origin = origin_of(url);
  if (origin.empty())
    return fail(ErrorCode::Io, "{}: redirected to what is no address of the web", what);
  if (hub.starts_with("https:") && !origin.starts_with("https:"))
    return fail(ErrorCode::Io,
                "{}: redirected from https to {}, which is not safe from changes on the way", what,
                printable(origin, 200));
  return origin;
}

}  // namespace

struct Http::Handle {
  CURL* curl = nullptr;
  std::array<char, CURL_ERROR_SIZE> words{};

  Handle() {
    static const CURLcode ready = curl_global_init(CURL_GLOBAL_DEFAULT);
    if (ready == CURLE_OK) curl = curl_easy_init();
  }
  ~Handle() { curl_easy_cleanup(curl); }
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;

  /// Everything that does not change from one request to the next.
  void configure(const HttpOptions& options) {
    const std::pair<CURLoption, long> numbers[] = {
        {CURLOPT_NOSIGNAL, 1L},
        {CURLOPT_NOPROGRESS, 0L},
        {CURLOPT_FOLLOWLOCATION, 0L},
        {CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L},
        {CURLOPT_CONNECTTIMEOUT, options.connect_seconds},
        {CURLOPT_LOW_SPEED_LIMIT, kStallSpeed},
        {CURLOPT_LOW_SPEED_TIME, options.stall_seconds},
    };
    for (const auto& [option, value] : numbers) curl_easy_setopt(curl, option, value);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "pumice");
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, words.data());
    curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_progress);
  }

  CURLcode perform(Transfer& transfer, const std::string& url, bool with_token) {
    std::unique_ptr<curl_slist, FreeList> headers;
    const auto add = [&](const std::string& line) {
      headers.reset(curl_slist_append(headers.release(), line.c_str()));
    };
    if (with_token) add("Authorization: Bearer " + transfer.options.token);
    if (!transfer.get.if_range.empty()) add("If-Range: " + transfer.get.if_range);
    const std::string range = fmt::format("{}-", transfer.get.first_byte);
    words[0] = '\0';
    curl_easy_setopt(curl, CURLOPT_URL, url.c_str());
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers.get());
    curl_easy_setopt(curl, CURLOPT_RANGE, transfer.get.first_byte ? range.c_str() : nullptr);
    curl_easy_setopt(curl, CURLOPT_HEADERDATA, &transfer);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &transfer);
    curl_easy_setopt(curl, CURLOPT_XFERINFODATA, &transfer);
    const CURLcode code = curl_easy_perform(curl);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, nullptr);
    return code;
  }

  [[nodiscard]] std::string redirect_target() const {
    const char* url = nullptr;
    curl_easy_getinfo(curl, CURLINFO_REDIRECT_URL, &url);
    return url ? url : "";
  }
};

Http::Http(HttpOptions options) : options_(std::move(options)), handle_(new Handle) {
  if (handle_->curl) handle_->configure(options_);
}

Http::~Http() = default;

tl::expected<HttpHead, HttpError> Http::get(const HttpGet& get) {
  const auto failed = [](HttpError error) { return tl::unexpected<HttpError>(std::move(error)); };
  if (!handle_->curl) return failed({{ErrorCode::OutOfMemory, "libcurl cannot be started"}});
  const std::string hub = origin_of(options_.endpoint);
  std::string url = get.url, linked_sha256;
  std::optional<uint64_t> linked_size;
  for (int hop = 0; hop <= kMostRedirects; ++hop) {
    const Result<std::string> origin = checked_origin(url, hub, get.what);
    if (!origin) return failed({origin.error()});
    Transfer transfer{
        get,           options_,    printable(origin->substr(origin->find("//") + 2), 200),
        linked_sha256, linked_size, *origin == hub};
    const bool with_token = transfer.from_hub && !options_.token.empty();
    const CURLcode code = handle_->perform(transfer, url, with_token);
    transfer.complete_head();
    HttpHead& head = transfer.head;
    if (!transfer.ok) return failed({std::move(transfer.ok.error())});
    const bool enough = code == CURLE_WRITE_ERROR && transfer.unread > kMostRefusal;
    if (code != CURLE_OK && !enough)
      return failed(transport_error(code, handle_->words.data(), head.host, options_));
    if (!is_redirect(head.status)) {
      if (!has_bytes(head.status)) return failed(refusal(head, get.what, !options_.token.empty()));
      transfer.begin();  // a response without a byte has a head too
      if (!transfer.ok) return failed({std::move(transfer.ok.error())});
      return std::move(head);
    }
    linked_sha256 = head.linked_sha256;
    linked_size = head.linked_size;
    url = handle_->redirect_target();
  }
  return failed(
      {{ErrorCode::Io, fmt::format("{}: more than {} redirects", get.what, kMostRedirects)}});
}

std::string origin_of(const std::string& url) {
  const auto address = parsed(url);
  if (!address || !url_part(address.get(), CURLUPART_USER).empty() ||
      !url_part(address.get(), CURLUPART_PASSWORD).empty())
    return {};
  const std::string scheme = lower_case(url_part(address.get(), CURLUPART_SCHEME));
  const std::string host = lower_case(url_part(address.get(), CURLUPART_HOST));
  const std::string port = url_part(address.get(), CURLUPART_PORT, CURLU_DEFAULT_PORT);
  if ((scheme != "http" && scheme != "https") || host.empty() || port.empty()) return {};
  return scheme + "://" + host + ":" + port;
}

Result<std::string> checked_endpoint(std::string_view text) {
  std::string url(text);
  while (url.ends_with('/')) url.pop_back();
  const auto address = parsed(url);
  if (origin_of(url).empty() || !url_part(address.get(), CURLUPART_QUERY).empty() ||
      !url_part(address.get(), CURLUPART_FRAGMENT).empty())
    return fail(ErrorCode::BadArgument,
                "HF_ENDPOINT is no address of a hub; expected http(s)://HOST[:PORT][/PATH]");
  return url;
}

Result<std::string> checked_token(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r\n";
  const size_t first = text.find_first_not_of(kSpace);
  if (first == std::string_view::npos) return std::string();
  text = text.substr(first, text.find_last_not_of(kSpace) - first + 1);
  const auto odd = [](char c) { return c <= ' ' || c >= 0x7F; };
  if (text.size() > 4096 || std::any_of(text.begin(), text.end(), odd))
    return fail(ErrorCode::BadArgument,
                "HF_TOKEN holds characters that no token has; expected one word such as hf_...");
  return std::string(text);
}

}  // namespace pumice::hub
