#include "shell.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

namespace pumice::test {

Folder::Folder() {
  const auto* test = testing::UnitTest::GetInstance()->current_test_info();
  path_ = std::filesystem::path(testing::TempDir()) /
          fmt::format("pumice_{}_{}_{}", test->test_suite_name(), test->name(), ::getpid());
  std::filesystem::remove_all(path_);
  std::filesystem::create_directories(path_);
}

Folder::~Folder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

std::string Folder::file(const std::string& name) const {
  return (path_ / name).string();
}

std::string Folder::write(const std::string& name, const std::string& bytes) const {
  std::ofstream(file(name), std::ios::binary) << bytes;
  return file(name);
}

std::string content(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path, std::ios::binary).rdbuf();
  return text.str();
}

std::string quoted(const std::string& text) {
  std::string word = "'";
  for (const char c : text) word += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return word + "'";
}

Ran shell(const Folder& folder, std::string command_line) {
  for (size_t at = 0; (at = command_line.find('@', at)) != std::string::npos;) {
    command_line.replace(at, 1, PUMICE_COMMAND);
    at += sizeof PUMICE_COMMAND - 1;
  }
  const std::string out = folder.file("stdout"), err = folder.file("stderr");
  const std::string script = folder.write("script", command_line + "\n");
  const std::string all =
      fmt::format("XDG_CACHE_HOME={} bash -o pipefail {} </dev/null >{} 2>{}",
                  quoted(folder.file("cache")), quoted(script), quoted(out), quoted(err));
  const int status = std::system(all.c_str());
  return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, content(out), content(err)};
}

}  // namespace pumice::test
