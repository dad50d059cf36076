// The tables. A row that is missing forbids; the longest folder that matches a path counts.
#include "rules.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <span>
#include <vector>

namespace pumice::arrows {
namespace {

/// Prefixes of paths from the root. A file may always include its own folder's files.
struct Arrow {
  std::string_view from;
  std::vector<std::string_view> to;
};

const std::vector<Arrow>& arrows() {
  static const std::vector<Arrow> table = {
      {"engine/base/", {}},
      {"loader/", {"engine/base/"}},
      {"engine/graph/", {"engine/base/", "loader/quant_type.h"}},
      {"engine/model/", {"engine/base/", "engine/graph/", "loader/"}},
      {"engine/schedule/",
       {"engine/base/", "engine/graph/", "loader/quant_type.h", "shaders/shared/"}},
      {"engine/vk/", {"engine/base/", "engine/schedule/", "shaders/shared/"}},
      {"engine/text/", {"engine/base/", "loader/"}},
      {"engine/session/",
       {"engine/base/", "engine/graph/", "engine/model/", "engine/schedule/", "engine/vk/",
        "engine/text/", "loader/", "shaders/shared/"}},
      {"engine/quant/",
       {"engine/base/", "engine/model/", "engine/schedule/policy.h", "engine/session/",
        "engine/text/", "loader/",
        // the scale search runs kernels of its own
        "engine/schedule/dispatch.h", "engine/vk/device.h", "shaders/shared/"}},
      {"engine/pumice.h", {}},
      {"engine/pumice",
       {"engine/pumice", "engine/base/", "engine/model/architectures.h", "engine/session/",
        "engine/text/", "engine/vk/device.h", "loader/"}},
      {"engine/pumice_vulkan.h", {"engine/pumice.h"}},
      {"engine/pumice_vulkan.cpp",
       {"engine/pumice", "engine/base/", "engine/session/", "engine/vk/borrow.h"}},
      {"shaders/", {}},
      {"shaders/module_lookup.cpp", {"engine/schedule/dispatch.h"}},  // what it defines
      {"demo/", {"engine/pumice.h", "engine/pumice_vulkan.h"}},
      {"tools/train/core/", {}},  // built by itself, for training
      {"tools/pumice/hub/", {"engine/base/", "loader/gguf_split.h", "loader/printable.h"}},
      {"tools/bench/",            // a test's row is also a benchmark's case
       {"engine/base/", "engine/graph/", "engine/model/", "engine/schedule/", "engine/session/",
        "engine/vk/device.h", "engine/vk/pipeline_name.h", "engine/vk/spirv_reflect.h", "loader/",
        "tests/support/", "tests/rows/"}},
      {"tools/pumice/",
       {"engine/base/", "engine/model/", "engine/quant/", "engine/schedule/", "engine/session/",
        "engine/text/", "engine/vk/device.h", "loader/", "tests/rows/", "tools/bench/"}},
  };
  return table;
}

/// Outside headers that belong to few folders. Headers in no row are free (std, fmt, ...).
struct Fence {
  std::vector<std::string_view> headers;  ///< whole names, or prefixes ending in '/'
  std::vector<std::string_view> allowed;  ///< prefixes of paths that may include them
  std::string_view why;
};

const std::vector<Fence>& fences() {
  static const std::vector<Fence> table = {
      {{"volk.h", "vulkan/", "vk_video/"},
       {"engine/vk/", "engine/pumice_vulkan.h", "demo/chat/"},
       "only engine/vk calls Vulkan, and the window for itself"},
      {{"regex", "regex.h", "boost/"}, {}, "patterns are hand-written linear scanners"},
      {{"unistd.h",  "fcntl.h",   "signal.h",  "poll.h",  "pthread.h", "dlfcn.h", "dirent.h",
        "termios.h", "spawn.h",   "sched.h",   "pwd.h",   "ioctl.h",   "sys/",    "netinet/",
        "arpa/",     "windows.h", "winbase.h", "psapi.h", "io.h",      "linux/",  "mach/"},
       {"loader/mapped_file_", "engine/base/platform_", "tools/train/core/"},
       "calls of one operating system live in mapped_file_* and platform_*"},
      {{"CLI/"}, {"tools/"}, "flags are the command's"},
      {{"nlohmann/"}, {"tools/", "loader/safetensors"}, "JSON is not read in the engine"},
      {{"curl/"}, {"tools/pumice/hub/http.cpp"}, "one file talks to the network"},
      {{"openssl/"}, {"tools/pumice/hub/sha256.cpp"}, "only the hash of downloads comes from it"},
      {{"utf8proc.h"}, {"engine/text/"}, "only text knows Unicode"},
      {{"pcre2.h"}, {"engine/quant/pattern.cpp"}, "patterns are bounded there"},
      {{"iostream"}, {"engine/base/platform_windows"}, "programs print with fmt and stdio"},
  };
  return table;
}

bool matches(std::string_view path, std::span<const std::string_view> prefixes) {
  return std::any_of(prefixes.begin(), prefixes.end(),
                     [&](std::string_view prefix) { return path.starts_with(prefix); });
}

bool names(std::string_view header, std::string_view row) {
  return row.ends_with('/') ? header.starts_with(row) : header == row;
}

std::string_view trimmed(std::string_view text) {
  const size_t first = text.find_first_not_of(" \t");
  return first == std::string_view::npos ? std::string_view() : text.substr(first);
}

const Arrow* row_of(std::string_view path) {
  const Arrow* best = nullptr;
  for (const Arrow& row : arrows())
    if (path.starts_with(row.from) && (!best || row.from.size() > best->from.size())) best = &row;
  return best;
}

}  // namespace

std::optional<Include> parse_include(std::string_view line) {
  line = trimmed(line);
  if (!line.starts_with('#')) return std::nullopt;
  line = trimmed(line.substr(1));
  if (!line.starts_with("include")) return std::nullopt;
  line = trimmed(line.substr(7));
  if (line.empty() || (line[0] != '"' && line[0] != '<')) return std::nullopt;
  const bool quoted = line[0] == '"';
  const size_t end = line.find(quoted ? '"' : '>', 1);
  if (end == std::string_view::npos) return std::nullopt;
  return Include{std::string(line.substr(1, end - 1)), quoted};
}

std::string project_arrow_error(std::string_view from, std::string_view to) {
  const Arrow* row = row_of(from);
  if (!row) return fmt::format("{} is in no folder of the arrow table", from);
  if (row->from.ends_with('/') && to.starts_with(row->from)) return {};
  if (matches(to, row->to)) return {};
  return fmt::format("{} may not include {} (it may: {})", row->from, to, fmt::join(row->to, " "));
}

std::string outside_header_error(std::string_view from, std::string_view header) {
  for (const Fence& fence : fences()) {
    const auto hit = [&](std::string_view row) { return names(header, row); };
    if (!std::any_of(fence.headers.begin(), fence.headers.end(), hit)) continue;
    if (!matches(from, fence.allowed))
      return fmt::format("{} may not include <{}>: {}", from, header, fence.why);
  }
  return {};
}

}  // namespace pumice::arrows
