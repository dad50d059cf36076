#include "read_text.h"

#include <fstream>
#include <iterator>

#include "engine/base/platform.h"

namespace pumice::command {

Result<std::string> read_text(const std::string& path) {
  std::string text;
  if (path == "-") {
    for (std::string line; read_line(line) == ReadEnd::Line;) text += line + "\n";
    if (!text.empty()) text.pop_back();
    return text;
  }
  std::ifstream in(path, std::ios::binary);
  text.assign(std::istreambuf_iterator<char>(in), {});
  if (!in || text.empty())
    return fail(ErrorCode::NotFound, "{}: cannot be read, or is empty", path);
  return text;
}

}  // namespace pumice::command
