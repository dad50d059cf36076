#include "read_text.h"

#include "engine/base/platform.h"
#include "engine/quant/evaluation_text.h"

namespace pumice::command {
namespace {

constexpr uint64_t kMost = Tokenizer::kMaxTextBytes;

tl::unexpected<Error> too_long(const std::string& path) {
  return fail(ErrorCode::BadArgument, "{}: more than {} MiB, which is the most that is read", path,
              kMost >> 20);
}

}  // namespace

Result<std::string> read_text(const std::string& path) {
  std::string text;
  if (path == "-") {
    for (std::string line; read_line(line) == ReadEnd::Line;) {
      if (text.size() + line.size() >= kMost) return too_long("standard input");
      text += line + "\n";
    }
    if (!text.empty()) text.pop_back();
    return text;
  }
  bool whole = false;
  PUMICE_TRY_ASSIGN(text, quant::read_start(path, kMost, whole));
  if (!whole) return too_long(path);
  if (text.empty()) return fail(ErrorCode::BadArgument, "{}: is empty", path);
  return text;
}

}  // namespace pumice::command
