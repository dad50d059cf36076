// `pumice tokenize`: texts to ids, one JSON array a line. Texts are plain: special tokens in them
// are letters and no BOS is added, unless flags ask for it.
#include <iterator>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "command.h"
#include "engine/base/platform.h"
#include "engine/text/tokenizer.h"
#include "loader/gguf.h"
#include "options.h"
#include "output.h"

namespace pumice::command {
namespace {

using Json = nlohmann::ordered_json;

struct Options {
  std::string model, text;
  HubFlags hub;
  bool jsonl = false, pieces = false, has_text = false;
  EncodeOptions encode;
};

std::string ids_line(const std::vector<int32_t>& ids) {
  std::string line;
  line.reserve(ids.size() * 7 + 3);
  line.push_back('[');
  for (const int32_t id : ids) fmt::format_to(std::back_inserter(line), "{},", id);
  if (!ids.empty()) line.pop_back();
  line += "]\n";
  return line;
}

std::string pieces_lines(const Tokenizer& tokenizer, const std::vector<int32_t>& ids) {
  std::string lines;
  for (const int32_t id : ids)
    lines += fmt::format("{}\t{}\n", id, json_line(Json(std::string(tokenizer.piece(id)))));
  return lines;
}

/// The text of a line of --jsonl.
Result<std::string> json_string(const std::string& line, uint64_t number) {
  const size_t first = line.find_first_not_of(" \t");
  if (first != std::string::npos && line[first] == '"') {
    Json value = Json::parse(line, nullptr, /*allow_exceptions=*/false);
    if (value.is_string()) return std::move(value.get_ref<std::string&>());
  }
  return fail(ErrorCode::BadArgument,
              "standard input, line {}: expected one JSON string in UTF-8, found {}", number,
              line.empty() ? "an empty line" : printable(line, 60));
}

Outcome tokenize_lines(const Tokenizer& tokenizer, const Options& options) {
  std::string line;
  for (uint64_t number = 1;; ++number) {
    const ReadEnd end = read_line(line);
    if (end == ReadEnd::EndOfInput) return {};
    if (end == ReadEnd::Interrupted || interrupts() > 0)
      return tl::unexpected<Failure>(Failure(kFailed, "interrupted"));
    PUMICE_TRY_ASSIGN(const std::string text, json_string(line, number));
    PUMICE_TRY_ASSIGN(const std::vector<int32_t> ids, tokenizer.encode(text, options.encode));
    if (Outcome written = write_text(ids_line(ids)); !written) return written;
  }
}

Outcome tokenize(Options options) {
  if (options.jsonl == options.has_text)
    return usage("tokenize needs either -p TEXT or --jsonl (JSON strings on standard input)");
  if (Outcome found = find_model(options.hub, options.model); !found) return found;
  PUMICE_TRY_ASSIGN(const auto file, open_gguf(options.model));
  PUMICE_TRY_ASSIGN(const Tokenizer tokenizer, Tokenizer::create(file->metadata()));
  if (options.jsonl) {
    count_interrupts();
    return tokenize_lines(tokenizer, options);
  }
  PUMICE_TRY_ASSIGN(const std::vector<int32_t> ids, tokenizer.encode(options.text, options.encode));
  return write_text(options.pieces ? pieces_lines(tokenizer, ids) : ids_line(ids));
}

}  // namespace

Action add_tokenize(CLI::App& app) {
  auto options = std::make_shared<Options>();
  add_model_option(app, options->model, options->hub);
  CLI::Option* text = app.add_option("-p,--prompt", options->text, "Text to encode");
  app.add_flag("--jsonl", options->jsonl, "One JSON string per line on stdin, one array per line");
  app.add_flag("--pieces", options->pieces, "With -p: a line per token, id and JSON string");
  app.add_flag("--bos", options->encode.add_bos, "Add BOS where the vocabulary wants one");
  app.add_flag("--special", options->encode.parse_special, "Recognise special tokens in the text");
  return [options, text] {
    options->has_text = text->count() > 0;
    return tokenize(*options);
  };
}

}  // namespace pumice::command
