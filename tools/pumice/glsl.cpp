#include "glsl.h"

#include <charconv>
#include <filesystem>
#include <sstream>

#include "engine/base/platform_process.h"

namespace pumice::command {
namespace {

constexpr size_t kMostOutput = size_t{64} << 20;
constexpr uint32_t kMagic = 0x07230203;  ///< first word of SPIR-V
constexpr int kNoProgram = 127;          ///< of a shell that does not find one

/// A name that the compiler does not take for a flag.
std::string path_word(const std::string& file) {
  return shell_word(file.starts_with('-') ? "./" + file : file);
}

std::string command_line(const std::string& file, const char* flags) {
  return fmt::format("glslc --target-env=vulkan1.2 -fshader-stage=compute -O -w {} {} 2>&1", flags,
                     path_word(file));
}

/// "0x07230203,0x00010500,..." to words; empty where that is not what it is.
std::vector<uint32_t> words_of(std::string_view text) {
  std::vector<uint32_t> words;
  while (!text.empty()) {
    const size_t at = text.find("0x");
    if (at == std::string_view::npos) break;
    text.remove_prefix(at + 2);
    uint32_t word = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), word, 16);
    if (error != std::errc{}) return {};
    text.remove_prefix(size_t(end - text.data()));
    words.push_back(word);
  }
  if (words.empty() || words.front() != kMagic) return {};
  return words;
}

/// The first error of a compiler's output, and how many follow it.
std::string first_error(const std::string& output) {
  std::istringstream lines(output);
  std::string first, any;
  size_t more = 0;
  for (std::string line; std::getline(lines, line);) {
    if (any.empty()) any = line;
    if (line.find("error:") == std::string::npos) continue;
    if (first.empty())
      first = line;
    else
      ++more;
  }
  if (first.empty()) return any.empty() ? "it gave no reason" : any;
  return more == 0 ? first : fmt::format("{} (and {} more)", first, more);
}

}  // namespace

Result<void> check_source(const std::string& file) {
  std::error_code ignored;
  if (std::filesystem::is_regular_file(file, ignored)) return {};
  return fail(ErrorCode::NotFound, "{}: there is no such file", file);
}

Result<std::vector<uint32_t>> compile_glsl(const std::string& file) {
  PUMICE_TRY(check_source(file));
  PUMICE_TRY_ASSIGN(const CommandOutput output,
                    run_command(command_line(file, "-mfmt=num -o -"), kMostOutput));
  if (output.exit == kNoProgram)
    return fail(ErrorCode::NotFound,
                "glslc compiles shaders and is not installed (on Debian: apt install glslc)");
  if (output.exit != 0)
    return fail(ErrorCode::BadArgument, "the shader does not compile: {}", first_error(output.out));
  auto words = words_of(output.out);
  if (!words.empty()) return words;
  return fail(ErrorCode::Unsupported, "{}: glslc ended well and gave no SPIR-V: {}", file,
              output.out.substr(0, 200));
}

std::vector<std::string> sources_of(const std::string& file) {
  const auto output = run_command(command_line(file, "-M"), kMostOutput);
  std::vector<std::string> sources{file};  // whatever its name looks like in the compiler's list
  if (output && output->exit == 0) {       // "name.spv: first second ..."
    std::istringstream words(output->out);
    for (std::string word; words >> word;)
      if (!word.ends_with(':') && word != "\\") sources.push_back(word);
  }
  return sources;
}

}  // namespace pumice::command
