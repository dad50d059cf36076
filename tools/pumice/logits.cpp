// `pumice logits`: the logits row after each of the given tokens, raw little-endian f32.
#include <algorithm>
#include <bit>
#include <charconv>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "command.h"
#include "engine/base/platform.h"
#include "engine/session/engine.h"
#include "generate.h"
#include "options.h"
#include "output.h"

namespace pumice::command {
namespace {

struct Options {
  ModelFlags model;
  std::string tokens, out;
};

/// Rows kept per step; more cost memory, fewer cost steps.
constexpr uint32_t kMostRows = 64;

Result<std::vector<int32_t>> parse_tokens(const std::string& list) {
  std::vector<int32_t> tokens;
  for (size_t begin = 0; begin <= list.size();) {
    const size_t end = std::min(list.find(',', begin), list.size());
    const std::string word = list.substr(begin, end - begin);
    int32_t token = 0;
    const auto [rest, error] = std::from_chars(word.data(), word.data() + word.size(), token);
    if (error != std::errc() || rest != word.data() + word.size() || token < 0)
      return fail(ErrorCode::BadArgument, "--tokens: \"{}\" is not a token id",
                  printable(word, 40));
    tokens.push_back(token);
    begin = end + 1;
  }
  return tokens;
}

Outcome write_rows(const std::vector<float>& rows, const std::string& path) {
  static_assert(std::endian::native == std::endian::little);
  const auto bytes = std::as_bytes(std::span(rows));
  if (path == "-") return write_text({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
  PUMICE_TRY(write_file_whole(path, bytes));
  return {};
}

Outcome logits(Options options) {
  const Result<std::vector<int32_t>> tokens = parse_tokens(options.tokens);
  if (!tokens) return usage("{}", tokens.error().text);
  if (Outcome found = find_model(options.model.hub, options.model.model); !found) return found;
  Result<LoadOptions> load = load_options(options.model);
  if (!load) return usage("{}", load.error().text);
  const auto folder = std::filesystem::path(options.out).parent_path();
  std::error_code ignored;
  if (!folder.empty() &&
      !std::filesystem::is_directory(folder, ignored))  // before the work, not after it
    return tl::unexpected<Failure>(
        Failure(kFailed, fmt::format("-o {}: there is no such folder", options.out)));
  count_interrupts();
  const size_t batch = std::min<size_t>(tokens->size(), load->run.max_chunk);
  load->run.max_outputs = uint32_t(std::min<size_t>(batch, kMostRows));
  PUMICE_TRY_ASSIGN(const std::unique_ptr<Engine> engine, Engine::load(*load));

  std::vector<float> rows;
  for (size_t begin = 0; begin < tokens->size(); begin += batch) {
    if (interrupts() > 0)
      return tl::unexpected<Failure>(Failure(kFailed, "interrupted; nothing was written"));
    const size_t count = std::min(batch, tokens->size() - begin);
    PUMICE_TRY_ASSIGN(const std::vector<float> more,
                      engine->logits(0, std::span(*tokens).subspan(begin, count)));
    rows.insert(rows.end(), more.begin(), more.end());
  }
  PUMICE_TRY(check_validation(*engine));
  return write_rows(rows, options.out);
}

}  // namespace

Action add_logits(CLI::App& app) {
  auto options = std::make_shared<Options>();
  add_model_flags(app, options->model);
  app.add_option("--tokens", options->tokens, "Token ids: 1,2,3")->required();
  app.add_option("-o,--output", options->out, "File for the rows (-: stdout)")->required();
  return [options] { return logits(*options); };
}

}  // namespace pumice::command
