// Names of models as users and hubs write them, and whether a hub's name may become a path here.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "engine/base/result.h"

namespace pumice::hub {

/// A repository of a hub, and which of its files: "USER/REPO" or "USER/REPO:QUANT".
struct ModelName {
  std::string user, repo;
  std::string quant;  ///< as written; empty = the usual choice

  [[nodiscard]] std::string repository() const { return user + "/" + repo; }
};

/// BadArgument for what no hub would accept: the parts are of [A-Za-z0-9._-], begin with a letter
/// or digit and have 1 to 96 characters; and for what could not be a folder (is_safe_path()).
[[nodiscard]] Result<ModelName> parse_model_name(std::string_view text);

/// True when a hub's path of a file stays below the folder it is put into, on every system: clean
/// UTF-8, relative, '/' between parts of 1 to 200 bytes that neither are "." or ".." nor end in a
/// dot or space nor name a device of Windows, no backslash, colon, wildcard or quote.
[[nodiscard]] bool is_safe_path(std::string_view path);

/// A path with everything but unreserved characters and '/' percent-encoded.
[[nodiscard]] std::string url_path(std::string_view path);

/// True for "x.gguf" in any case.
[[nodiscard]] bool is_gguf_name(std::string_view path);

/// ASCII letters made small.
[[nodiscard]] std::string lower_case(std::string_view text);

/// 64 hexadecimal digits, made small; empty for anything else.
[[nodiscard]] std::string sha256_text(std::string_view text);

/// A decimal number of bytes and nothing else.
[[nodiscard]] std::optional<uint64_t> byte_count(std::string_view text);

}  // namespace pumice::hub
