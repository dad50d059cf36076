// Runs the pumice command through the shell and keeps what it wrote.
#pragma once

#include <filesystem>
#include <string>

namespace pumice::test {

struct Ran {
  int exit = -1;  ///< 128 + signal where a signal ended it, as the shell says
  std::string out, err;
};

/// A folder of its own for the running test, removed at the end.
class Folder {
 public:
  Folder();
  ~Folder();
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  [[nodiscard]] std::string file(const std::string& name) const;
  /// Writes a file and returns its path.
  [[nodiscard]] std::string write(const std::string& name, const std::string& bytes) const;

 private:
  std::filesystem::path path_;
};

/// `arguments` are shell words, "@" in front of the command line stands for pumice itself:
/// "@ info -m x | head -1".
[[nodiscard]] Ran shell(const Folder& folder, std::string command_line);

/// A word for the shell.
[[nodiscard]] std::string quoted(const std::string& text);

[[nodiscard]] std::string content(const std::string& path);

}  // namespace pumice::test
