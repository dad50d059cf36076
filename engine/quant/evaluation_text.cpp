#include "engine/quant/evaluation_text.h"

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <string_view>

#include "engine/text/unicode.h"

namespace pumice::quant {
namespace {

/// Tokens near a cut of the text may differ from those of the whole text: so many are not used.
constexpr uint64_t kCutTokens = 256;
/// Bytes read per wanted token, at first; languages and vocabularies differ, so more may follow.
constexpr uint64_t kBytesPerToken = 16;

/// Takes away the start of a character that a cut left at the end of UTF-8 text.
void drop_cut_character(std::string& text) {
  for (size_t back = 1; back <= 3 && back <= text.size(); ++back) {
    const auto byte = static_cast<unsigned char>(text[text.size() - back]);
    if ((byte & 0xC0) == 0x80) continue;
    if (byte >= 0xC0) text.resize(text.size() - back);
    return;
  }
}

/// The place of the first byte that is no UTF-8, or npos.
size_t find_invalid(std::string_view text) {
  for (size_t at = 0; at < text.size();) {
    const size_t length = text::utf8_length(text, at);
    if (length == 0) return at;
    at += length;
  }
  return std::string_view::npos;
}

Result<void> check_options(const ChunkOptions& options) {
  if (options.context < ChunkOptions::kLeastContext)
    return fail(ErrorCode::BadArgument, "chunks of {} tokens; the least is {} (-c)",
                options.context, ChunkOptions::kLeastContext);
  return {};
}

uint64_t wanted_tokens(const ChunkOptions& options) {
  return uint64_t{options.chunks} * options.context;
}

}  // namespace

Result<std::string> read_start(const std::string& path, uint64_t most, bool& whole) {
  std::error_code error;
  if (std::filesystem::is_directory(path, error))
    return fail(ErrorCode::BadArgument, "{}: is a folder; expected a text file", path);
  std::ifstream in(path, std::ios::binary);
  if (!in) return fail(ErrorCode::NotFound, "{}: cannot be opened for reading", path);
  std::string text;
  constexpr uint64_t kPiece = 1u << 20;
  while (in && text.size() < most) {
    const size_t had = text.size();
    text.resize(had + std::min(kPiece, most - had));
    in.read(text.data() + had, std::streamsize(text.size() - had));
    text.resize(had + size_t(in.gcount()));
  }
  if (in.bad()) return fail(ErrorCode::Io, "{}: reading failed", path);
  whole = !in || in.peek() == std::ifstream::traits_type::eof();
  return text;
}

Result<EvaluationText> cut_chunks(std::vector<int32_t> tokens, int32_t bos,
                                  const ChunkOptions& options, std::string name) {
  PUMICE_TRY(check_options(options));
  EvaluationText text;
  text.name = std::move(name);
  text.context = options.context;
  text.text_tokens = tokens.size();
  const uint64_t full = tokens.size() / options.context;
  const uint64_t wanted = std::max(options.chunks, 1u);
  if (full < wanted)
    return fail(ErrorCode::BadArgument,
                "{}: {} tokens, and {} of {} tokens need {}; give more text or shorter chunks (-c)",
                text.name, tokens.size(),
                wanted == 1 ? std::string("a chunk") : fmt::format("{} chunks", wanted),
                options.context, wanted * options.context);
  if (options.chunks == 0 && full > UINT32_MAX)
    return fail(ErrorCode::BadArgument, "{}: {} chunks are more than can be counted", text.name,
                full);
  text.chunks = options.chunks != 0 ? options.chunks : uint32_t(full);
  text.first_scored = options.score_all ? 0 : options.context / 2;
  tokens.resize(uint64_t{text.chunks} * text.context);
  if (bos >= 0)
    for (uint64_t i = 0; i < tokens.size(); i += text.context) tokens[i] = bos;
  text.tokens = std::move(tokens);
  return text;
}

Result<EvaluationText> read_evaluation_text(const std::string& path, const Tokenizer& tokenizer,
                                            const ChunkOptions& options) {
  PUMICE_TRY(check_options(options));
  if (!tokenizer.has_text())
    return fail(
        ErrorCode::BadArgument,
        "the model's vocabulary has ids but no texts, so {} cannot be tokenised; give token "
        "ids (--ids)",
        path);
  const int32_t bos = tokenizer.adds_bos() ? tokenizer.bos() : -1;
  const uint64_t wanted = wanted_tokens(options);
  uint64_t most = wanted == 0 ? Tokenizer::kMaxTextBytes
                              : std::max<uint64_t>((wanted + kCutTokens) * kBytesPerToken, 4096);
  for (;; most *= 4) {
    most = std::min(most, Tokenizer::kMaxTextBytes);
    bool whole = false;
    PUMICE_TRY_ASSIGN(std::string text, read_start(path, most, whole));
    if (!whole) drop_cut_character(text);
    if (const size_t at = find_invalid(text); at != std::string::npos)
      return fail(ErrorCode::BadFile, "{}: byte {} is no UTF-8; expected a text file in UTF-8",
                  path, at);
    PUMICE_TRY_ASSIGN(std::vector<int32_t> tokens, tokenizer.encode(text, {.add_bos = true}));
    if (!whole && most == Tokenizer::kMaxTextBytes && wanted == 0)
      return fail(ErrorCode::BadArgument,
                  "{}: more than {} MiB of text; choose how much to use with --chunks", path,
                  most >> 20);
    if (whole || tokens.size() >= wanted + kCutTokens || most == Tokenizer::kMaxTextBytes)
      return cut_chunks(std::move(tokens), bos, options, path);
  }
}

Result<EvaluationText> read_token_ids(const std::string& path, uint32_t n_vocab,
                                      const ChunkOptions& options) {
  PUMICE_TRY(check_options(options));
  bool whole = false;
  PUMICE_TRY_ASSIGN(const std::string text, read_start(path, Tokenizer::kMaxTextBytes, whole));
  const uint64_t wanted = wanted_tokens(options);
  std::vector<int32_t> tokens;
  const char* at = text.data();
  const char* const end = at + text.size();
  constexpr std::string_view kBetween = " \t\r\n,[]";
  while (wanted == 0 || tokens.size() < wanted) {
    while (at != end && kBetween.find(*at) != std::string_view::npos) ++at;
    if (at == end) break;
    int32_t id = 0;
    const auto [rest, error] = std::from_chars(at, end, id);
    if (error != std::errc() || id < 0 || uint32_t(id) >= n_vocab)
      return fail(ErrorCode::BadFile, "{}: byte {} begins no token id below {}", path,
                  at - text.data(), n_vocab);
    tokens.push_back(id);
    at = rest;
  }
  return cut_chunks(std::move(tokens), -1, options, path);
}

}  // namespace pumice::quant
