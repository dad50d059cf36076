// The Windows twin of platform_process.h.
#include "engine/base/platform_process.h"

#include <cstdio>
#include <cstdlib>
#include <memory>

namespace pumice {
namespace {

struct ClosePipe {
  void operator()(std::FILE* pipe) const { _pclose(pipe); }
};

}  // namespace

Result<CommandOutput> run_command(const std::string& line, size_t most) {
  std::unique_ptr<std::FILE, ClosePipe> pipe(_popen(line.c_str(), "rt"));
  if (!pipe) return fail(ErrorCode::Io, "\"{}\": cannot start", line);
  CommandOutput output;
  char bytes[4096];
  for (size_t n; (n = std::fread(bytes, 1, sizeof bytes, pipe.get())) > 0;) {
    if (output.out.size() + n > most)
      return fail(ErrorCode::Io, "\"{}\": its output is over {} bytes", line, most);
    output.out.append(bytes, n);
  }
  output.exit = _pclose(pipe.release());
  return output;
}

std::string shell_word(const std::string& text) {
  return '"' + text + '"';  // no path of Windows has quotes
}

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value ? value : "";
}

void set_environment(const char* name, const char* value) {
  _putenv_s(name, value ? value : "");  // an empty value removes it
}

ProcessorTime processor_time() {
  return {};
}

std::string processor_name() {
  return environment("PROCESSOR_IDENTIFIER");
}

std::string system_name() {
  const std::string name = environment("OS");
  return name.empty() ? "Windows" : name + " " + environment("PROCESSOR_ARCHITECTURE");
}

}  // namespace pumice
