// Every source file of the project against the tables of rules.cpp, and the tables against lines
// that must fail, so that a scan which sees nothing cannot pass.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <set>
#include <string>
#include <vector>

#include "rules.h"

namespace pumice::arrows {
namespace {

namespace fs = std::filesystem;

constexpr size_t kLongestFile = 800;  // lines

struct Source {
  std::string path;  ///< from the root, with slashes
  std::vector<std::string> lines;
};

std::vector<Source> sources_under(const std::vector<std::string>& folders) {
  static const std::set<std::string> endings = {".h", ".hpp", ".c", ".cpp", ".comp", ".glsl"};
  const fs::path root = PUMICE_SOURCE_DIR;
  std::vector<Source> found;
  for (const std::string& folder : folders) {
    if (!fs::exists(root / folder)) continue;
    for (const auto& entry : fs::recursive_directory_iterator(root / folder)) {
      if (!entry.is_regular_file() || !endings.count(entry.path().extension().string())) continue;
      Source source{fs::relative(entry.path(), root).generic_string(), {}};
      std::ifstream in(entry.path());
      for (std::string line; std::getline(in, line);) source.lines.push_back(line);
      found.push_back(std::move(source));
    }
  }
  return found;
}

/// The project's file that a directive means, from the root; empty when there is none.
std::string resolve(const Source& source, const std::string& target) {
  const fs::path root = PUMICE_SOURCE_DIR;
  const fs::path beside = fs::path(source.path).parent_path() / target;
  for (const fs::path& candidate : {fs::path(target), beside, fs::path("shaders") / target}) {
    const std::string path = candidate.lexically_normal().generic_string();
    if (!path.starts_with("..") && fs::is_regular_file(root / path)) return path;
  }
  return {};
}

TEST(Arrows, EveryIncludeFollowsTheTable) {
  const auto sources = sources_under({"engine", "loader", "shaders", "tools", "demo"});
  size_t includes = 0;
  for (const Source& source : sources) {
    for (size_t i = 0; i < source.lines.size(); ++i) {
      const auto include = parse_include(source.lines[i]);
      if (!include) continue;
      ++includes;
      const std::string to = include->quoted ? resolve(source, include->target) : std::string();
      const std::string error = to.empty() ? outside_header_error(source.path, include->target)
                                           : project_arrow_error(source.path, to);
      EXPECT_TRUE(error.empty()) << source.path << ":" << i + 1 << ": " << error;
      EXPECT_TRUE(!include->quoted || !to.empty())
          << source.path << ":" << i + 1 << ": \"" << include->target
          << "\" is not a file of the project; outside headers are written <...>";
    }
  }
  EXPECT_GT(includes, 20u) << "the scan saw almost nothing under " << PUMICE_SOURCE_DIR;
}

TEST(Arrows, FilesAreShort) {
  for (const Source& source :
       sources_under({"engine", "loader", "shaders", "tools", "demo", "tests"}))
    EXPECT_LE(source.lines.size(), kLongestFile) << source.path;
}

TEST(Arrows, NothingIsLeftForLater) {
  const std::vector<std::string> marks = {std::string("TO") + "DO", std::string("FIX") + "ME"};
  for (const Source& source :
       sources_under({"engine", "loader", "shaders", "tools", "demo", "tests"}))
    for (size_t i = 0; i < source.lines.size(); ++i)
      for (const std::string& mark : marks)
        EXPECT_EQ(source.lines[i].find(mark), std::string::npos) << source.path << ":" << i + 1;
}

struct ArrowRow {
  const char* from;
  const char* to;
  bool allowed;
};

TEST(Rules, ProjectArrows) {
  const ArrowRow rows[] = {
      {"loader/gguf.cpp", "engine/base/result.h", true},
      {"loader/gguf.cpp", "loader/gguf.h", true},
      {"loader/gguf.cpp", "engine/graph/graph.h", false},
      {"engine/base/log.cpp", "loader/quant_type.h", false},
      {"engine/graph/graph.h", "loader/quant_type.h", true},
      {"engine/graph/graph.h", "loader/gguf.h", false},
      {"engine/vk/device.cpp", "engine/graph/graph.h", false},
      {"engine/vk/device.cpp", "engine/schedule/dispatch.h", true},
      {"engine/text/bpe.cpp", "engine/session/session.h", false},
      {"engine/session/session.cpp", "engine/vk/device.h", true},
      {"engine/pumice.cpp", "engine/vk/device.h", true},
      {"engine/pumice.cpp", "engine/vk/borrow.h", false},
      {"engine/pumice.h", "engine/base/result.h", false},
      {"engine/pumice_vulkan.cpp", "engine/vk/borrow.h", true},
      {"engine/pumice_vulkan.h", "engine/pumice.h", true},
      {"engine/pumice_vulkan.h", "engine/pumice_border.h", false},
      {"demo/chat.cpp", "engine/pumice.h", true},
      {"demo/chat.cpp", "engine/session/session.h", false},
      {"tools/pumice/run.cpp", "engine/vk/recorder.h", false},
      {"tools/pumice/hub/hub.cpp", "engine/base/platform_file.h", true},
      {"tools/pumice/hub/hub.cpp", "engine/session/engine.h", false},
      {"tools/pumice/hub/hub.cpp", "tools/pumice/output.h", false},
      {"engine/new_folder/x.cpp", "engine/base/result.h", false},
  };
  for (const ArrowRow& row : rows)
    EXPECT_EQ(project_arrow_error(row.from, row.to).empty(), row.allowed)
        << row.from << " -> " << row.to;
}

TEST(Rules, OutsideHeaders) {
  const ArrowRow rows[] = {
      {"engine/vk/device.cpp", "volk.h", true},
      {"engine/session/session.cpp", "vulkan/vulkan.h", false},
      {"tools/pumice/devices.cpp", "vulkan/vulkan_core.h", false},
      {"engine/pumice.h", "vulkan/vulkan_core.h", false},
      {"engine/pumice_vulkan.h", "vulkan/vulkan_core.h", true},
      {"loader/mapped_file_posix.cpp", "sys/mman.h", true},
      {"engine/base/platform_windows.cpp", "windows.h", true},
      {"loader/gguf.cpp", "unistd.h", false},
      {"engine/text/bpe.cpp", "regex", false},
      {"engine/text/bpe.cpp", "utf8proc.h", true},
      {"tools/pumice/hub/http.cpp", "curl/curl.h", true},
      {"tools/pumice/chat.cpp", "curl/curl.h", false},
      {"engine/base/log.cpp", "csignal", true},
      {"engine/model/llama.cpp", "nlohmann/json.hpp", false},
  };
  for (const ArrowRow& row : rows)
    EXPECT_EQ(outside_header_error(row.from, row.to).empty(), row.allowed)
        << row.from << " -> " << row.to;
}

TEST(Rules, Directives) {
  EXPECT_EQ(parse_include("#include <vector>")->target, "vector");
  EXPECT_TRUE(parse_include("  #  include \"a/b.h\" // why")->quoted);
  EXPECT_FALSE(parse_include("// #include <vector>"));
  EXPECT_FALSE(parse_include("#include MACRO"));
  EXPECT_FALSE(parse_include("#includes"));
}

}  // namespace
}  // namespace pumice::arrows
