// Owns the meaning of the headers and status numbers of a hub.
#include "tools/pumice/hub/http_head.h"

#include <algorithm>
#include <array>

#include "loader/printable.h"
#include "tools/pumice/hub/names.h"

namespace pumice::hub {
namespace {

constexpr size_t kLongestValue = 2048;  // bytes of a header that is kept

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r\n";
  const size_t first = text.find_first_not_of(kSpace);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kSpace) - first + 1);
}

/// A strong validator that can be sent back as it is, or nothing.
std::string strong_etag(std::string_view value) {
  const auto odd = [](char c) { return c < 0x21 || c >= 0x7F; };
  const bool strong = value.size() > 2 && value.size() <= 256 && value.front() == '"' &&
                      value.back() == '"' && std::none_of(value.begin(), value.end(), odd);
  return strong ? std::string(value) : std::string();
}

/// "bytes 4096-8191/20000"
void read_content_range(std::string_view value, HttpHead& head) {
  if (!value.starts_with("bytes ")) return;
  value.remove_prefix(6);
  const size_t dash = value.find('-'), slash = value.find('/');
  if (dash == std::string_view::npos || slash == std::string_view::npos) return;
  head.first_byte = byte_count(value.substr(0, dash));
  head.total = byte_count(value.substr(slash + 1));
}

/// <https://host/path?QUERY>; rel="next"
std::string next_query(std::string_view value) {
  while (!value.empty()) {
    const size_t open = value.find('<'), close = value.find('>');
    if (open == std::string_view::npos || close == std::string_view::npos || close < open) break;
    const std::string_view url = value.substr(open + 1, close - open - 1);
    value.remove_prefix(close + 1);
    const std::string_view words = value.substr(0, value.find('<'));
    const size_t mark = url.find('?');
    if (mark != std::string_view::npos && words.find("rel=\"next\"") != std::string_view::npos)
      return std::string(url.substr(mark + 1, url.find('#') - mark - 1));
  }
  return {};
}

void read_field(std::string_view name, std::string_view value, bool from_hub, HttpHead& head) {
  if (name == "etag") head.etag = strong_etag(value);
  if (name == "content-type")
    head.content_type = lower_case(trimmed(value.substr(0, value.find(';'))));
  if (name == "content-length") head.length = byte_count(value);
  if (name == "content-range") read_content_range(value, head);
  if (name == "link") head.next_query = next_query(value);
  if (name == "x-error-message") head.hub_says = printable(value, 200);
  if (!from_hub) return;
  if (name == "x-linked-size") head.linked_size = byte_count(value);
  if (name == "x-linked-etag" && value.size() > 2)
    head.linked_sha256 = sha256_text(value.substr(1, value.size() - 2));
}

struct Refusal {
  long status;
  ErrorCode code;
  const char* words;
};

constexpr std::array kRefusals = {
    Refusal{403, ErrorCode::Io,
            "the hub forbids it: accept the model's terms on its page with the account that "
            "HF_TOKEN belongs to, and see that the token may read gated repositories"},
    Refusal{404, ErrorCode::NotFound, "the hub has nothing of that name; check it on its page"},
    Refusal{416, ErrorCode::Io, "the file is shorter now than what came of it before"},
    Refusal{429, ErrorCode::Io, "too many requests; wait a while, or set HF_TOKEN"},
};

}  // namespace

void read_header_line(std::string_view line, bool from_hub, HttpHead& head) {
  if (line.starts_with("HTTP/")) {
    head = HttpHead();
    const size_t space = line.find(' ');
    if (space != std::string_view::npos)
      head.status = long(byte_count(line.substr(space + 1, 3)).value_or(0));
    return;
  }
  const size_t colon = line.find(':');
  if (colon == std::string_view::npos) return;
  const std::string_view value = trimmed(line.substr(colon + 1));
  if (value.size() <= kLongestValue)
    read_field(lower_case(trimmed(line.substr(0, colon))), value, from_hub, head);
}

HttpError refusal(const HttpHead& head, std::string_view what, bool with_token) {
  const char* words = nullptr;
  ErrorCode code = ErrorCode::Io;
  if (head.status == 401)
    words = with_token
                ? "the hub does not accept HF_TOKEN for it: the name is wrong, or the token is, or "
                  "it may not read this repository"
                : "there is no such repository, or it is private or gated: check the name, and for "
                  "a gated one accept its terms on its page and set HF_TOKEN";
  for (const Refusal& row : kRefusals)
    if (row.status == head.status) words = row.words, code = row.code;
  const bool passing = head.status == 408 || head.status == 429 || head.status >= 500;
  if (!words) words = passing ? "the hub is in trouble; try again later" : "an unexpected answer";
  std::string text = fmt::format("{}: {} says {}: {}", what, head.host, head.status, words);
  if (!head.hub_says.empty()) text += fmt::format(" (\"{}\")", head.hub_says);
  return {{code, std::move(text)}, passing, head.status};
}

}  // namespace pumice::hub
