// Owns the calls to PCRE2 and the limits that bound them.
#define PCRE2_CODE_UNIT_WIDTH 8
#include "engine/quant/pattern.h"

#include <pcre2.h>

#include "loader/printable.h"

namespace pumice::quant {
namespace {

constexpr size_t kLongestPattern = 4096;  // bytes
constexpr uint32_t kMostSteps = 100'000;  // about 1 ms
constexpr uint32_t kMostHeapKib = 16 * 1024;

std::string words_of(int error) {
  PCRE2_UCHAR text[256];
  const int length = pcre2_get_error_message(error, text, sizeof text);
  return length > 0 ? std::string(reinterpret_cast<const char*>(text), size_t(length))
                    : fmt::format("error {}", error);
}

struct ContextDeleter {
  void operator()(pcre2_match_context* context) const { pcre2_match_context_free(context); }
};
struct MatchDeleter {
  void operator()(pcre2_match_data* match) const { pcre2_match_data_free(match); }
};

}  // namespace

struct Pattern::Code {
  pcre2_code* code = nullptr;
  explicit Code(pcre2_code* compiled) : code(compiled) {}
  ~Code() { pcre2_code_free(code); }
  Code(const Code&) = delete;
  Code& operator=(const Code&) = delete;
};

Result<Pattern> Pattern::compile(std::string_view text) {
  if (text.empty() || text.size() > kLongestPattern)
    return fail(ErrorCode::BadArgument, "a pattern must be 1 to {} bytes, this one has {}",
                kLongestPattern, text.size());
  int error = 0;
  PCRE2_SIZE offset = 0;
  pcre2_code* code = pcre2_compile(reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(),
                                   PCRE2_UTF | PCRE2_NEVER_BACKSLASH_C, &error, &offset, nullptr);
  if (!code)
    return fail(ErrorCode::BadArgument, "pattern \"{}\" is wrong at character {}: {}",
                printable(text, 200), offset + 1, words_of(error));
  Pattern pattern;
  pattern.text_ = text;
  pattern.code_ = std::make_shared<Code>(code);
  return pattern;
}

Result<bool> Pattern::found_in(std::string_view name) const {
  const std::unique_ptr<pcre2_match_context, ContextDeleter> context(
      pcre2_match_context_create(nullptr));
  const std::unique_ptr<pcre2_match_data, MatchDeleter> match(pcre2_match_data_create(1, nullptr));
  if (!context || !match) return fail(ErrorCode::OutOfMemory, "no memory to match a pattern");
  pcre2_set_match_limit(context.get(), kMostSteps);
  pcre2_set_heap_limit(context.get(), kMostHeapKib);
  const int found = pcre2_match(code_->code, reinterpret_cast<PCRE2_SPTR>(name.data()), name.size(),
                                0, 0, match.get(), context.get());
  if (found >= 0) return true;
  if (found == PCRE2_ERROR_NOMATCH) return false;
  return fail(ErrorCode::BadArgument, "pattern \"{}\" cannot be matched with {}: {}",
              printable(text_, 200), printable(name), words_of(found));
}

}  // namespace pumice::quant
